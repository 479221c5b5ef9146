//! Which log messages a legacy backend is asked for: all that any of its clients
//! wants. Who wants less is sent less.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::time::timeout;
use tracing::debug;

use super::{Connection, handshake};
use crate::protocol::{Era, Level, method};

/// How long a backend may take to set its level.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lowest level that a backend was asked for; `None` leaves the choice to it.
#[derive(Debug, Default)]
pub(super) struct Lowest(Mutex<Option<Level>>);

impl Lowest {
    /// Whether the backend must be asked, because `wanted` is lower than what it
    /// was asked for.
    fn lower(&self, wanted: Level) -> bool {
        let mut lowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lower = lowest.is_none_or(|lowest| wanted < lowest);
        if lower {
            *lowest = Some(wanted);
        }
        lower
    }

    fn is_set(&self) -> bool {
        let lowest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lowest.is_some()
    }
}

impl Connection {
    /// Sees to it that a legacy backend that logs sends messages of `wanted`
    /// and above.
    pub(crate) async fn want_level(&self, wanted: Level) {
        if self.era() == Era::Modern || !self.offers.logging || !self.level.lower(wanted) {
            return;
        }
        let params = json!({ "level": wanted.as_str() });
        let asked = handshake::query(&self.link, self.revision, method::SET_LEVEL, params);
        // The call that needs it is not to wait for a server that never answers.
        match timeout(PATIENCE, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!("the log level could not be set: {error}"),
            Err(_) => debug!("the log level may not be set: no answer"),
        }
    }

    /// Whether the level is what the backend itself chose.
    pub(crate) fn chose_level(&self) -> bool {
        !self.level.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_asked_again_only_for_more() {
        let lowest = Lowest::default();
        assert!(!lowest.is_set());
        assert!(lowest.lower(Level::Warning));
        assert!(!lowest.lower(Level::Warning));
        assert!(!lowest.lower(Level::Error));
        assert!(lowest.lower(Level::Debug));
        assert!(lowest.is_set());
    }
}
