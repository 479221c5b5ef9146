//! How long a call may take: for a time without a sign of life, and in all.

use std::time::Duration;

use tokio::time::Instant;

use crate::backend::BackendError;

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// When it began.
    pub(super) begun: Instant,
    /// How long it may be silent.
    pub(super) timeout: Duration,
    max_timeout: Duration,
    /// Progress does not move it beyond this.
    pub(super) limit: Instant,
    /// When it has been silent for too long.
    pub(super) deadline: Instant,
}

impl Clock {
    /// Of a call that begins now.
    pub(super) fn start(timeout: Duration, max_timeout: Duration) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            timeout,
            max_timeout,
            limit: begun + max_timeout.max(timeout),
            deadline: begun + timeout,
        }
    }

    /// It is alive: the time begins anew.
    pub(super) fn extend(&mut self) {
        self.deadline = (Instant::now() + self.timeout).min(self.limit);
    }

    /// What to say once the deadline has passed.
    pub(super) fn passed(&self) -> BackendError {
        if self.deadline == self.limit && self.max_timeout > self.timeout {
            BackendError::TimedOut {
                limit: self.max_timeout,
                key: "max_timeout",
            }
        } else {
            BackendError::TimedOut {
                limit: self.timeout,
                key: "timeout",
            }
        }
    }
}
