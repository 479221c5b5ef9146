//! Very many clients that do nothing: what a session takes of memory, and how
//! long it takes until all have heard of a changed list.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    backend::stdio::CHANGE,
    daemon::{Backends, Daemon, Launcher},
    request,
    rounds::median,
    scenario::LEGACY,
    usage,
    wire::Connection,
};

/// How many sessions are opened to know the size of one.
pub const IDLE: u32 = 9_000;

/// Of these, how many have a stream open; each takes a descriptor here and there.
const STREAMS: u32 = 4_000;

/// How many clients are told of a change.
pub const CLIENTS: u32 = 1_000;

/// How long a change may take to reach all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Memory of idle sessions, in bytes for one.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Idle {
    /// How many there were.
    pub sessions: u32,
    /// Of one without a stream or a connection.
    pub bytes: f64,
    /// How many had a stream open.
    pub streams: u32,
    /// Of a session, its stream and the connection of that.
    pub bytes_streaming: f64,
}

/// What it took to tell all clients of a change: medians of the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Fanout {
    /// How many clients there were.
    pub clients: u32,
    /// From the call that changes the list to the last client's notification, in
    /// milliseconds; mcpmux gathers changes for 150 of them.
    pub all_ms: f64,
    /// From the first client's notification to the last one's, in milliseconds.
    pub spread_ms: f64,
    /// CPU time of mcpmux, in milliseconds.
    pub cpu_ms: f64,
}

/// Opens `count` sessions and looks at what is resident.
pub async fn idle(launcher: &Launcher, count: u32) -> anyhow::Result<Idle> {
    let daemon = launcher.ready("idle", Backends::Http(LEGACY)).await?;
    let pid = [daemon.process.id()];
    // What the first ones bring about is not of the sessions.
    open(&daemon, count / 10).await?;
    let before = usage::read(&pid)?.resident;
    open(&daemon, count - count / 10).await?;
    let crowded = usage::read(&pid)?.resident;
    drop(daemon);
    let daemon = launcher.ready("streaming", Backends::Http(LEGACY)).await?;
    let pid = [daemon.process.id()];
    let count_streaming = count.min(STREAMS);
    let mut streams = stream(&daemon, count_streaming / 10).await?;
    let quiet = usage::read(&pid)?.resident;
    streams.extend(stream(&daemon, count_streaming - count_streaming / 10).await?);
    let streaming = usage::read(&pid)?.resident;
    drop(streams);
    let each = |kibibytes: u64, count: u32| {
        f64::from(u32::try_from(kibibytes).unwrap_or(u32::MAX)) * 1024.0
            / f64::from(count - count / 10)
    };
    Ok(Idle {
        sessions: count,
        bytes: each(crowded.saturating_sub(before), count),
        streams: count_streaming,
        bytes_streaming: each(streaming.saturating_sub(quiet), count_streaming),
    })
}

/// Changes a list in front of `clients` clients, in so many rounds.
pub async fn fanout(launcher: &Launcher, clients: u32, rounds: u32) -> anyhow::Result<Fanout> {
    let daemon = launcher.ready("fanout", Backends::Stdio).await?;
    let pid = [daemon.process.id()];
    let mut streams = stream(&daemon, clients).await?;
    let mut caller = Connection::open(daemon.endpoint.address).await?;
    let session = open_on(&mut caller, &daemon).await?;
    let change = request::echo(&daemon.endpoint, Some(&session), CHANGE);
    let (mut all, mut spread, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before = usage::read(&pid)?.cpu;
        let start = Instant::now();
        let mut listening = JoinSet::new();
        for mut stream in streams.drain(..) {
            listening.spawn(async move {
                loop {
                    let piece = stream.piece().await?;
                    if piece.windows(12).any(|part| part == b"list_changed") {
                        return anyhow::Ok((stream, Instant::now()));
                    }
                }
            });
        }
        caller.exchange(&change).await?;
        let (mut first, mut last) = (None, start);
        while let Some(told) = tokio::time::timeout(PATIENCE, listening.join_next())
            .await
            .context("a client was not told")?
        {
            let (stream, when) = told??;
            first.get_or_insert(when);
            first = first.min(Some(when));
            last = last.max(when);
            streams.push(stream);
        }
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        all.push(milliseconds(last - start));
        spread.push(milliseconds(last - first.unwrap_or(last)));
        cpu.push(milliseconds(usage::read(&pid)?.cpu.saturating_sub(before)));
    }
    Ok(Fanout {
        clients,
        all_ms: median(all),
        spread_ms: median(spread),
        cpu_ms: median(cpu),
    })
}

/// Opens sessions over one connection, which is closed then.
async fn open(daemon: &Daemon, count: u32) -> anyhow::Result<()> {
    let mut connection = Connection::open(daemon.endpoint.address).await?;
    for _ in 0..count {
        open_on(&mut connection, daemon).await?;
    }
    Ok(())
}

async fn open_on(connection: &mut Connection, daemon: &Daemon) -> anyhow::Result<String> {
    let endpoint = &daemon.endpoint;
    let welcome = connection.exchange(&request::initialize(endpoint)).await?;
    let session = welcome.session.context("no session")?;
    let accepted = connection
        .exchange(&request::initialized(endpoint, Some(&session)))
        .await?;
    if accepted.status != 202 {
        bail!(
            "notifications/initialized was answered with status {}",
            accepted.status
        );
    }
    Ok(session)
}

/// Opens sessions with a stream each.
async fn stream(daemon: &Daemon, count: u32) -> anyhow::Result<Vec<Connection>> {
    let mut opening = Connection::open(daemon.endpoint.address).await?;
    let mut streams = Vec::new();
    for _ in 0..count {
        let session = open_on(&mut opening, daemon).await?;
        let mut connection = Connection::open_small(daemon.endpoint.address).await?;
        connection
            .open_stream(&request::stream(&daemon.endpoint, &session))
            .await?;
        // What it begins with.
        connection.piece().await?;
        streams.push(connection);
    }
    Ok(streams)
}
