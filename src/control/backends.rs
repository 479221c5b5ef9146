//! The requests about backends: how they are, and to start and stop them.

use std::{io, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{message::Answer, reload::Reload, server::Replies};
use crate::{
    credential::Logins,
    mux::{BackendStatus, Mux},
};

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
    /// When it began.
    pub started: Instant,
    /// By whom its configuration is read again.
    pub reload: Reload,
}

/// How it is.
pub(super) async fn status(served: &Served, replies: &mut Replies) -> io::Result<()> {
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: served.started.elapsed().as_secs(),
        config: served.config.clone(),
        sockets: served.sockets.clone(),
        backends: served.mux.status(),
    };
    replies.send(&Answer::Status(status)).await
}

/// Has it done; it takes effect at once, and its end is not waited for.
pub(super) async fn act(
    served: &Served,
    deed: Deed,
    name: &str,
    replies: &mut Replies,
) -> io::Result<()> {
    let Some(backend) = served.mux.backend(name) else {
        let reason = format!("there is no backend {name:?}");
        return replies.send(&Answer::Refused { reason }).await;
    };
    match deed {
        Deed::Start => backend.start(),
        Deed::Stop => backend.stop(),
        Deed::Restart => backend.restart(),
    }
    replies.send(&Answer::Done).await
}
