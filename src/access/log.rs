//! What the log says of those who were refused: enough to know why, and not a
//! line for each of a crowd.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{debug, warn};

/// The least time between two lines of level `warn`.
const PAUSE: Duration = Duration::from_secs(5);

/// What was said last, and how much was not.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Log {
    /// Says that somebody was refused.
    pub(super) fn say(&self, what: &str) {
        let Some(unsaid) = self.turn() else {
            debug!("{what}");
            return;
        };
        match unsaid {
            0 => warn!("{what}"),
            more => warn!("{what} ({more} more were refused since the last such line)"),
        }
    }

    /// How many were not said, if it is time to say something.
    fn turn(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(Instant::now());
        Some(std::mem::take(&mut said.unsaid))
    }
}
