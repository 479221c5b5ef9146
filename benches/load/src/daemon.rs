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

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    backend::{Era, answer::FEW},
    load::Client,
    process::Process,
    request::{Call, Endpoint},
    scenario::{LEGACY, TOOLS},
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
    /// [`GOOD`](Self::GOOD) that work, the last of them over stdin and stdout,
    /// and the broken ones of the [`Launcher`] or none.
    Company {
        /// Whether the broken ones are there.
        broken: bool,
    },
    /// One, over HTTP, with [`Self::ROLES`] roles of which each sees other tools, one
    /// of them by key, and an audit file; and another one that none of them may use.
    Doors,
}

impl Backends {
    /// How many backends [`Backends::Many`] are.
    pub const MANY: usize = TOOLS / FEW;

    /// How many backends work in [`Backends::Company`].
    pub const GOOD: usize = 25;

    /// How many of them nobody stops.
    pub const STEADY: usize = 20;

    /// The tool of that one of them which is a process.
    pub const PIPE: &str = "pipe__echo";

    /// The tool of [`Backends::Doors`] that nobody may use.
    pub const HIDDEN: &str = "secret__echo";

    /// One as long as that, which there is not.
    pub const ABSENT: &str = "absent__echo";

    /// How many roles [`Backends::Doors`] have.
    pub const ROLES: usize = 20;

    /// The configuration of mcpmux, in the JSON that is YAML too.
    fn configuration(self, launcher: &Launcher, home: &Path) -> Value {
        let (backend, http) = (&launcher.backend, launcher.http);
        let over_http = |name: String, path: String, era: Era| {
            let era = if era == Era::Legacy {
                "legacy"
            } else {
                "modern"
            };
            json!({ "name": name, "transport": "http", "endpoint": format!("http://{http}{path}"), "era": era })
        };
        let over_pipe = |name: &str, tools: usize| {
            let command = json!([backend, "--stdio", "--tools", tools.to_string()]);
            json!({ "name": name, "transport": "command", "command": command, "era": "legacy" })
        };
        let few = |count| {
            (0..count).map(|n| over_http(format!("bench{n:02}"), format!("/few/{n}"), Era::Legacy))
        };
        let backends = match self {
            Self::Http(upstream) => vec![over_http(
                "bench".to_owned(),
                upstream.path.to_owned(),
                upstream.era,
            )],
            Self::Doors => [("bench", LEGACY.path), ("secret", "/few/0")]
                .map(|(name, path)| over_http(name.to_owned(), path.to_owned(), LEGACY.era))
                .into(),
            Self::Stdio => vec![over_pipe("bench", TOOLS)],
            Self::Many => few(Self::MANY).collect(),
            Self::Company { broken } => {
                let pipe = over_pipe("pipe", FEW);
                let broken = launcher.broken.iter().filter(|_| broken).cloned();
                few(Self::GOOD - 1).chain([pipe]).chain(broken).collect()
            }
        };
        let mut configuration = json!({ "listen": { "transport": "http" }, "backends": backends });
        if self == Self::Doors {
            let role = |n: usize| {
                let allow = json!(["other/*", format!("bench/none_{n}_*"), "bench/*"]);
                let deny = json!(["bench/secret_*", format!("prompt:bench/{n}_*")]);
                (format!("role-{n}"), json!({ "allow": allow, "deny": deny }))
            };
            let roles: serde_json::Map<_, _> = (0..Self::ROLES).map(role).collect();
            configuration["access"] = json!({ "roles": roles, "default_role": "role-0" });
            configuration["audit"] = json!({ "file": home.join("audit.jsonl") });
        }
        configuration
    }

    fn tool(self) -> &'static str {
        match self {
            Self::Many | Self::Company { .. } => "bench00__echo",
            Self::Http(_) | Self::Stdio | Self::Doors => "bench__echo",
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
    /// The entries of broken backends, for [`Backends::Company`].
    pub broken: Vec<Value>,
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
    /// Where its files are.
    pub home: PathBuf,
}

impl Launcher {
    /// Starts mcpmux and waits until it has all its backends' tools.
    pub async fn ready(&self, name: &str, backends: Backends) -> anyhow::Result<Daemon> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut daemon = self.launch(name, backends, listener)?;
        let start = Instant::now();
        // It serves at once; its backends come when they come.
        loop {
            let list = tokio::time::timeout(PATIENCE, all_there(&daemon.endpoint, backends));
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
        let configuration = backends.configuration(self, &home);
        fs::write(&file, configuration.to_string())?;
        let key = match backends {
            Backends::Doors => Some(self.key(&file, &home)?),
            _ => None,
        };
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
        at_home(&mut command, &home);
        let process = Process::start(name, &mut command, &self.dir).context("mcpmux")?;
        let endpoint = Endpoint {
            address,
            path: "/mcp".to_owned(),
            tool: backends.tool().to_owned(),
            key,
        };
        Ok(Daemon {
            process,
            endpoint,
            home,
        })
    }

    /// A new key for the last of the roles that are in `file`.
    fn key(&self, file: &Path, home: &Path) -> anyhow::Result<String> {
        let role = format!("role-{}", Backends::ROLES - 1);
        let mut command = Command::new(&self.mcpmux);
        command.args(["keys", "add", "bench", "--role", &role, "-c"]);
        at_home(command.arg(file), home);
        let made = command.output().context("mcpmux keys add")?;
        let problem = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "mcpmux keys add: {problem}");
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    }
}

/// Lets a command of mcpmux have its files in `home`, and find there the
/// mcpmux that has them too.
pub fn at_home(command: &mut Command, home: &Path) {
    for variable in [
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        command.env(variable, home);
    }
    for variable in ["NOTIFY_SOCKET", "JOURNAL_STREAM", "LISTEN_FDNAMES"] {
        command.env_remove(variable);
    }
}

/// A new client's first list of tools must be complete; beside broken backends,
/// each good one must answer.
async fn all_there(endpoint: &Endpoint, backends: Backends) -> anyhow::Result<()> {
    if let Backends::Company { .. } = backends {
        let names = (0..Backends::GOOD - 1).map(|n| format!("bench{n:02}__echo"));
        for tool in names.chain([Backends::PIPE.to_owned()]) {
            let endpoint = Endpoint {
                tool,
                ..endpoint.clone()
            };
            let mut client = Client::open(&endpoint, Era::Modern).await?;
            client.call(Call::Echo(8)).await?;
        }
        return Ok(());
    }
    let mut client = Client::open(endpoint, Era::Legacy).await?;
    client.call(Call::List(TOOLS)).await?;
    client.close().await
}
