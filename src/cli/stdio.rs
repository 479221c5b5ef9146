//! `mcpmux stdio`: a client that speaks only stdio, in front of the mcpmux that
//! runs.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    endpoint::{self, Endpoint},
    exit, quieter, regret, start_log, survey, whereabouts,
};
use crate::{
    access::Access,
    config::{Config, ConfigError, Environment, Listen},
    credential::Logins,
    listener::stdio,
    mux::Mux,
    systemd::LogOptions,
};

/// How long calls in flight may take once the client has closed its side.
const DRAIN: Duration = Duration::from_secs(10);

/// Be the running mcpmux on stdin and stdout
///
/// For a client that can only launch a program: it gets what every other client
/// of the mcpmux gets, and starts no server of its own. A mcpmux whose socket
/// systemd holds is started by it.
///
/// It is looked for at the unix socket of the configuration (`listen.socket`), at the
/// one of mcpmux.socket (`$XDG_RUNTIME_DIR/mcpmux/mcpmux.sock`) unless --config names
/// another configuration, then at `listen.address`; without a configuration at
/// 127.0.0.1:8080. Where it is not, the client is told so in answer to its first request.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 when the client has left, 69 if no mcpmux is reached, 78 if the
configuration is wrong.

Environment:
  MCPMUX_KEY   an API key or access token to show to the endpoint (`Authorization: Bearer`)

Example, in the configuration of a client:
  { \"mcpServers\": { \"mcpmux\": { \"command\": \"mcpmux\", \"args\": [\"stdio\"] } } }")]
pub(super) struct Args {
    /// The endpoint: a URL, or a unix socket as `unix:/path` [default: the first that
    /// is there]
    #[arg(long, value_name = "URL")]
    endpoint: Option<Endpoint>,
}

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "warn")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    if let Some(endpoint) = &args.endpoint {
        return survey::run(bridge(endpoint));
    }
    // The shipped unit serves the configuration that is found without being named.
    let shipped = match config {
        Some(_) => None,
        None => whereabouts::shipped(&Environment::process()),
    };
    let places = match Config::load(config) {
        Ok(config) => whereabouts::of(&config.listen, shipped),
        // One that runs may have been given its configuration by name.
        Err(ConfigError::NotFound { .. }) => whereabouts::of(&Listen::default(), shipped),
        Err(error) => return survey::run(given_up(exit::CONFIG, error.to_string())),
    };
    match places {
        Ok(places) => survey::run(async {
            match whereabouts::first(places).await {
                Ok(endpoint) => bridge(&endpoint).await,
                Err(why) => given_up(exit::UNAVAILABLE, why).await,
            }
        }),
        Err(why) => survey::run(given_up(exit::CONFIG, why)),
    }
}

/// Says `why` there is nothing to bridge to, to the client as well.
async fn given_up(code: u8, why: String) -> ExitCode {
    eprintln!("mcpmux: {why}");
    regret::tell(&format!("mcpmux stdio: {why}")).await;
    code.into()
}

async fn bridge(endpoint: &Endpoint) -> ExitCode {
    let config = endpoint::kept(endpoint);
    let access = match Access::open(&config, &[], Arc::default()) {
        Ok(access) => Arc::new(access),
        Err(why) => {
            eprintln!("mcpmux: {why}");
            return exit::CONFIG.into();
        }
    };
    let mux = Mux::start(&config, &Logins::unattended(&config));
    let stop = CancellationToken::new();
    let serving = stdio::serve(
        Arc::clone(&mux),
        access,
        tokio::io::stdin(),
        tokio::io::stdout(),
        config.listen.max_body,
        stop.clone(),
        DRAIN,
    );
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        _ = tokio::signal::ctrl_c() => {
            stop.cancel();
            serving.await
        }
    };
    mux.stop().await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcpmux: cannot read stdin: {error}");
            ExitCode::FAILURE
        }
    }
}
