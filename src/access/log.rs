//! What the log says of those who were refused: enough to know why, and not a
//! line for each of a crowd.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use crate::audit::Audit;

/// The least time between two lines of level `warn`.
const PAUSE: Duration = Duration::from_secs(5);

/// What was said last, how much was not, and where all of it is recorded.
#[derive(Debug)]
pub(super) struct Log {
    said: Mutex<Said>,
    audit: Arc<Audit>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Log {
    /// One whose refusals `audit` records.
    pub(super) fn new(audit: Arc<Audit>) -> Self {
        Self {
            said: Mutex::default(),
            audit,
        }
    }

    /// Where refusals are recorded.
    pub(super) fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// Says that `what` of somebody, who is at `from`, was refused, and `why`.
    pub(super) fn refused(&self, what: &str, from: &str, why: &str) {
        self.audit.refused(from, why);
        let Some(unsaid) = self.turn() else {
            debug!("refused {what} from {from}: {why}");
            return;
        };
        match unsaid {
            0 => warn!("refused {what} from {from}: {why}"),
            more => warn!(
                "refused {what} from {from}: {why} ({more} more were refused since the last such line)"
            ),
        }
    }

    /// How many were not said, if it is time to say something.
    fn turn(&self) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(Instant::now());
        Some(std::mem::take(&mut said.unsaid))
    }
}
