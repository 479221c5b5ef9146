//! Backends that are broken, each in a way of its own: what the fault tests
//! put behind mcpmux (`tests/faults_command`, `tests/faults_http`), here as
//! company for backends that work. They are the tests' own scriptable peers,
//! whose accounts nobody reads.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    backend::Era,
    load::Client,
    process::Process,
    request::{Call, Endpoint},
};

#[path = "../../../tests/peer/src/script.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod script;
#[path = "../../../tests/support/scripts.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::format_collect,
    reason = "the tests use the rest, and keep other rules"
)]
mod scripts;

use script::{Event, Script, Step};
use scripts::{legacy, result};

/// The pause between two calls of broken backends.
const NOW_AND_THEN: Duration = Duration::from_millis(100);

/// Most calls of broken backends that are open at once.
const OPEN: usize = 64;

/// How long a broken backend over HTTP may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
const NOISE: &str =
    "Server running on stdio!\n\n{\"half\": \n[1,2]\n\u{1b}[1mhello\u{1b}[0m\n{}\nnull\n";
const PAGE: &str = "<!doctype html><title>Sign in</title>";
const NEWS: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"and on"}}"#;

/// What is broken, and how that shows.
enum Way {
    /// A process that obeys this script.
    Command(Script),
    /// A server over HTTP that obeys this script.
    Http(Script),
    /// A program that is not there.
    Missing,
    /// An address where nobody listens.
    Refused,
}

/// Every way to be broken, by name.
fn ways() -> Vec<(&'static str, Way)> {
    let command = |steps: Vec<Step>| Way::Command(legacy(&["echo"]).tool("echo", steps));
    let http = |steps: Vec<Step>| Way::Http(legacy(&["echo"]).tool("echo", steps));
    let always = |steps: Vec<Step>| Way::Http(Script::default().on("/mcp", steps));
    let never = || Step::Await("never".to_owned());
    let stream = || Step::Sse(Vec::new());
    let noise = || Step::Bytes(NOISE.to_owned());
    let silent = Script::default()
        .on("server/discover", [])
        .on("initialize", []);
    let exits = Script::default().start([Step::Stderr("no licence".to_owned()), Step::Exit(7)]);
    let floods = legacy(&["echo"])
        .start([Step::FloodStderr(8 << 20)])
        .tool("echo", [Step::FloodStderr(1 << 20), result(DONE)]);
    let endless = Script::default()
        .on(
            "server/discover",
            [stream(), Step::Endless(NEWS.to_owned())],
        )
        .on("initialize", [stream(), Step::Endless(NEWS.to_owned())]);
    vec![
        ("missing", Way::Missing),
        ("exits", Way::Command(exits)),
        ("hangs", Way::Command(silent)),
        ("floods-stderr", Way::Command(floods)),
        ("noisy", command(vec![noise(), result(DONE)])),
        ("garbage-in-call", command(vec![noise(), never()])),
        ("dies-in-call", command(vec![Step::Exit(3)])),
        (
            "forks-in-call",
            command(vec![Step::Grandchildren(2), Step::Exit(0)]),
        ),
        (
            "long-line-in-call",
            command(vec![Step::LongLine(17 << 20), never()]),
        ),
        ("stalls-in-call", command(vec![never()])),
        ("refused", Way::Refused),
        ("resets", always(vec![Step::Reset])),
        ("stalls", always(vec![never()])),
        ("html", always(respond(200, "text/html", PAGE))),
        ("http-401", always(respond(401, "text/plain", ""))),
        ("http-404", always(respond(404, "text/plain", "not found"))),
        ("http-500", always(respond(500, "text/plain", "oh no"))),
        ("endless", Way::Http(endless)),
        ("http-resets-in-call", http(vec![Step::Reset])),
        ("http-stalls-in-call", http(vec![never()])),
        ("http-html-in-call", http(respond(200, "text/html", PAGE))),
        (
            "http-500-in-call",
            http(respond(500, "text/plain", "oh no")),
        ),
        (
            "http-endless-in-call",
            http(vec![stream(), Step::Endless(NEWS.to_owned())]),
        ),
        (
            "http-torn-in-call",
            http(vec![
                stream(),
                Step::Bytes("data: {\"json".to_owned()),
                Step::Reset,
            ]),
        ),
        (
            "http-huge-in-call",
            http(respond(200, "application/json", &"x".repeat(17 << 20))),
        ),
    ]
}

fn respond(status: u16, kind: &str, body: &str) -> Vec<Step> {
    let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
    let body = body.to_owned();
    vec![Step::Respond {
        status,
        headers,
        body,
    }]
}

/// Broken backends. Those over HTTP run; those that are commands are started by
/// who is configured to. Fields are dropped in this order.
#[derive(Debug)]
pub struct Faults {
    /// Their entries in the configuration of mcpmux.
    pub entries: Vec<Value>,
    /// The names of the tools that they have, or would have if they worked.
    pub tools: Vec<String>,
    _servers: Vec<Process>,
    _unheard: JoinSet<()>,
    _held: TcpSocket,
}

impl Faults {
    /// How many they are.
    pub fn count() -> usize {
        ways().len()
    }

    /// Starts those that have to run, by the program `peer`; files go to `dir`.
    pub async fn start(peer: &Path, dir: &Path) -> anyhow::Result<Self> {
        let held = TcpSocket::new_v4()?;
        // Bound and never listened on: connections are refused, and nobody else
        // gets the port.
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let (mut entries, mut servers, mut unheard) = (Vec::new(), Vec::new(), JoinSet::new());
        for (name, way) in ways() {
            let home = dir.join(format!("broken-{name}"));
            fs::create_dir_all(&home)?;
            let reached = match way {
                Way::Missing => json!({ "transport": "command", "command": ["no-such-program-7"] }),
                Way::Refused => over_http(held.local_addr()?),
                Way::Command(script) => {
                    ignore(&home, &script, &mut unheard)?;
                    json!({ "transport": "command", "command": [peer, &home] })
                }
                Way::Http(script) => {
                    let address = ignore(&home, &script, &mut unheard)?;
                    let mut command = Command::new(peer);
                    command
                        .args(["--http", "127.0.0.1:0"])
                        .arg(&home)
                        .stdin(Stdio::null())
                        .stdout(Stdio::null());
                    servers.push(Process::start(
                        &format!("broken-{name}"),
                        &mut command,
                        dir,
                    )?);
                    over_http(
                        listening(address)
                            .await
                            .with_context(|| format!("{name} does not listen"))?,
                    )
                }
            };
            let mut entry = json!({ "name": name, "timeout": "1s", "max_timeout": "2s" });
            if let (Value::Object(entry), Value::Object(reached)) = (&mut entry, reached) {
                entry.extend(reached);
            }
            entries.push(entry);
        }
        let tools = ways()
            .iter()
            .map(|(name, _)| format!("{name}__echo"))
            .collect();
        Ok(Self {
            entries,
            tools,
            _servers: servers,
            _unheard: unheard,
            _held: held,
        })
    }
}

fn over_http(address: SocketAddr) -> Value {
    json!({ "transport": "http", "endpoint": format!("http://{address}/mcp") })
}

/// The harness of a peer whose home this is: it lets every process of it begin,
/// and forgets what it tells, but for the address where one listens.
fn ignore(
    home: &Path,
    script: &Script,
    unheard: &mut JoinSet<()>,
) -> anyhow::Result<watch::Receiver<Option<SocketAddr>>> {
    fs::write(home.join("script.json"), serde_json::to_vec(script)?)?;
    let listener = UnixListener::bind(home.join("harness"))?;
    let (told, address) = watch::channel(None);
    unheard.spawn(async move {
        let mut processes = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            processes.spawn(hear(stream, told.clone()));
            while processes.try_join_next().is_some() {}
        }
    });
    Ok(address)
}

async fn hear(mut stream: UnixStream, told: watch::Sender<Option<SocketAddr>>) {
    if stream.write_all(b"\n").await.is_err() {
        return;
    }
    let mut events = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(events.read_until(b'\n', &mut line).await, Ok(1..)) {
        if told.borrow().is_none()
            && let Ok(Event::Listening(address)) = serde_json::from_slice(&line)
        {
            told.send_replace(address.parse().ok());
        }
        line.clear();
    }
}

async fn listening(mut address: watch::Receiver<Option<SocketAddr>>) -> anyhow::Result<SocketAddr> {
    let told = tokio::time::timeout(PATIENCE, address.wait_for(Option::is_some)).await??;
    told.context("no address")
}

/// Calls of broken backends, one after another for as long as this lives.
/// Nothing is expected of their answers.
#[derive(Debug)]
pub struct Trouble(#[expect(dead_code, reason = "it is what lives")] JoinSet<()>);

impl Trouble {
    /// Begins to call `tools` at `endpoint`.
    pub fn begin(endpoint: &Endpoint, tools: &[String]) -> Self {
        let places = tools.iter().map(|tool| Endpoint {
            tool: tool.clone(),
            ..endpoint.clone()
        });
        let places: Vec<Endpoint> = places.collect();
        let mut caller = JoinSet::new();
        caller.spawn(async move {
            let mut calls = JoinSet::new();
            for place in places.into_iter().cycle() {
                tokio::time::sleep(NOW_AND_THEN).await;
                while calls.try_join_next().is_some() {}
                if calls.len() < OPEN {
                    calls.spawn(async move {
                        if let Ok(mut client) = Client::open(&place, Era::Modern).await {
                            _ = client.call(Call::Echo(8)).await;
                        }
                    });
                }
            }
        });
        Self(caller)
    }
}
