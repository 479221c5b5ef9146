//! Calls that meet a backend which awaits a person's login: the client's user is
//! sent to the page where that is done, by URL elicitation where the client can
//! (2025-11-25 and 2026-07-28, `client/elicitation`), else by an error that
//! holds the link.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};

use super::{Caller, Mux, params, parking::came_back};
use crate::{
    backend::{Backend, State, logs_in},
    protocol::{
        Era, Id, Message, RawObject, RpcError,
        error::{self, UNAVAILABLE, URL_ELICITATION_REQUIRED},
        method,
        raw::elements,
    },
};

/// What begins the key of the one question that a modern client gets; the
/// backend's name follows.
const KEY: &str = "mcpmux-login-";

/// How long the answer to that question is good; a login takes no longer.
const LIFE: Duration = Duration::from_secs(600);

/// How long a backend may take to notice that its login is done.
const SETTLES: Duration = Duration::from_secs(1);

/// The most clients that wait at once to be told of the end of a login.
const MAX: usize = 1000;

/// Clients that wait to be told of the end of a login.
#[derive(Debug)]
pub(super) struct Visits(Arc<Semaphore>);

impl Default for Visits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX)))
    }
}

impl Mux {
    /// The `response` to `request` as the `caller` can take it, if it says that a login
    /// is needed.
    pub(super) fn or_visit(
        &self,
        caller: &Caller,
        request: &Message,
        response: Message,
    ) -> Message {
        if error::code_of(&response) != Some(URL_ELICITATION_REQUIRED) {
            return response;
        }
        let Some((visit, said)) = own_visit(&response) else {
            return response;
        };
        let backend = self.backend_of(&visit);
        let id = request.id().cloned().unwrap_or(Id::from(0));
        let question = Message::request(&Id::from(0), method::ELICIT, &visit);
        let able = match (&caller.introduction, caller.era()) {
            (Some(introduction), _) => introduction.abilities.cover(&question),
            (None, Era::Modern) => params::introduction(request).1.cover(&question),
            (None, Era::Legacy) => false,
        };
        match caller.era() {
            Era::Legacy if able => {
                self.tell_of_end(caller, &visit, backend.as_ref());
                response
            }
            Era::Modern if able && !came_back(request) => {
                let name = backend.as_ref().map_or("", |backend| backend.name());
                let key = format!("{KEY}{name}");
                let owner = caller.principal.owner();
                self.parking
                    .ask_again(owner, request, &id, &key, &question, LIFE)
            }
            Era::Legacy | Era::Modern => {
                Message::failure(Some(&id), &RpcError::new(UNAVAILABLE, said))
            }
        }
    }

    /// Waits for the login that a client was sent to which came back with
    /// `request`; what its user declined is not waited for.
    pub(super) async fn wait_for_login(&self, request: &Message) {
        let Some(backend) = self.accepted(request) else {
            return;
        };
        if let Some(login) = backend.login() {
            let mut states = backend.watch();
            let patience = backend.settings().timeout;
            let _ = timeout(patience, login.ended()).await;
            let settled = states.wait_for(|state| !matches!(state, State::AwaitingLogin(_)));
            let _ = timeout(SETTLES, settled).await;
        }
    }

    /// The backend to whose login a user agreed to go.
    fn accepted(&self, request: &Message) -> Option<Arc<Backend>> {
        let params = RawObject::parse(request.payload()?).ok()?;
        let answers = RawObject::parse(params.get("inputResponses").ok()??).ok()?;
        let backends = self.backends();
        let mut backends = backends.iter();
        let accepted = backends.find(|backend| {
            let key = format!("{KEY}{}", backend.name());
            let answer = answers.get(&key).ok().flatten();
            let answer = answer.and_then(|answer| RawObject::parse(answer).ok());
            let action = answer.and_then(|answer| {
                answer
                    .get_str("action")
                    .ok()
                    .flatten()
                    .map(std::borrow::Cow::into_owned)
            });
            action.as_deref() == Some("accept")
        });
        accepted.cloned()
    }

    /// Tells a legacy client when the login is over, so that it may call again.
    fn tell_of_end(&self, caller: &Caller, visit: &str, backend: Option<&Arc<Backend>>) {
        let login = backend.and_then(|backend| backend.login());
        let (Some(login), Some(client)) = (login, &caller.introduction) else {
            return;
        };
        let Ok(place) = Arc::clone(&self.visits.0).try_acquire_owned() else {
            return;
        };
        let (client, visit) = (Arc::downgrade(client), visit.to_owned());
        tokio::spawn(async move {
            login.ended().await;
            drop(place);
            let told = || {
                let visit = RawObject::parse(&visit).ok()?;
                let id = visit.get("elicitationId").ok()??;
                let params = format!("{{\"elicitationId\":{id}}}");
                client
                    .upgrade()?
                    .tell(&Message::notification(method::ELICITED, &params));
                Some(())
            };
            let _ = told();
        });
    }

    fn backend_of(&self, visit: &str) -> Option<Arc<Backend>> {
        let visit = RawObject::parse(visit).ok()?;
        let id = visit.get_str("elicitationId").ok()??;
        let name = logs_in(&id)?;
        self.roster.named(name)
    }
}

/// The request of a client that came back, as it was before it was sent away.
pub(super) fn stripped(request: &Message) -> Message {
    let params = request
        .payload()
        .and_then(|params| RawObject::parse(params).ok());
    let Some(params) = params else {
        return request.clone();
    };
    let mut edit = params.edit();
    edit.remove_if(|key| matches!(key, "inputResponses" | "requestState"));
    request.rewritten(None, Some(&edit.finish()))
}

/// The elicitation of an error that is mcpmux's own, and what the error says.
fn own_visit(response: &Message) -> Option<(String, String)> {
    let error = RawObject::parse(response.payload()?).ok()?;
    let data = RawObject::parse(error.get("data").ok()??).ok()?;
    let all = elements(data.get("elicitations").ok()??)?;
    let visit = all.first()?;
    let id = RawObject::parse(visit)
        .ok()?
        .get_str("elicitationId")
        .ok()??
        .into_owned();
    logs_in(&id)?;
    let said = error.get_str("message").ok()??.into_owned();
    Some(((*visit).to_owned(), said))
}
