//! What becomes of a message that comes on a stream which many calls share.

use std::sync::Arc;

use tracing::{debug, warn};

use super::{
    Introduction,
    calls::Calls,
    ear::{is_addressed, is_unasked},
    unasked,
};
use crate::protocol::{Id, Kind, Message, meta, method};

/// What is left to do with a message once the calls have got what is theirs.
#[derive(Debug)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// It is a notification of what belongs to no call, such as a changed list.
    Unasked(Message),
    /// It is a request, and this is to be answered.
    Answer(Message),
    /// It is a request that belongs to no call, for the client whose all are.
    Ask(Arc<Introduction>, Message),
}

impl Calls {
    /// Hands a message of `backend` to the call that it belongs to.
    pub(super) fn deliver(&self, backend: &str, message: Message) -> Rest {
        match message.kind() {
            Kind::Response { id, .. } => {
                let call = id
                    .as_ref()
                    .and_then(Id::as_u64)
                    .and_then(|id| self.take(id));
                if let Some(mailbox) = call {
                    mailbox.finish(Ok(message));
                } else {
                    debug!(backend, "a response that nobody waits for");
                }
            }
            Kind::Notification { method } => {
                let owner = match method.as_str() {
                    method::PROGRESS => meta::progress_id(&message).and_then(|id| self.get(id)),
                    method::LOG_MESSAGE => self.only().ok(),
                    method::CANCELLED => self.taking_back(&message),
                    _ => match (meta::subscription_id(&message), self.whose()) {
                        (Some(id), _) => self.get(id),
                        (None, Some(_)) if !is_unasked(&message) => None,
                        (None, None) if is_of_an_extension(&message) => self.only().ok(),
                        (None, _) => return Rest::Unasked(message),
                    },
                };
                let progress = method.as_str() == method::PROGRESS;
                match (owner, self.whose()) {
                    (Some(mailbox), _) => {
                        if !mailbox.notify(message) {
                            warn!(
                                backend,
                                "a client reads too slowly, notifications to it are dropped"
                            );
                        }
                    }
                    (None, Some(client)) if !progress => client.tell(&message),
                    (None, _) => debug!(backend, "a notification that belongs to no call"),
                }
            }
            Kind::Request { .. } => {
                if let Some(answer) = unasked::answer(&message) {
                    return Rest::Answer(answer);
                }
                if let Err(why) = self.ask(&message) {
                    if let Some(client) = self.whose() {
                        return Rest::Ask(Arc::clone(client), message);
                    }
                    let asked = message.method().unwrap_or_default();
                    debug!(backend, "{asked} is refused: {why}");
                    return Rest::Answer(unasked::refuse(&message, why));
                }
            }
        }
        Rest::Nothing
    }
}

/// Whether a notification is one that the specification does not know.
fn is_of_an_extension(notification: &Message) -> bool {
    !is_unasked(notification)
        && !is_addressed(notification)
        && notification.method() != Some(method::ACKNOWLEDGED)
}
