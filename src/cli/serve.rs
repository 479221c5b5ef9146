//! `mcpmux serve`: the daemon.

use std::{
    fmt::Display, net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration,
};

use super::{exit, regret, start_log, survey};
use crate::{
    access::Access,
    audit::Audit,
    config::{Config, ConfigError, Environment, ListenTransport},
    daemon,
    systemd::{Listener, LogOptions, Notifier, Taken, close_state, refuse, take_descriptors},
};

/// Serve clients until told to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = "Signals:
  SIGTERM, SIGINT   finish the calls in flight, end the backends, exit
  SIGHUP            read the configuration again (see mcpmux reload)
  SIGUSR1           try every unavailable backend now

Environment:
  MCPMUX_CONTROL    the control socket, by which status, reload, auth and others ask it;
                    empty for none
                    [default: control.sock in $RUNTIME_DIRECTORY, else in
                    $XDG_RUNTIME_DIR/mcpmux]

Examples:
  mcpmux serve
  mcpmux serve -c ./mcpmux.yaml --log-level debug
  claude mcp add mcpmux -- mcpmux serve --stdio")]
pub(super) struct Args {
    /// Serve the client that launched mcpmux, on stdin and stdout, whatever
    /// listen.transport says
    #[arg(long)]
    stdio: bool,
}

/// How long the end waits for threads that cannot be called back.
const LAST_WAIT: Duration = Duration::from_millis(200);

pub(super) fn run(args: &Args, config: Option<&Path>, log: &LogOptions) -> ExitCode {
    // Both read variables that are for this process alone, before any thread.
    let taken = take_descriptors();
    let notifier = Arc::new(Notifier::from_env());
    let _log = match start_log(log) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) => {
            tracing::error!("{error}");
            return exit::CONFIG.into();
        }
    };
    close_state(&Environment::process());
    let stdio = args.stdio;
    let read = move |path: Option<&Path>| {
        let mut config = Config::load(path)?;
        if stdio {
            config.listen.transport = ListenTransport::Stdio;
        }
        Ok(config)
    };
    let config = match read(config) {
        Ok(config) => config,
        Err::<_, ConfigError>(error) => {
            tracing::error!("{error}");
            refuse(
                &taken.sockets,
                "the configuration of mcpmux is not right: run `mcpmux check`",
            );
            return given_up(stdio, &error);
        }
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let audit = Audit::new(&config.audit);
    let access = match Access::open(&config, &addresses(&config, &taken), audit) {
        Ok(access) => access,
        Err(error) => {
            tracing::error!("{error}");
            refuse(
                &taken.sockets,
                "mcpmux cannot serve as it is configured: its log says why",
            );
            return given_up(config.listen.transport == ListenTransport::Stdio, &error);
        }
    };
    // This thread, to which others are added as connections come (`listener::Workers`).
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let path = config.path.clone();
    let read = Arc::new(move || read(path.as_deref()));
    let outcome = runtime.block_on(daemon::run(&config, access, read, taken, notifier));
    // What still runs is dropped here, helpers and half-begun backends among
    // it. A thread that reads stdin cannot be called back, so the wait is short.
    runtime.shutdown_timeout(LAST_WAIT);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            if error.is_permission() {
                exit::NOT_PERMITTED.into()
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// The end of a mcpmux that is not configured right; a client that launched it, if
/// it is on `stdio`, hears why.
fn given_up(stdio: bool, error: &impl Display) -> ExitCode {
    if stdio {
        let why = format!("mcpmux is not configured right: {error}");
        return survey::run(async {
            regret::tell(&why).await;
            exit::CONFIG.into()
        });
    }
    exit::CONFIG.into()
}

/// The TCP addresses on which clients will be served.
fn addresses(config: &Config, taken: &Taken) -> Vec<SocketAddr> {
    if taken.sockets.is_empty() {
        return vec![config.listen.address];
    }
    let sockets = taken.sockets.iter();
    sockets
        .filter_map(|socket| match &socket.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        })
        .collect()
}
