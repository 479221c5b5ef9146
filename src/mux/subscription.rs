//! Telling clients that lists have changed: on a legacy session's stream, or on
//! the exchange of a modern `subscriptions/listen`, which also tells of updates
//! of resources.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Mux,
    version::{Changed, Versions},
    watching,
};
use crate::{
    access::Principal,
    backend::Exchange,
    protocol::{Message, RawObject, RpcError, error::INVALID_PARAMS, meta, method},
};

/// Changes within this time are told once.
const COALESCE: Duration = Duration::from_millis(100);

/// One listener's view of the lists' changes.
#[derive(Debug)]
pub(crate) struct Changes {
    mux: Weak<Mux>,
    role: String,
    versions: watch::Receiver<Versions>,
    seen: Versions,
    /// When the changes since are told.
    due: Option<Instant>,
    closing: CancellationToken,
}

impl Changes {
    /// Waits for the next changes; `None` when mcpmux stops. May be given up
    /// and called again, as in a `select!`.
    pub(crate) async fn next(&mut self) -> Option<Changed> {
        let seen = self.seen;
        while self.due.is_none() {
            let changed = tokio::select! {
                () = self.closing.cancelled() => return None,
                changed = self.versions.wait_for(|now| *now != seen) => changed.is_ok(),
            };
            if changed {
                break;
            }
            // The role has come, or gone: others tell who has it.
            self.versions = self.mux.upgrade()?.views.versions(&self.role);
        }
        let due = *self.due.get_or_insert_with(|| Instant::now() + COALESCE);
        tokio::select! {
            () = self.closing.cancelled() => return None,
            () = sleep_until(due) => self.due = None,
        }
        self.seen = *self.versions.borrow_and_update();
        Some(self.seen.since(seen))
    }

    /// The lists that the listener has been told of.
    pub(crate) fn seen(&self) -> Versions {
        self.seen
    }
}

impl Mux {
    /// The changes from now on of what is there for `role`; those since `seen` as
    /// well, if given.
    pub(crate) fn changes(self: &Arc<Self>, role: &str, seen: Option<Versions>) -> Changes {
        let versions = self.views.versions(role);
        let now = *versions.borrow();
        Changes {
            mux: Arc::downgrade(self),
            role: role.to_owned(),
            seen: seen.unwrap_or(now),
            versions,
            due: None,
            closing: self.closing.clone(),
        }
    }

    /// The numbers of the lists that clients in `role` are shown now.
    pub(crate) fn versions(&self, role: &str) -> Versions {
        *self.views.versions(role).borrow()
    }

    /// Serves `subscriptions/listen` (2026-07-28, `basic/patterns/subscriptions`) of
    /// `listener`.
    pub(super) fn listen(self: &Arc<Self>, listener: &Principal, message: &Message) -> Exchange {
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
        let Some(uris) = watching::named(&wanted) else {
            let error = RpcError::new(
                INVALID_PARAMS,
                "Invalid params: \"resourceSubscriptions\" must be an array of strings",
            );
            return Exchange::ready(Ok(Message::failure(Some(&id), &error)));
        };
        let honoured = wishes(&wanted).and(self.announced(listener.role()));
        let tag = format!("{{\"{}\":{}}}", meta::SUBSCRIPTION_ID, id.as_str());
        let mut changes = self.changes(listener.role(), None);
        let (mux, listener) = (Arc::clone(self), listener.clone());
        let open = self.listening.token();
        Exchange::new(async_stream::stream! {
            let _open = open;
            let resources = mux.grant(&listener, uris).await;
            let filter = filter(honoured, &resources.uris);
            let params = format!("{{\"_meta\":{tag},\"notifications\":{filter}}}");
            yield Ok(Message::notification(method::ACKNOWLEDGED, &params));
            let params = format!("{{\"_meta\":{tag}}}");
            loop {
                tokio::select! {
                    lists = changes.next() => {
                        let Some(lists) = lists else { break };
                        for notification in lists.and(honoured).notifications(&params) {
                            yield Ok(notification);
                        }
                    }
                    update = resources.next() => yield Ok(watching::tagged(&update, id.as_str())),
                }
            }
            yield Ok(Message::success(&id, &format!("{{\"resultType\":\"complete\",\"_meta\":{tag}}}")));
        })
    }
}

/// The members of a `SubscriptionFilter` that ask for changes of lists.
const TOOLS: &str = "toolsListChanged";
const PROMPTS: &str = "promptsListChanged";
const RESOURCES: &str = "resourcesListChanged";

/// The lists whose changes a client wants to be told.
fn wishes(filter: &RawObject<'_>) -> Changed {
    let wanted = |key| filter.get(key) == Ok(Some("true"));
    Changed {
        tools: wanted(TOOLS),
        prompts: wanted(PROMPTS),
        resources: wanted(RESOURCES),
    }
}

/// The `SubscriptionFilter` of these lists and resources, JSON strings.
fn filter(lists: Changed, resources: &[String]) -> String {
    let members = [
        (lists.tools, TOOLS),
        (lists.prompts, PROMPTS),
        (lists.resources, RESOURCES),
    ];
    let wanted = members.iter().filter(|(wanted, _)| *wanted);
    let mut members: Vec<_> = wanted.map(|(_, key)| format!("\"{key}\":true")).collect();
    if !resources.is_empty() {
        let uris = resources.join(",");
        members.push(format!("\"{}\":[{uris}]", watching::RESOURCE_SUBSCRIPTIONS));
    }
    format!("{{{}}}", members.join(","))
}
