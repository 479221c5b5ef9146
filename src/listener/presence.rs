//! Whether any client is there, for who wants to know when none is.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::{endpoint::Endpoint, sessions::Sessions};
use crate::mux::Mux;

/// How often it is looked at most and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));

/// The connections of clients.
#[derive(Debug, Default)]
pub struct Presence {
    connections: TaskTracker,
    came: AtomicU64,
    endpoint: OnceLock<Weak<Endpoint>>,
}

/// How many clients there are.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Clients {
    /// Connections that are open.
    pub connections: usize,
    /// Sessions of legacy clients, those included that have no connection now.
    pub sessions: usize,
    /// Streams that clients hold open for what belongs to no call: the GET of a session,
    /// and `subscriptions/listen`.
    #[serde(default)]
    pub streams: usize,
    /// Calls under way, those included that wait for an answer of their client.
    #[serde(default)]
    pub calls: usize,
}

impl Presence {
    /// Where each connection has its task.
    pub(super) fn connections(&self) -> TaskTracker {
        self.connections.clone()
    }

    /// A client has connected.
    pub(super) fn came(&self) {
        self.came.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients reach `endpoint`.
    pub(super) fn at(&self, endpoint: &Arc<Endpoint>) {
        let _ = self.endpoint.set(Arc::downgrade(endpoint));
    }

    /// How many clients there are, and what they have `mux` do.
    pub fn clients(&self, mux: &Mux) -> Clients {
        let endpoint = self.endpoint.get().and_then(Weak::upgrade);
        let sessions = endpoint.as_ref().map(|endpoint| &endpoint.sessions);
        Clients {
            connections: self.connections.len(),
            sessions: sessions.map_or(0, Sessions::count),
            streams: sessions.map_or(0, Sessions::streams) + mux.listeners(),
            calls: mux.calls(),
        }
    }

    /// Waits until there was no connection for `time`, and nothing was `busy`
    /// whenever it was looked at.
    pub async fn left_for(&self, time: Duration, busy: impl Fn() -> bool) {
        let pause = (time / 20).clamp(LOOKS.0, LOOKS.1);
        let mut since = Instant::now();
        let mut before = self.came.load(Ordering::Relaxed);
        loop {
            sleep(pause).await;
            let came = self.came.load(Ordering::Relaxed);
            if came != before || !self.connections.is_empty() || busy() {
                (since, before) = (Instant::now(), came);
            } else if since.elapsed() >= time {
                return;
            }
        }
    }
}
