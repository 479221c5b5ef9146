//! Telling clients that lists have changed: on a legacy session's stream, or on
//! the exchange of a modern `subscriptions/listen`.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Mux;
use crate::{
    backend::Exchange,
    protocol::{Message, RawObject, RpcError, error::INVALID_PARAMS, meta, method},
};

/// Changes within this time are told once.
const COALESCE: Duration = Duration::from_millis(100);

/// One listener's view of the catalog's changes.
#[derive(Debug)]
pub(crate) struct Changes {
    version: watch::Receiver<u64>,
    closing: CancellationToken,
}

impl Changes {
    /// Waits for the next change; `None` when mcpmux stops.
    pub(crate) async fn next(&mut self) -> Option<()> {
        tokio::select! {
            () = self.closing.cancelled() => return None,
            changed = self.version.changed() => changed.ok()?,
        }
        tokio::select! {
            () = self.closing.cancelled() => return None,
            () = tokio::time::sleep(COALESCE) => {}
        }
        self.version.mark_unchanged();
        Some(())
    }
}

impl Mux {
    /// The changes from now on; those since catalog `seen` as well, if given.
    pub(crate) fn changes(&self, seen: Option<u64>) -> Changes {
        let mut version = self.version.subscribe();
        if seen.is_some_and(|seen| *version.borrow() != seen) {
            version.mark_changed();
        }
        Changes {
            version,
            closing: self.closing.clone(),
        }
    }

    /// The number of the catalog that clients are shown now.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Serves `subscriptions/listen` (2026-07-28, `basic/patterns/subscriptions`).
    pub(super) fn listen(self: &Arc<Self>, message: &Message) -> Exchange {
        let Some(id) = message.id().cloned() else {
            return Exchange::ready(Err(crate::backend::BackendError::NoResponse));
        };
        let wanted = message
            .payload()
            .and_then(|params| RawObject::parse(params).ok()?.get("notifications").ok()?)
            .and_then(|filter| RawObject::parse(filter).ok());
        let Some(wanted) = wanted else {
            let error = RpcError::new(
                INVALID_PARAMS,
                "Invalid params: \"notifications\" must be an object",
            );
            return Exchange::ready(Ok(Message::failure(Some(&id), &error)));
        };
        let tools = wanted.get("toolsListChanged") == Ok(Some("true"));
        let tag = format!("{{\"{}\":{}}}", meta::SUBSCRIPTION_ID, id.as_str());
        let mut changes = self.changes(None);
        Exchange::new(async_stream::stream! {
            let honoured = if tools { json!({ "toolsListChanged": true }) } else { json!({}) };
            let params = format!("{{\"_meta\":{tag},\"notifications\":{honoured}}}");
            yield Ok(Message::notification(method::ACKNOWLEDGED, &params));
            while changes.next().await.is_some() {
                if tools {
                    yield Ok(Message::notification(method::TOOLS_CHANGED, &format!("{{\"_meta\":{tag}}}")));
                }
            }
            yield Ok(Message::success(&id, &format!("{{\"resultType\":\"complete\",\"_meta\":{tag}}}")));
        })
    }
}
