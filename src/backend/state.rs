//! What a backend is doing right now: one value, changed by its supervisor
//! alone, and who is told of it.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Backend, Connection, Inventory, Lists, unit::Span};

/// The state of a backend.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Not yet connected, since then, and nothing has failed: calls wait for it.
    Starting(Instant),
    /// Connected, since then.
    Up(Arc<Connection>, Instant),
    /// Not connected, and nobody needs it: the next call starts it.
    Idle(Down),
    /// Not connected before a person has logged in: calls say where that is done.
    AwaitingLogin(Down),
    /// Not connected: calls fail at once.
    Down(Down),
    /// Ended by a person, and not started again before it is told.
    Stopped(Down),
}

impl State {
    /// Not yet connected from now on.
    pub(crate) fn starting() -> Self {
        Self::Starting(Instant::now())
    }
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

/// Who is told what becomes of a backend.
pub(crate) trait Observer {
    /// `backend` is about to offer `inventory`: returns once it may.
    fn offers(
        &self,
        _backend: &Backend,
        _inventory: &Arc<Inventory>,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// What `backend` offers is another one, or it has told that `told` are.
    fn offer_changed(&self, backend: &Backend, told: Lists);

    /// Its state is another one; what follows from it has been told before.
    fn state_changed(&self);

    /// Its session is a new one, which knows of no subscription.
    fn session_began(&self, _backend: &Backend) {}
}
