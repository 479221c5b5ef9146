//! What a backend says or asks outside of any request's exchange.

use crate::protocol::{Message, RpcError, error::METHOD_NOT_FOUND, method};

/// A message that belongs to no call.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// A notification, such as a changed list.
    Notification(Message),
    /// The session or the stream of notifications is a new one: what the backend
    /// said before nobody listened, so what is known of it may be stale.
    Stale,
}

/// The answer to a request of a backend. A ping is answered; all else needs
/// capabilities that mcpmux does not declare, so a backend that asks is told so.
pub(crate) fn refuse(request: &Message) -> Message {
    match (request.id(), request.method()) {
        (Some(id), Some(method::PING)) => Message::success(id, "{}"),
        (id, asked) => Message::failure(
            id,
            &RpcError::new(
                METHOD_NOT_FOUND,
                format!(
                    "Method not found: {} (mcpmux declares no such capability)",
                    asked.unwrap_or_default()
                ),
            ),
        ),
    }
}
