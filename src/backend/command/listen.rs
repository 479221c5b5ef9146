//! Asking a modern server on a pipe to say when its lists change; a legacy one
//! says it unasked.

use std::sync::Arc;

use serde_json::json;
use tracing::debug;

use super::Pipe;
use crate::protocol::{Id, Message, Revision, meta, method};

/// Keeps a subscription open until the server or the pipe ends it. What it
/// brings arrives where all goes that belongs to no call.
pub(crate) async fn listen(pipe: Arc<Pipe>, revision: Revision) {
    let params = json!({
        "notifications": { "toolsListChanged": true },
        "_meta": meta::own_request(revision),
    });
    let id = pipe.next_id();
    let request = Message::request(&Id::from(id), method::LISTEN, &params.to_string());
    if let Err(error) = pipe.request(id, &request, None).response().await {
        debug!("a subscription has ended: {error}");
    }
}
