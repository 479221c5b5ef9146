//! The signals that mean something to mcpmux.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Caught {
    /// To end.
    Stop(&'static str),
    /// To try every backend again.
    Retry,
    /// To read the configuration again.
    Reload,
}

/// Those that have come and were not looked at yet.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    retry: Signal,
    /// Whether mcpmux was started at a terminal.
    at_terminal: bool,
}

impl Signals {
    /// Catches them from now on.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            retry: signal(SignalKind::user_defined1())?,
            at_terminal: io::stdin().is_terminal(),
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Caught::Stop("SIGINT"),
            // The terminal was closed: who started mcpmux there has gone.
            _ = self.hangup.recv() => if self.at_terminal && !io::stdin().is_terminal() {
                Caught::Stop("SIGHUP")
            } else {
                Caught::Reload
            },
            _ = self.retry.recv() => Caught::Retry,
        }
    }
}
