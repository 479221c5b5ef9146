//! mcpmux under test: its configuration, and its start with a socket handed
//! over, as systemd does it (`sd_listen_fds(3)`).

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    backend::{Era, answer::FEW},
    load::Client,
    process::Process,
    request::{Call, Endpoint},
    scenario::TOOLS,
    target::Upstream,
};

/// How long mcpmux may take to have all its backends' tools.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two looks at whether it has.
pub const PAUSE: Duration = Duration::from_millis(10);

/// The backends behind a mcpmux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backends {
    /// One, over HTTP.
    Http(Upstream),
    /// One, over stdin and stdout.
    Stdio,
    /// As many as have [`TOOLS`] tools together, over HTTP.
    Many,
}

impl Backends {
    /// How many backends [`Backends::Many`] are.
    pub const MANY: usize = TOOLS / FEW;

    /// The configuration of mcpmux, in the JSON that is YAML too.
    fn configuration(self, backend: &Path, http: SocketAddr) -> Value {
        let over_http = |name: String, path: String, era: Era| {
            let era = if era == Era::Legacy {
                "legacy"
            } else {
                "modern"
            };
            json!({ "name": name, "transport": "http", "endpoint": format!("http://{http}{path}"), "era": era })
        };
        let backends = match self {
            Self::Http(upstream) => vec![over_http(
                "bench".to_owned(),
                upstream.path.to_owned(),
                upstream.era,
            )],
            Self::Stdio => {
                let command = json!([backend, "--stdio", "--tools", TOOLS.to_string()]);
                vec![
                    json!({ "name": "bench", "transport": "command", "command": command, "era": "legacy" }),
                ]
            }
            Self::Many => (0..Self::MANY)
                .map(|n| over_http(format!("bench{n:02}"), format!("/few/{n}"), Era::Legacy))
                .collect(),
        };
        json!({ "listen": { "transport": "http" }, "backends": backends })
    }

    fn tool(self) -> &'static str {
        match self {
            Self::Many => "bench00__echo",
            Self::Http(_) | Self::Stdio => "bench__echo",
        }
    }
}

/// What starts a mcpmux.
#[derive(Debug)]
pub struct Launcher {
    /// The program.
    pub mcpmux: PathBuf,
    /// The program that is its stdio backend.
    pub backend: PathBuf,
    /// The HTTP backend.
    pub http: SocketAddr,
    /// Where its files go.
    pub dir: PathBuf,
}

/// A running mcpmux.
#[derive(Debug)]
pub struct Daemon {
    /// Its process.
    pub process: Process,
    /// Its MCP endpoint.
    pub endpoint: Endpoint,
}

impl Launcher {
    /// Starts mcpmux and waits until it has all its backends' tools.
    pub async fn ready(&self, name: &str, backends: Backends) -> anyhow::Result<Daemon> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut daemon = self.launch(name, backends, listener)?;
        let start = Instant::now();
        // It serves at once; its backends come when they come.
        loop {
            let list = tokio::time::timeout(PATIENCE, first_list(&daemon.endpoint));
            let problem = match list.await.context("no answer").flatten() {
                Ok(()) => return Ok(daemon),
                Err(problem) => problem,
            };
            daemon.process.check()?;
            if start.elapsed() > PATIENCE {
                let log = daemon.process.complaint();
                return Err(problem.context(format!("{name} is not ready; it logged: {log}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Starts mcpmux on `listener` and does not wait for anything.
    pub fn launch(
        &self,
        name: &str,
        backends: Backends,
        listener: TcpListener,
    ) -> anyhow::Result<Daemon> {
        let address = listener.local_addr()?;
        let home = self.dir.join(name);
        fs::create_dir_all(&home)?;
        let file = home.join("mcpmux.yaml");
        fs::write(
            &file,
            backends.configuration(&self.backend, self.http).to_string(),
        )?;
        // The shell puts the socket where it belongs; mcpmux takes over its
        // process id.
        let mut command = Command::new("/bin/sh");
        command
            .args([
                "-c",
                r#"exec 3<&0 </dev/null; exec env LISTEN_PID=$$ "$0" serve -c "$1""#,
            ])
            .arg(&self.mcpmux)
            .arg(&file)
            .env("LISTEN_FDS", "1")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null());
        for variable in [
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
        ] {
            command.env(variable, &home);
        }
        for variable in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        let process = Process::start(name, &mut command, &self.dir).context("mcpmux")?;
        let endpoint = Endpoint {
            address,
            path: "/mcp".to_owned(),
            tool: backends.tool().to_owned(),
        };
        Ok(Daemon { process, endpoint })
    }
}

/// A new client's first list of tools, which must be complete.
async fn first_list(endpoint: &Endpoint) -> anyhow::Result<()> {
    let mut client = Client::open(endpoint, Era::Legacy).await?;
    client.call(Call::List(TOOLS)).await?;
    client.close().await
}
