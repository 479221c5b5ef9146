//! Asking a modern server on a pipe to say when its lists change; a legacy one
//! says it unasked.

use std::sync::Arc;

use serde_json::json;
use tracing::debug;

use super::Pipe;
use crate::{
    backend::Offers,
    protocol::{Id, Message, Revision, meta, method},
};

/// Keeps a subscription to the changes that the server offers to tell open until
/// it or the pipe ends. What it brings arrives where all goes that belongs to no
/// call.
pub(crate) async fn listen(pipe: Arc<Pipe>, revision: Revision, offers: Arc<Offers>) {
    let params = json!({
        "notifications": offers.changes(),
        "_meta": meta::own_request(revision),
    });
    let id = pipe.next_id();
    let request = Message::request(&Id::from(id), method::LISTEN, &params.to_string());
    if let Err(error) = pipe.request(id, &request, None).response().await {
        debug!("a subscription has ended: {error}");
    }
}
