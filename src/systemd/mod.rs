//! What systemd gives to a service and hears from it: sockets, readiness and
//! status, the watchdog, the journal. All of it also works without systemd:
//! then nothing is handed over, nothing is told, and log lines go to stderr.

mod log;
mod message;
mod notify;
mod refusal;
mod sockets;

pub use log::{LogError, LogFormat, LogGuard, LogOptions, init as init_log};
pub use message::login_needed;
pub use notify::{Notifier, watchdog_interval};
pub use refusal::refuse;
pub use sockets::{Handed, Listener, SocketError, take as take_sockets};

/// Environment variables that the service manager addresses to this process
/// alone. A child that saw them could speak in its name (`NOTIFY_SOCKET`), take
/// its descriptors for its own (`LISTEN_FDS`) or read every backend's
/// credentials (`CREDENTIALS_DIRECTORY`), so none is ever passed on, not even
/// to a backend that inherits the environment.
pub const PRIVATE_VARIABLES: [&str; 8] = [
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
