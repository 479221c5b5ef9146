//! Listening to what a backend says unasked, from before it counts as up until
//! its connection is left. What is heard is for the supervisor.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};

use super::{Connection, Link, http, listening};
use crate::protocol::Era;

/// How long a legacy server's stream may take to begin before the backend counts
/// as up without it.
const PATIENCE: Duration = Duration::from_millis(500);

impl Connection {
    /// Listens for changes where they are not said unasked, until aborted. Waits a
    /// moment until a legacy server's stream has begun: what it asked there in the
    /// course of the first call would reach nobody before that.
    pub(super) async fn listen(self: &Arc<Self>) -> Option<AbortOnDrop> {
        let task = match (&self.link, self.era()) {
            (_, Era::Modern) if !self.offers.tells_changes() && !self.offers.subscribe() => {
                return None;
            }
            (_, Era::Modern) => tokio::spawn(listening::keep(Arc::clone(self))),
            // A legacy server may ask on this stream, whatever it offers.
            (Link::Http(link), Era::Legacy) => {
                let task = tokio::spawn(http::listen(Arc::clone(link)));
                // One that answers only when it has something to say goes without.
                let _ = timeout(PATIENCE, link.hears()).await;
                task
            }
            (Link::Command(_) | Link::Sse(_), Era::Legacy) => return None,
        };
        Some(AbortOnDrop(task))
    }
}

/// A task that ends when it is no longer wanted.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
