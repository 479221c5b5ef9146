//! What systemd gives to a service and hears from it: sockets, readiness and
//! status, the watchdog, the journal, what it keeps between two starts, and units
//! that it starts for mcpmux. All of it also works without systemd:
//! then nothing is handed over, nothing is told, and log lines go to stderr.

pub(crate) mod fd_store;
mod log;
mod message;
mod notify;
mod own;
mod refusal;
mod sockets;
mod state;
mod units;

pub use fd_store::Left;
pub use log::{LogError, LogFormat, LogGuard, LogOptions, init as init_log, on_journal};
pub use message::{Audited, audited, login_needed, tool_changed};
pub use notify::{Notifier, watchdog_interval};
pub use own::{OwnService, own_service};
pub use refusal::refuse;
pub use sockets::{Handed, Listener, SocketError, Taken, take as take_descriptors};
pub use state::close_state;
pub use units::{SLICE, Service, Unit, UnitError, Units, backend_unit};

/// Environment variables that the service manager addresses to this process
/// alone. A child that saw them could speak in its name (`NOTIFY_SOCKET`), take
/// its descriptors for its own (`LISTEN_FDS`) or read every backend's
/// credentials (`CREDENTIALS_DIRECTORY`), so none is ever passed on, not even
/// to a backend that inherits the environment.
pub const PRIVATE_VARIABLES: [&str; 9] = [
    "CREDENTIALS_DIRECTORY",
    "FDSTORE",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
