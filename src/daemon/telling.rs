//! What systemd is told while mcpmux serves: that it does, how it is, and that it is
//! alive.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::reload::status;
use crate::{
    listener::Pulse,
    mux::Mux,
    systemd::{Notifier, watchdog_interval},
};

/// Tells systemd that mcpmux serves, how it is, and that it is alive.
pub(super) async fn tell(
    mux: Arc<Mux>,
    trouble: watch::Receiver<String>,
    pulse: Arc<Pulse>,
    notifier: Arc<Notifier>,
) {
    let mut activity = mux.activity();
    notifier.ready(&status(&mux, &trouble.borrow()));
    let alive = async {
        match watchdog_interval() {
            Some(interval) => {
                let beat = || beat(Arc::clone(&mux), Arc::clone(&pulse));
                notifier.watchdog(interval, beat).await;
            }
            None => std::future::pending().await,
        }
    };
    let status = async {
        while activity.changed().await.is_ok() {
            notifier.status(&status(&mux, &trouble.borrow()));
        }
    };
    tokio::join!(alive, status);
}

/// Whether clients are served: a request goes the way of theirs, and the router's
/// locks are taken. Does not come back where one of them is held for ever.
async fn beat(mux: Arc<Mux>, pulse: Arc<Pulse>) -> bool {
    // In a task of its own: another thread may be the one that hangs.
    let moves = tokio::spawn(async move { mux.pulse() }).await.is_ok();
    match pulse.beat().await {
        Ok(()) => moves,
        Err(error) => {
            warn!("mcpmux does not answer itself: {error}");
            false
        }
    }
}
