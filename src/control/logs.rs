//! The request for a backend's log: where the journal has it, how it is found
//! there; else its last lines.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{backends::Served, message::Answer, server::Replies};
use crate::systemd;

/// Where the log of one backend is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "snake_case")]
pub enum Log {
    /// In the journal.
    Journal {
        /// The service that mcpmux is, if it is one.
        service: Option<systemd::OwnService>,
        /// The unit of the backend, if it has or would have one.
        unit: Option<String>,
        /// The process id of mcpmux.
        pid: u32,
    },
    /// In mcpmux's memory.
    Lines {
        /// The last lines of its stderr that were not seen yet.
        lines: Vec<String>,
        /// How many there were so far.
        written: u64,
    },
}

/// Where its log is; of lines, at most `most` after the first `seen`.
pub(super) async fn log(
    served: &Served,
    name: &str,
    most: usize,
    seen: u64,
    replies: &mut Replies,
) -> io::Result<()> {
    let Some(backend) = served.mux.backend(name) else {
        let reason = served.mux.missing(name);
        return replies.send(&Answer::Refused { reason }).await;
    };
    let log = if systemd::on_journal() {
        let service = spawn_blocking(systemd::own_service).await.ok().flatten();
        Log::Journal {
            unit: service
                .as_ref()
                .map(|service| systemd::backend_unit(&service.name, name)),
            service,
            pid: std::process::id(),
        }
    } else {
        let (lines, written) = backend.tail().after(seen, most);
        Log::Lines { lines, written }
    };
    replies.send(&Answer::Log(log)).await
}
