//! Keeps sessions for the next run of mcpmux: soon after anything changes, and
//! once more at the end. Never more often than it can be done beside the work.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tracing::info;

use super::{endpoint::Endpoint, record};
use crate::{
    store::{Kind, Store},
    systemd::Left,
};

/// The sessions as a document.
pub(crate) const SESSIONS: Kind = Kind {
    name: "sessions",
    version: 1,
    limit: 32 * 1024 * 1024,
};

/// How long changes are gathered. What changes in this time is lost with a
/// process that is killed.
const COALESCE: Duration = Duration::from_millis(200);

/// Of the time, this share at most (one of so many parts) goes into keeping.
const SHARE: u32 = 10;

/// How old at most what is kept of the use of sessions may be.
const REFRESH: Duration = Duration::from_secs(10 * 60);

/// Where sessions are kept, and what was kept of those of an earlier run.
#[derive(Debug)]
pub struct Keeping {
    store: Arc<Store>,
    left: Arc<[Left]>,
}

impl Keeping {
    /// In `store`; `left` is what an earlier start has left with systemd.
    pub(crate) fn new(store: Store, left: Vec<Left>) -> Self {
        Self {
            store: Arc::new(store),
            left: left.into(),
        }
    }

    /// Takes in the sessions of an earlier run.
    pub(super) async fn recall(&self, endpoint: &Arc<Endpoint>) {
        let (store, left) = (Arc::clone(&self.store), Arc::clone(&self.left));
        let endpoint = Arc::clone(endpoint);
        let taken = spawn_blocking(move || {
            let records = store.load(&left)?;
            Some(record::read(&records, &endpoint.sessions, &endpoint.mux))
        });
        if let Ok(Some(sessions @ 1..)) = taken.await {
            info!("{sessions} sessions go on from before the start");
        }
    }

    /// Keeps the sessions up to date, until dropped.
    pub(super) async fn keep(&self, endpoint: &Arc<Endpoint>) {
        loop {
            tokio::select! {
                () = endpoint.mux.clients_noted() => sleep(COALESCE).await,
                () = sleep(REFRESH), if !endpoint.sessions.is_empty() => {}
            }
            let begun = Instant::now();
            self.save(endpoint).await;
            sleep(begun.elapsed() * (SHARE - 1)).await;
        }
    }

    /// Keeps the sessions as they are now.
    pub(super) async fn save(&self, endpoint: &Arc<Endpoint>) {
        let (store, endpoint) = (Arc::clone(&self.store), Arc::clone(endpoint));
        // One that is under way when this is dropped goes on, and the next waits.
        let _ = spawn_blocking(move || {
            if endpoint.sessions.is_empty() && store.is_new() {
                return;
            }
            // The line around them is short.
            let limit = SESSIONS.limit - 1024;
            store.save(|| record::write(&endpoint.sessions, &endpoint.mux, limit));
        })
        .await;
    }
}
