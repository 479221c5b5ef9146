//! What a backend is doing right now: one value, changed by its supervisor
//! alone.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Connection, unit::Span};

/// The state of a backend.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Not yet connected, and nothing has failed: calls wait for it.
    Starting,
    /// Connected.
    Up(Arc<Connection>),
    /// Not connected, and nobody needs it: the next call starts it.
    Idle(Down),
    /// Not connected before a person has logged in: calls say where that is done.
    AwaitingLogin(Down),
    /// Not connected: calls fail at once.
    Down(Down),
    /// Ended by a person, and not started again before it is told.
    Stopped(Down),
}

/// Why a backend is down, since when, and when it is tried again.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    /// What went wrong last.
    pub(crate) reason: Arc<str>,
    /// When it went away.
    pub(crate) since: Instant,
    /// When it is tried again; never, unless asked to, if `None`.
    pub(crate) next: Option<Instant>,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (down for {}",
            self.reason,
            Span(self.since.elapsed())
        )?;
        match self.next {
            None => f.write_str("; it is not tried again by itself)"),
            Some(next) => match next.saturating_duration_since(Instant::now()) {
                Duration::ZERO => f.write_str("; it is being tried again now)"),
                wait => write!(f, "; next attempt in {})", Span(wait)),
            },
        }
    }
}
