//! What reaches a legacy client outside of its calls, from a backend that it has
//! for itself: on the stream of its session.

use std::time::Duration;

use tokio::time::timeout;

use super::session::Session;
use crate::{
    backend::{Answer, Aside, unasked},
    protocol::{Message, RpcError, error::METHOD_NOT_FOUND},
};

/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

impl Aside for Session {
    fn tell(&self, notification: &Message) {
        self.outbox().push(notification);
    }

    fn ask(&self, request: &Message, answer: Answer) {
        let refused = |why| unasked::refuse(request, why);
        if !self.introduction.abilities.cover(request) {
            let method = request.method().unwrap_or_default();
            let why = format!("Method not found: {method}: the client has not declared it");
            let error = RpcError::new(METHOD_NOT_FOUND, why);
            return answer(Message::failure(request.id(), &error));
        }
        let Some(question) = self.voice.ask() else {
            return answer(refused("the client is being asked too much already"));
        };
        let (own, theirs) = (question.id(), request.id().cloned());
        self.outbox().push(&request.rewritten(Some(&own), None));
        let unanswered = refused("the client does not answer");
        let ended = self.ended.clone();
        tokio::spawn(async move {
            let waiting = timeout(PATIENCE, question.answer());
            let response = ended.run_until_cancelled(waiting).await;
            let response = response.and_then(Result::ok).flatten();
            answer(response.map_or(unanswered, |response| {
                response.rewritten(theirs.as_ref(), None)
            }));
        });
    }
}
