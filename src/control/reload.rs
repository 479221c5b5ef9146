//! The request to read the configuration again.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{backends::Served, message::Answer, server::Replies};
use crate::mux::Difference;

/// What the configuration has changed that was read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The backends that are other ones.
    #[serde(flatten)]
    pub backends: Difference,
    /// The other keys that are other ones, and are in effect.
    #[serde(default)]
    pub in_effect: Vec<String>,
    /// The keys that are other ones than at the start and need a restart.
    pub needs_restart: Vec<String>,
    /// What is worth knowing besides.
    pub warnings: Vec<String>,
}

/// Who wants the configuration read again, and to hear what came of it: what has
/// changed, or everything that is wrong with it.
pub type Ask = Option<oneshot::Sender<Result<Reloaded, Vec<String>>>>;

/// Asks for it.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<Ask>);

impl Reload {
    /// Asks whoever has the other end; more than a few wait in no queue, for who
    /// reads it reads it once for all of them.
    pub fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(32);
        (Self(asks), asked)
    }

    /// Asks, and does not wait.
    pub fn ask(&self) {
        // A full queue is read after this.
        let _ = self.0.try_send(None);
    }

    /// Asks, and waits; `None` if mcpmux is stopping.
    async fn done(&self) -> Option<Result<Reloaded, Vec<String>>> {
        let (teller, told) = oneshot::channel();
        self.0.send(Some(teller)).await.ok()?;
        told.await.ok()
    }
}

/// Has the configuration read again, and says what came of it.
pub(super) async fn reload(served: &Served, replies: &mut Replies) -> io::Result<()> {
    let answer = match served.reload.done().await {
        Some(Ok(reloaded)) => Answer::Reloaded(reloaded),
        Some(Err(problems)) => Answer::Invalid { problems },
        None => Answer::Refused {
            reason: "mcpmux is stopping".to_owned(),
        },
    };
    replies.send(&answer).await
}
