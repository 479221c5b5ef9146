//! The command line: one file a verb. The only place that prints and chooses
//! exit codes.

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    process::{ExitCode, Termination},
};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    backend::command::{exec, guard},
    control::Deed,
    systemd::{LogFormat, LogGuard, LogOptions, init_log},
};

mod auth;
mod check;
mod confine;
mod deed;
mod demo_server;
mod endpoint;
mod exit;
mod keys;
mod list;
mod logs;
mod man;
mod regret;
mod reload;
mod running;
mod serve;
mod status;
mod stdio;
mod survey;
mod terminal;
mod tools;
mod whereabouts;

/// One MCP endpoint in front of many servers.
///
/// mcpmux launches or reaches the MCP servers of its configuration, holds their
/// credentials, and offers all their tools at one place as `server__tool`.
#[derive(Debug, Parser)]
#[command(
    name = "mcpmux",
    version = concat!(env!("CARGO_PKG_VERSION"), env!("MCPMUX_COMMIT")),
    arg_required_else_help = true,
    after_help = "Examples:
  mcpmux serve                       serve what ./mcpmux.yaml or ~/.config/mcpmux/config.yaml says
  mcpmux list -d                     what all backends offer, with descriptions
  mcpmux auth login linear           log in to a backend that asks for consent
  mcpmux check                       is the configuration right?
  mcpmux reload                      has it changed? then the mcpmux that runs goes over to it
  systemctl --user enable --now mcpmux.socket
  mcpmux status                      how are the servers of the mcpmux that runs?
  claude mcp add --transport http mcpmux http://127.0.0.1:8080/mcp"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb, apart from its own.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration file [default: ./mcpmux.yaml, then mcpmux/config.yaml
    /// and mcpmux.yaml in `$XDG_CONFIG_HOME` or ~/.config]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, off, or a list with
    /// targets as in "mcpmux=debug,warn"
    #[arg(long, global = true, value_name = "LEVEL", env = "MCPMUX_LOG")]
    log_level: Option<String>,
    /// How it is logged
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve clients until told to stop
    Serve(serve::Args),
    /// List what all backends offer
    List(list::Args),
    Auth(auth::Args),
    Keys(keys::Args),
    Stdio(stdio::Args),
    Status(status::Args),
    Logs(logs::Args),
    /// Start a server that was stopped, behind the mcpmux that runs
    Start(deed::Args),
    /// Stop a server behind the mcpmux that runs, until it is started again
    Stop(deed::Args),
    /// End a server behind the mcpmux that runs, and start it again
    Restart(deed::Args),
    /// Have the mcpmux that runs read its configuration again
    Reload(reload::Args),
    Tools(tools::Args),
    /// Check the configuration, or print its JSON Schema
    Check(check::CheckArgs),
    /// Be a small MCP server on stdin and stdout, for trying things out
    #[command(after_help = "Example, in a configuration:
  backends:
    - name: demo
      transport: command
      command: [mcpmux, demo-server]")]
    DemoServer,
    /// Print completions for a shell
    #[command(after_help = "Example:
  mcpmux completions bash > ~/.local/share/bash-completion/completions/mcpmux")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory (for `make install`)
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
    /// End command backends when mcpmux was killed (started by mcpmux itself)
    #[command(hide = true)]
    Guard,
    /// Become a command backend (started by systemd for mcpmux)
    #[command(hide = true)]
    ExecBackend,
}

impl Verb {
    /// Whether it reads the configuration, and credentials with it. The others
    /// stay as they are, so that the guard finds a demo server among its
    /// backends' processes.
    fn has_credentials(&self) -> bool {
        !matches!(
            self,
            Self::DemoServer | Self::Completions { .. } | Self::Man { .. } | Self::Guard
        )
    }
}

/// Runs the command that the arguments ask for.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                exit::USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let log = LogOptions {
        level: cli.global.log_level.clone(),
        format: cli.global.log_format,
    };
    let config = cli.global.config.as_deref();
    if cli.verb.has_credentials() {
        confine::confine();
    }
    match cli.verb {
        Verb::Serve(args) => serve::run(&args, config, &log),
        Verb::List(args) => list::run(&args, config, log),
        Verb::Stdio(args) => stdio::run(&args, config, log),
        Verb::Status(args) => live(log, status::run(&args, config)),
        Verb::Logs(args) => live(log, logs::run(&args, config)),
        Verb::Start(args) => live(log, deed::run(Deed::Start, &args, config)),
        Verb::Stop(args) => live(log, deed::run(Deed::Stop, &args, config)),
        Verb::Restart(args) => live(log, deed::run(Deed::Restart, &args, config)),
        Verb::Reload(args) => live(log, reload::run(&args, config)),
        Verb::Keys(args) => keys::run(&args, config, log),
        Verb::Tools(args) => live(log, tools::run(&args, config)),
        Verb::Auth(args) => auth::run(&args, config, log),
        Verb::Check(args) => check::run(&args, config, log),
        Verb::DemoServer => {
            let _log = match start_log(&quieter(log, "warn")) {
                Ok(log) => log,
                Err(code) => return code,
            };
            demo_server::run().map_or_else(|error| fail(&error), Termination::report)
        }
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mcpmux", &mut script);
            match std::io::stdout().write_all(&script) {
                // A closed pipe is the reader's choice.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    eprintln!("mcpmux: cannot print: {error}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Verb::Man { directory } => man::run(Cli::command(), &directory),
        Verb::ExecBackend => {
            eprintln!("mcpmux: {}", exec::run());
            exec::CANNOT_EXECUTE.into()
        }
        Verb::Guard => {
            guard::run();
            ExitCode::SUCCESS
        }
    }
}

/// Runs what asks the mcpmux that runs.
fn live(log: LogOptions, task: impl Future<Output = ExitCode>) -> ExitCode {
    match start_log(&quieter(log, "error")) {
        Ok(_log) => survey::run(task),
        Err(code) => code,
    }
}

/// The same options, with what is at least of `level` where none was asked for.
fn quieter(log: LogOptions, level: &str) -> LogOptions {
    LogOptions {
        level: log.level.or_else(|| Some(level.to_owned())),
        ..log
    }
}

fn start_log(log: &LogOptions) -> Result<LogGuard, ExitCode> {
    init_log(log).map_err(|error| {
        eprintln!("mcpmux: {error}");
        exit::USAGE.into()
    })
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("mcpmux: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
