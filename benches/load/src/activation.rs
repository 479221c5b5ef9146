//! How long the first client waits when its connection is what starts mcpmux.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    backend::Era,
    daemon::{Backends, Launcher, PATIENCE, PAUSE},
    load::Client,
    process::Process,
    request::Call,
    rounds::median,
    scenario::{LEGACY, TOOLS},
};

/// Medians of the time to a whole list of tools, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Activation {
    /// From connecting to the list, with a running HTTP backend.
    pub http: f64,
    /// From connecting to the list, with a stdio backend that starts too.
    pub stdio: f64,
    /// What that stdio backend takes by itself from its start to its list.
    pub backend: f64,
    /// How many starts there were.
    pub starts: u32,
    /// In how many of them the first list was not yet whole.
    pub incomplete: u32,
}

/// Measures `rounds` starts of each kind.
pub async fn measure(launcher: &Launcher, rounds: u32) -> anyhow::Result<Activation> {
    let (mut http, mut stdio, mut backend) = (Vec::new(), Vec::new(), Vec::new());
    let mut incomplete = 0;
    for round in 0..rounds {
        for (kind, backends, times) in [
            ("http", Backends::Http(LEGACY), &mut http),
            ("stdio", Backends::Stdio, &mut stdio),
        ] {
            let name = format!("activated-{kind}-{round}");
            let (time, whole) = activate(launcher, &name, backends).await?;
            times.push(time);
            incomplete += u32::from(!whole);
        }
        backend.push(start_backend(launcher, round)?);
    }
    Ok(Activation {
        http: median(http),
        stdio: median(stdio),
        backend: median(backend),
        starts: 2 * rounds,
        incomplete,
    })
}

/// A client connects to a socket that nobody serves yet; then mcpmux starts,
/// as systemd would start it. Gives the time until the client has the whole
/// list, and whether the first list was whole.
async fn activate(
    launcher: &Launcher,
    name: &str,
    backends: Backends,
) -> anyhow::Result<(f64, bool)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let start = Instant::now();
    let daemon = launcher.launch(name, backends, listener)?;
    let list = async {
        let mut client = Client::open(&daemon.endpoint, Era::Legacy).await?;
        let mut whole = true;
        while client.call(Call::List(TOOLS)).await.is_err() {
            whole = false;
            tokio::time::sleep(PAUSE).await;
        }
        let time = milliseconds(start);
        client.close().await?;
        anyhow::Ok((time, whole))
    };
    let outcome = tokio::time::timeout(PATIENCE, list)
        .await
        .context("no whole list")
        .flatten();
    outcome.with_context(|| format!("{name} logged: {}", daemon.process.complaint()))
}

/// The stdio backend alone, asked as mcpmux asks it.
fn start_backend(launcher: &Launcher, round: u32) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut command = Command::new(&launcher.backend);
    command
        .args(["--stdio", "--tools", &TOOLS.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = Process::start(&format!("backend-{round}"), &mut command, &launcher.dir)?;
    let mut input = process.child().stdin.take().context("no stdin")?;
    let mut output = BufReader::new(process.child().stdout.take().context("no stdout")?);
    let mut line = String::new();
    let client = json!({ "name": "mcpmux-load", "version": "0" });
    let hello = json!({ "protocolVersion": Era::Legacy.version(), "capabilities": {}, "clientInfo": client });
    for (id, method, params) in [(1, "initialize", hello), (2, "tools/list", json!({}))] {
        writeln!(
            input,
            "{}",
            json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
        )?;
        line.clear();
        output.read_line(&mut line)?;
    }
    let time = milliseconds(start);
    let list: Value = serde_json::from_str(&line)?;
    anyhow::ensure!(
        list["result"]["tools"]
            .as_array()
            .is_some_and(|tools| tools.len() == TOOLS),
        "the backend gave no list"
    );
    Ok(time)
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
