//! A backend that is started by the call that needs it, and ended when none has
//! for a while: `start: lazy` and `idle_stop`.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Backend, Connection, Down, Observer, State, unit::Span};
use crate::config::Start;

impl Backend {
    /// Whether it may wait for its first call: what it offers is known, and it is
    /// not one client's own, who has just called.
    pub(super) fn begins_at_rest(&self) -> bool {
        self.settings().start == Start::Lazy
            && self.client.is_none()
            && self.inventory().offers.is_some()
            && !self.has_inherited()
    }

    /// Rests until somebody needs it; false if it is to stop.
    pub(super) async fn rest(&self, stop: &CancellationToken, observer: &impl Observer) -> bool {
        let reason = match self.settings().idle_stop {
            Some(time) if self.tally.has_started() => {
                format!("nobody has called it for {}", Span(time))
            }
            _ => "nobody has called it yet".to_owned(),
        };
        let down = Down {
            reason: reason.into(),
            since: Instant::now(),
            next: None,
        };
        // Who needed it before has had it.
        tokio::select! {
            biased;
            () = self.needed.notified() => {}
            () = async {} => {}
        }
        self.set(State::Idle(down), observer);
        tokio::select! {
            () = stop.cancelled() => return false,
            () = self.needed.notified() => {}
        }
        info!(backend = self.name(), "a call needs it, it is started");
        self.set(State::starting(), observer);
        true
    }

    /// Waits until nobody has used the connection for as long as is configured.
    pub(super) async fn unused(&self, connection: &Connection) {
        loop {
            let settled = self.settled.notified();
            let Some(time) = self.settings().idle_stop.filter(|_| self.client.is_none()) else {
                settled.await;
                continue;
            };
            tokio::select! {
                () = connection.usage.idle(time) => return,
                () = settled => {}
            }
        }
    }
}
