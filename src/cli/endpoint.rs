//! Another MCP endpoint, as a command line names it, and as the one backend of a
//! mcpmux that comes and goes.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use url::Url;

use crate::{
    Secret,
    config::{
        AccessSettings, AuditSettings, Auth, BackendName, BackendSettings, Config, ConnectRetry,
        EraSetting, HttpSettings, Listen, ListenTransport, Namespace, Pin, PolicySettings, Quota,
        SessionSetting, Start, TokenStore, ToolSettings, Transport,
    },
};

/// The path of an endpoint, unless told (`listen.path`).
const PATH: &str = "/mcp";

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 64 << 20;

/// As long as anything may take: the endpoint has deadlines of its own.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the endpoint may take to shake hands, and the longest pause before it
/// is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// An MCP endpoint over HTTP, by way of TCP or of a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its URL; the host is not used where there is a socket.
    pub(super) url: Url,
    /// The unix socket by which it is reached.
    pub(super) socket: Option<PathBuf>,
}

impl Endpoint {
    /// The endpoint at `path` behind the unix `socket`.
    pub(super) fn behind(socket: PathBuf, path: &str) -> Result<Self, String> {
        let url = format!("http://localhost{path}");
        Ok(Self {
            url: url.parse().map_err(|error| format!("{url}: {error}"))?,
            socket: Some(socket),
        })
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// A URL, `unix:/path/of/the.sock`, or with the path of the endpoint behind it if
    /// that is not `/mcp`: `unix:/path/of/the.sock:/path`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(place) = text.strip_prefix("unix:") else {
            let url: Url = text.parse().map_err(|error| format!("{error}"))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(format!("not a URL: did you mean http://{text}?"));
            }
            return Ok(Self { url, socket: None });
        };
        let (socket, path) = match place.split_once(":/") {
            Some((socket, path)) => (socket, format!("/{path}")),
            None => (place, PATH.to_owned()),
        };
        if !socket.starts_with('/') {
            return Err("the path of a socket is absolute: unix:/path".to_owned());
        }
        Self::behind(socket.into(), &path)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}", socket.display()),
            None => write!(f, "{}", self.url),
        }
    }
}

/// To be looked at once, within `patience`.
pub(super) fn once(endpoint: &Endpoint, patience: Duration) -> Config {
    let retry = ConnectRetry {
        enabled: false,
        max_delay: patience,
        attempt_timeout: patience,
    };
    behind(endpoint, SessionSetting::Shared, patience, retry)
}

/// To be one client's for as long as that stays, also when the endpoint is away
/// for a while.
pub(super) fn kept(endpoint: &Endpoint) -> Config {
    let retry = ConnectRetry {
        enabled: true,
        max_delay: PATIENCE,
        attempt_timeout: PATIENCE * 6,
    };
    behind(endpoint, SessionSetting::Client, LONG, retry)
}

fn behind(
    endpoint: &Endpoint,
    session: SessionSetting,
    timeout: Duration,
    connect_retry: ConnectRetry,
) -> Config {
    let name = endpoint
        .url
        .host_str()
        .unwrap_or_default()
        .replace([':', '[', ']'], "");
    let name = BackendName::new(name).or_else(|_| BackendName::new("endpoint"));
    let backends = name.into_iter().map(|name| BackendSettings {
        session,
        name,
        description: None,
        enabled: true,
        namespace: Namespace::None,
        era: EraSetting::Auto,
        quota: Quota::default(),
        start: Start::Eager,
        idle_stop: None,
        timeout,
        max_timeout: timeout,
        max_message: MAX_MESSAGE,
        concurrency: None,
        tools: ToolSettings::default(),
        health: None,
        pin: Pin::Off,
        transport: Ok(Transport::Http(HttpSettings {
            endpoint: endpoint.url.clone(),
            socket: endpoint.socket.clone(),
            headers: Vec::new(),
            auth: shown(),
        })),
    });
    Config {
        limits: Quota::default(),
        audit: AuditSettings::default(),
        path: None,
        listen: Listen {
            transport: ListenTransport::Stdio,
            ..Listen::default()
        },
        access: AccessSettings::default(),
        token_store: TokenStore::default(),
        watch: false,
        policy: PolicySettings::default(),
        connect_retry,
        backends: backends.collect(),
        warnings: Vec::new(),
    }
}

/// What is shown to the endpoint: the API key of `MCPMUX_KEY`, if that is set. A
/// command line would show it to everybody.
fn shown() -> Auth {
    match std::env::var("MCPMUX_KEY") {
        Ok(key) if !key.is_empty() => Auth::Bearer {
            token: Secret::new(key),
        },
        _ => Auth::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_or_a_socket() {
        let of = |text: &str| {
            text.parse::<Endpoint>()
                .map(|it| (it.url.into(), it.socket))
        };
        let url = |url: &str| String::from(url);
        let tcp = of("http://127.0.0.1:8080/mcp");
        assert_eq!(tcp, Ok((url("http://127.0.0.1:8080/mcp"), None)));
        let unix = of("unix:/run/m.sock");
        assert_eq!(
            unix,
            Ok((url("http://localhost/mcp"), Some("/run/m.sock".into())))
        );
        let other = of("unix:/run/m.sock:/x/y");
        assert_eq!(
            other,
            Ok((url("http://localhost/x/y"), Some("/run/m.sock".into())))
        );
        assert!(of("unix:m.sock").is_err());
        assert!(of("nonsense").is_err());
        for text in ["localhost:8080/mcp", "ftp://localhost/mcp"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
