//! What a backend says or asks outside of any request's exchange.

use crate::protocol::{Message, RpcError, error::UNAVAILABLE, method};

/// A message that belongs to no call.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// A notification, such as a changed list.
    Notification(Message),
    /// The session or the stream of notifications is a new one: what the backend
    /// said before nobody listened, so what is known of it may be stale.
    Stale,
}

/// The answer to a request of a backend that mcpmux gives itself: a ping's.
pub(crate) fn answer(request: &Message) -> Option<Message> {
    let id = request
        .id()
        .filter(|_| request.method() == Some(method::PING))?;
    Some(Message::success(id, "{}"))
}

/// The answer to a request of a backend that reaches no client, and `why`.
pub(crate) fn refuse(request: &Message, why: &str) -> Message {
    let asked = request.method().unwrap_or_default();
    let error = RpcError::new(UNAVAILABLE, format!("{asked} reaches no client: {why}"));
    Message::failure(request.id(), &error)
}
