//! `mcpmux stdio`: a client that speaks only stdio, in front of the mcpmux that
//! runs.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use url::Url;

use super::{endpoint, exit, quieter, start_log, survey};
use crate::{
    access::{DEFAULT_ROLE, Identity, Principal},
    config::{Config, ListenTransport},
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
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 when the client has left, 78 if the configuration is wrong.

Environment:
  MCPMUX_KEY   an API key or access token to show to the endpoint (`Authorization: Bearer`)

Example, in the configuration of a client:
  { \"mcpServers\": { \"mcpmux\": { \"command\": \"mcpmux\", \"args\": [\"stdio\"] } } }")]
pub(super) struct Args {
    /// The endpoint [default: what `listen` of the configuration says]
    #[arg(long, value_name = "URL")]
    endpoint: Option<Url>,
}

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "warn")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let endpoint = match &args.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => match Config::load(config).map(|config| configured(&config)) {
            Ok(Ok(endpoint)) => endpoint,
            Ok(Err(why)) => {
                eprintln!("mcpmux: {why}");
                return exit::CONFIG.into();
            }
            Err(error) => {
                eprintln!("{error}");
                return exit::CONFIG.into();
            }
        },
    };
    survey::run(bridge(endpoint))
}

/// Where the mcpmux of `config` is reached.
fn configured(config: &Config) -> Result<Url, String> {
    if config.listen.transport == ListenTransport::Stdio {
        return Err("listen.transport is stdio: name what to reach with --endpoint".to_owned());
    }
    let address = config.listen.address;
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    let scheme = if config.listen.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{address}{}", config.listen.path);
    url.parse().map_err(|error| format!("{url}: {error}"))
}

async fn bridge(endpoint: Url) -> ExitCode {
    let config = endpoint::kept(&endpoint);
    let mux = Mux::start(&config, &Logins::unattended(&config));
    let stop = CancellationToken::new();
    let serving = stdio::serve(
        std::sync::Arc::clone(&mux),
        Principal::new(Identity::Parent, DEFAULT_ROLE),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn the_endpoint_is_the_one_that_is_configured() {
        let of = |listen: &str| {
            let text = format!("listen: {listen}\nbackends: []");
            let config = Config::parse(&text, "m.yaml", &Environment::default()).expect("right");
            configured(&config).map(String::from)
        };
        assert_eq!(of("{}").as_deref(), Ok("http://127.0.0.1:8080/mcp"));
        let any = "{ address: ':9', path: /x }";
        assert_eq!(of(any).as_deref(), Ok("http://[::1]:9/x"));
        assert!(of("{ transport: stdio }").is_err());
    }
}
