//! Another MCP endpoint as the one backend of a mcpmux that comes and goes.

use std::time::Duration;

use url::Url;

use crate::{
    Secret,
    config::{
        AccessSettings, AuditSettings, Auth, BackendName, BackendSettings, Config, ConnectRetry,
        EraSetting, HttpSettings, Listen, Namespace, Pin, PolicySettings, Quota, SessionSetting,
        Start, TokenStore, ToolSettings, Transport,
    },
};

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 64 << 20;

/// As long as anything may take: the endpoint has deadlines of its own.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the endpoint may take to shake hands, and the longest pause before it
/// is tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// To be looked at once, within `patience`.
pub(super) fn once(endpoint: &Url, patience: Duration) -> Config {
    let retry = ConnectRetry {
        enabled: false,
        max_delay: patience,
        attempt_timeout: patience,
    };
    behind(endpoint, SessionSetting::Shared, patience, retry)
}

/// To be one client's for as long as that stays, also when the endpoint is away
/// for a while.
pub(super) fn kept(endpoint: &Url) -> Config {
    let retry = ConnectRetry {
        enabled: true,
        max_delay: PATIENCE,
        attempt_timeout: PATIENCE * 6,
    };
    behind(endpoint, SessionSetting::Client, LONG, retry)
}

fn behind(
    endpoint: &Url,
    session: SessionSetting,
    timeout: Duration,
    connect_retry: ConnectRetry,
) -> Config {
    let name = endpoint
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
            endpoint: endpoint.clone(),
            headers: Vec::new(),
            auth: shown(),
        })),
    });
    Config {
        limits: Quota::default(),
        audit: AuditSettings::default(),
        path: None,
        listen: Listen::default(),
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
