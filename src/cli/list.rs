//! `mcpmux list`: the tools of all backends, or of a running endpoint.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use serde_json::{Value, json};
use url::Url;

use super::{exit, quieter, start_log, survey};
use crate::{
    backend::State,
    config::{
        Auth, BackendName, BackendSettings, Config, ConnectRetry, EraSetting, HttpSettings, Listen,
        Namespace, SessionSetting, Transport,
    },
    mux::{Mux, Shown},
    systemd::LogOptions,
};

/// List the tools of all backends.
///
/// Starts every backend of the configuration by itself, asks it, and ends it.
/// With --endpoint it asks a running server instead.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 something was listed, 1 nothing could be listed, 69 the endpoint cannot be
reached, 78 the configuration is wrong. Backends that fail are named on stderr.

Examples:
  mcpmux list
  mcpmux list -d
  mcpmux list --json | jq -r '.backends[].tools[].name'
  mcpmux list --endpoint http://127.0.0.1:8080/mcp"
)]
pub(super) struct Args {
    /// Show each tool's description
    #[arg(short, long)]
    description: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Ask the MCP endpoint at this URL
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
}

/// How long an endpoint has to answer, and a backend to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "error")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let config = match &args.endpoint {
        Some(endpoint) => of_endpoint(endpoint),
        None => match Config::load(config) {
            Ok(config) => survey::once(config),
            Err(error) => {
                eprintln!("{error}");
                return exit::CONFIG.into();
            }
        },
    };
    survey::run(list(args, &config))
}

/// A configuration whose one backend is the endpoint.
fn of_endpoint(endpoint: &Url) -> Config {
    let name = endpoint
        .host_str()
        .unwrap_or_default()
        .replace([':', '[', ']'], "");
    let name = BackendName::new(name).or_else(|_| BackendName::new("endpoint"));
    let backends = name.into_iter().map(|name| BackendSettings {
        session: SessionSetting::Shared,
        name,
        description: None,
        enabled: true,
        namespace: Namespace::None,
        era: EraSetting::Auto,
        timeout: PATIENCE,
        max_timeout: PATIENCE,
        max_message: 64 << 20,
        transport: Ok(Transport::Http(HttpSettings {
            endpoint: endpoint.clone(),
            headers: Vec::new(),
            auth: Auth::None,
        })),
    });
    Config {
        path: None,
        listen: Listen::default(),
        connect_retry: ConnectRetry {
            enabled: false,
            max_delay: PATIENCE,
            attempt_timeout: PATIENCE,
        },
        backends: backends.collect(),
        warnings: Vec::new(),
    }
}

async fn list(args: &Args, config: &Config) -> ExitCode {
    let mux = Mux::start(config);
    let waited = survey::wait(&mux).await;
    let shown = mux.shown(crate::mux::Kind::Tool);
    let failed = survey::report_failures(&mux, args.endpoint.as_ref().map(Url::as_str));
    let printed = if args.json {
        print_json(&mux, &shown)
    } else {
        print_text(args, &mux, &shown)
    };
    let nothing = failed == mux.backends().len() && failed > 0;
    mux.stop().await;
    match printed {
        // Whoever reads the list may stop early.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("mcpmux: cannot print: {error}");
            ExitCode::FAILURE
        }
        _ if !waited => ExitCode::FAILURE,
        _ if nothing && args.endpoint.is_some() => exit::UNAVAILABLE.into(),
        _ if nothing => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn print_text(args: &Args, mux: &Mux, shown: &[Shown]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let bold =
        out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let width = shown
        .iter()
        .map(|tool| tool.name.chars().count())
        .max()
        .unwrap_or_default();
    for backend in mux.backends() {
        for tool in shown.iter().filter(|tool| tool.backend == backend.name()) {
            let (on, off) = if bold {
                ("\u{1b}[1m", "\u{1b}[0m")
            } else {
                ("", "")
            };
            if args.description {
                let pad = width - tool.name.chars().count();
                let line = tool
                    .description
                    .as_deref()
                    .unwrap_or_default()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
                writeln!(
                    out,
                    "{on}{}{off}{:pad$}  {}",
                    tool.name,
                    "",
                    printable(&line)
                )?;
            } else {
                writeln!(out, "{on}{}{off}", tool.name)?;
            }
        }
    }
    out.flush()
}

/// A description is written by a stranger: nothing in it may steer a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn print_json(mux: &Mux, shown: &[Shown]) -> io::Result<()> {
    let backends: Vec<Value> = mux
        .backends()
        .iter()
        .map(|backend| {
            let tools: Vec<_> = shown
                .iter()
                .filter(|tool| tool.backend == backend.name())
                .map(|tool| json!({ "name": tool.name, "tool": tool.own, "description": tool.description }))
                .collect();
            let mut entry = json!({ "name": backend.name(), "tools": tools });
            match backend.state() {
                State::Up(connection) => {
                    entry["state"] = "up".into();
                    entry["era"] = connection.era().to_string().into();
                    entry["revision"] = connection.revision.as_str().into();
                    entry["server"] = connection.server.clone().into();
                }
                State::Starting | State::Down(_) => {
                    entry["state"] = "unavailable".into();
                    entry["reason"] = survey::reason(backend).as_deref().unwrap_or_default().into();
                }
            }
            entry
        })
        .collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{:#}", json!({ "backends": backends }))?;
    out.flush()
}
