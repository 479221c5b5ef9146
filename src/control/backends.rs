//! The requests about backends: how they are, and to start and stop them.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::{message::Answer, reload::Reload, server::Replies};
use crate::{
    backend::command::{Memory, of_groups, of_unit},
    credential::Logins,
    listener::{Clients, Presence},
    mux::{BackendStatus, Mux},
};

/// How long it may take to learn how much memory all backends use.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the running mcpmux is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// How long it runs, in seconds.
    pub uptime: u64,
    /// The configuration that it serves.
    pub config: Option<PathBuf>,
    /// Where clients reach it.
    pub sockets: Vec<String>,
    /// How many clients there are.
    #[serde(default)]
    pub clients: Clients,
    /// Its backends, as in the configuration.
    pub backends: Vec<BackendStatus>,
}

/// What a person can have done to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// It is started, if it was stopped.
    Start,
    /// It is ended, and not started again by itself.
    Stop,
    /// It is ended and started again.
    Restart,
}

/// What there is to tell of and to act on.
#[derive(Debug)]
pub struct Served {
    /// The backends.
    pub mux: Arc<Mux>,
    /// The logins of all backends.
    pub logins: Arc<Logins>,
    /// The configuration that is served.
    pub config: Option<PathBuf>,
    /// Where clients reach it.
    pub sockets: Vec<String>,
    /// Its clients.
    pub presence: Arc<Presence>,
    /// When it began.
    pub started: Instant,
    /// By whom its configuration is read again.
    pub reload: Reload,
}

/// How it is.
pub(super) async fn status(served: &Served, replies: &mut Replies) -> io::Result<()> {
    let mut backends = served.mux.status();
    // Those that systemd or the kernel does not tell of in time go without.
    let _ = timeout(PATIENCE, weigh(&mut backends)).await;
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: served.started.elapsed().as_secs(),
        config: served.config.clone(),
        sockets: served.sockets.clone(),
        clients: served.presence.clients(&served.mux),
        backends,
    };
    replies.send(&Answer::Status(status)).await
}

/// Fills in how much memory they use.
async fn weigh(backends: &mut [BackendStatus]) {
    let groups = backends.iter().filter_map(|backend| backend.group);
    let mut weighed = of_groups(groups.collect()).await.into_iter();
    let fill = |backend: &mut BackendStatus, memory: Option<Memory>| {
        backend.memory = memory.map(|memory| memory.bytes);
        backend.measure = memory.map(|memory| memory.measure);
    };
    for backend in backends
        .iter_mut()
        .filter(|backend| backend.group.is_some())
    {
        fill(backend, weighed.next().flatten());
    }
    for backend in backends {
        if let Some(unit) = backend.unit.clone() {
            fill(backend, of_unit(&unit).await);
        }
    }
}

/// Has it done; it takes effect at once, and its end is not waited for.
pub(super) async fn act(
    served: &Served,
    deed: Deed,
    name: &str,
    replies: &mut Replies,
) -> io::Result<()> {
    let Some(backend) = served.mux.backend(name) else {
        let reason = served.mux.missing(name);
        return replies.send(&Answer::Refused { reason }).await;
    };
    match deed {
        Deed::Start => backend.start(),
        Deed::Stop => backend.stop(),
        Deed::Restart => backend.restart(),
    }
    replies.send(&Answer::Done).await
}
