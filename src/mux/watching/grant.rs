//! The resources that a modern client names in `subscriptions/listen`
//! (2026-07-28, `basic/patterns/subscriptions`): which of them are honoured,
//! and where their updates wait.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::debug;

use super::{Inbox, Sink, Watcher};
use crate::{
    access::Principal,
    mux::Mux,
    protocol::{
        Message, RawObject,
        raw::{decode_str, elements},
    },
};

/// The member of a `SubscriptionFilter` that names resources.
pub(in crate::mux) const RESOURCES: &str = "resourceSubscriptions";

/// How long the acknowledgement waits for what the backends say. Who says
/// nothing by then is taken to agree.
const MOMENT: Duration = Duration::from_secs(1);

/// What a client is told of until this is dropped.
#[derive(Debug)]
pub(in crate::mux) struct Granted {
    /// The resources that are honoured, as the client spelled them.
    pub(in crate::mux) uris: Vec<String>,
    inbox: Arc<Inbox>,
    /// Backends that have not answered yet.
    _asking: JoinSet<(usize, bool)>,
    _watcher: Arc<Watcher>,
}

impl Granted {
    /// The next update.
    pub(in crate::mux) async fn next(&self) -> Message {
        self.inbox.next().await
    }
}

/// The resources that `filter` names, as they are spelled; `None` if that is
/// no list of strings.
pub(in crate::mux) fn named(filter: &RawObject<'_>) -> Option<Vec<String>> {
    let Some(list) = filter.get(RESOURCES).ok()? else {
        return Some(Vec::new());
    };
    let uris = elements(list)?;
    let strings = uris.iter().all(|uri| decode_str(uri).is_some());
    strings.then(|| uris.into_iter().map(str::to_owned).collect())
}

impl Mux {
    /// Subscribes a new client, `listener`, to `spelled`, JSON strings.
    pub(in crate::mux) async fn grant(
        self: &Arc<Self>,
        listener: &Principal,
        spelled: Vec<String>,
    ) -> Granted {
        let inbox = Arc::new(Inbox::default());
        let watcher = Arc::new(self.watcher());
        let sink: Arc<dyn Sink> = inbox.clone();
        let mut asking = JoinSet::new();
        let mut seen = HashSet::new();
        for (n, spelled) in spelled.iter().enumerate() {
            let Some(uri) = decode_str(spelled).map(std::borrow::Cow::into_owned) else {
                continue;
            };
            if !seen.insert(uri.clone()) {
                continue;
            }
            let subscriber = watcher.subscriber(listener.role(), Arc::downgrade(&sink));
            let (mux, watcher) = (Arc::clone(self), Arc::clone(&watcher));
            let listener = listener.clone();
            asking.spawn(async move {
                // The subscriptions outlive whoever makes them.
                let _watcher = watcher;
                let done = mux.watch(listener.role(), &subscriber, &uri, true).await;
                if let Err((why, backend)) = &done {
                    debug!(backend, uri, "not subscribed: {why:?}");
                }
                (n, done.is_ok())
            });
        }
        let mut refused = HashSet::new();
        let moment = Instant::now() + MOMENT;
        while let Ok(Some(done)) = timeout_at(moment, asking.join_next()).await {
            if let Ok((n, false)) = done {
                refused.insert(n);
            }
        }
        let refused: HashSet<_> = refused.iter().map(|n| decode_str(&spelled[*n])).collect();
        let uris = spelled.iter();
        Granted {
            uris: uris
                .filter(|uri| !refused.contains(&decode_str(uri)))
                .cloned()
                .collect(),
            inbox,
            _asking: asking,
            _watcher: watcher,
        }
    }
}
