//! `mcpmux list`: what all backends offer, or what a running endpoint does.

use std::{io, path::Path, process::ExitCode, time::Duration};

use rustix::process::geteuid;

mod entry;
mod json;
mod text;

use super::{
    endpoint::{self, Endpoint},
    exit, quieter, start_log, survey,
    terminal::{Style, print},
};
use crate::{
    access::{Identity, Known, Policy},
    config::{Config, Door},
    credential::Logins,
    mux::{Kind, Mux},
    systemd::LogOptions,
};
use entry::Entry;

/// List what all backends offer: tools, resources, resource templates, prompts.
///
/// Starts every backend of the configuration by itself, asks it, and ends it.
/// With --endpoint it asks a running server instead.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 if something was listed, 1 if nothing could be, 69 if the endpoint cannot be
reached, 78 if the configuration is wrong. Backends that fail are named on stderr.

With --endpoint, $MCPMUX_KEY is shown to it if set (`Authorization: Bearer`).

Examples:
  mcpmux list
  mcpmux list -d
  mcpmux list --resources --prompts
  mcpmux list --json | jq -r '.backends[].tools[].name'
  mcpmux list --endpoint http://127.0.0.1:8080/mcp
  mcpmux list --endpoint unix:$XDG_RUNTIME_DIR/mcpmux/mcpmux.sock"
)]
pub(super) struct Args {
    /// Show descriptions
    #[arg(short, long)]
    description: bool,
    #[command(flatten)]
    kinds: Kinds,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Ask the MCP endpoint at this URL, or at this unix socket: `unix:/path`
    #[arg(long, value_name = "URL")]
    endpoint: Option<Endpoint>,
    /// Show what this role sees [default: what you see]
    #[arg(long, conflicts_with = "endpoint")]
    role: Option<String>,
}

/// What is shown.
#[derive(Debug, clap::Args)]
struct Kinds {
    /// Show tools; without any of these three, everything is shown
    #[arg(long)]
    tools: bool,
    /// Show resources and resource templates
    #[arg(long)]
    resources: bool,
    /// Show prompts
    #[arg(long)]
    prompts: bool,
}

/// How long an endpoint has to answer, and a backend to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "error")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let config = match &args.endpoint {
        Some(endpoint) => endpoint::once(endpoint, PATIENCE),
        None => match Config::load(config) {
            Ok(config) => survey::once(config),
            Err(error) => {
                eprintln!("{error}");
                return exit::CONFIG.into();
            }
        },
    };
    let role = match role(args, &config) {
        Ok(role) => role,
        Err(unknown) => {
            eprintln!("mcpmux: there is no role {unknown:?} in access.roles");
            return exit::USAGE.into();
        }
    };
    survey::run(list(args, role.as_deref(), &config))
}

/// The role whose view is shown; none if there are no roles. Error: there is none of
/// that name.
fn role(args: &Args, config: &Config) -> Result<Option<String>, String> {
    let roles = &config.policy.roles;
    if let Some(role) = &args.role {
        let there = roles.contains_key(role).then(|| Some(role.clone()));
        return there.ok_or_else(|| role.clone());
    }
    let door = match &config.listen.socket {
        Some(path) => Door::Unix(path.clone()),
        None => Door::Tcp(config.listen.address),
    };
    let policy = Policy::new(&config.policy);
    let identity = Identity::User(geteuid().as_raw());
    let role = policy.role_of(&Known {
        identity: &identity,
        carried: None,
        claims: None,
        door: &door,
    });
    Ok((!roles.is_empty()).then(|| role.to_owned()))
}

async fn list(args: &Args, role: Option<&str>, config: &Config) -> ExitCode {
    let mux = Mux::start(config, &Logins::unattended(config));
    let waited = survey::wait(&mux).await;
    let kinds = args.kinds.wanted();
    let entries: Vec<Entry> = Entry::of(&mux, role, &kinds);
    if entries.is_empty() {
        let path = config.path.as_deref().unwrap_or(Path::new("-"));
        eprintln!("mcpmux: {} has no backend that is enabled", path.display());
    }
    let named = args.endpoint.as_ref().map(ToString::to_string);
    let failed = survey::report_failures(&mux, named.as_deref());
    let printed = print(&if args.json {
        json::document(&entries, &kinds)
    } else {
        text::list(&entries, args.description, Style::of_stdout())
    });
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

impl Kinds {
    /// What is to be shown.
    fn wanted(&self) -> Vec<Kind> {
        let all = !(self.tools || self.resources || self.prompts);
        let wanted = |kind: &Kind| match kind {
            Kind::Tool => all || self.tools,
            Kind::Resource | Kind::Template => all || self.resources,
            Kind::Prompt => all || self.prompts,
        };
        Kind::ALL.into_iter().filter(wanted).collect()
    }
}
