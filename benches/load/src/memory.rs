//! What a session and a backend of mcpmux take of memory.

use anyhow::Context;
use serde::Serialize;

use crate::{
    backend::Era,
    daemon::{Backends, Launcher},
    load::Client,
    scenario::LEGACY,
    stage::mebibytes,
};

/// How many sessions are opened to know the size of one.
const SESSIONS: u16 = 500;

/// Memory of mcpmux by what it holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Resident after the start, with one backend of 200 tools and nothing
    /// asked for but its list, in MiB.
    pub idle: f64,
    /// For one more legacy session, in KiB.
    pub per_session: f64,
    /// For one more backend, with the same number of tools in all, in KiB.
    pub per_backend: f64,
}

/// Starts an instance for each question and looks at its resident memory.
pub async fn measure(launcher: &Launcher) -> anyhow::Result<Memory> {
    let one = launcher.ready("memory-one", Backends::Http(LEGACY)).await?;
    let pid = [one.process.id()];
    let idle = mebibytes(&pid)?;
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let client = Client::open(&one.endpoint, Era::Legacy).await;
        sessions.push(client.with_context(|| format!("session {number}"))?);
    }
    let crowded = mebibytes(&pid)?;
    for session in sessions {
        session.close().await?;
    }
    drop(one);
    let many = launcher.ready("memory-many", Backends::Many).await?;
    let further = u16::try_from(Backends::MANY)? - 1;
    Ok(Memory {
        idle,
        per_session: (crowded - idle) * 1024.0 / f64::from(SESSIONS),
        per_backend: (mebibytes(&[many.process.id()])? - idle) * 1024.0 / f64::from(further),
    })
}
