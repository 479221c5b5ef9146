//! The settings that the rest of the house reads: validated, expanded, with
//! every default filled in. Nothing here knows of YAML.

mod access;
mod audit;
mod oauth;
mod policy;
mod tools;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;
use url::Url;

pub use self::access::{AccessSettings, KeysSetting, Pem, TlsSettings, TokenSettings};
pub use self::audit::AuditSettings;
pub use self::oauth::{
    Dpop, Given, Grant, IdentityPlace, IdentityProvider, OAuthSettings, Resource,
};
pub use self::policy::{Assignment, Door, PolicySettings};
pub use self::tools::{Pin, ToolSettings};
use super::{CommandLimits, ProcessSetting, Quota, Sandbox};
use crate::Secret;

/// A validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, if any.
    pub path: Option<PathBuf>,
    /// Where clients come in.
    pub listen: Listen,
    /// Who may come in.
    pub access: AccessSettings,
    /// Who has which role, and what a role may use.
    pub policy: PolicySettings,
    /// How a backend that cannot be reached is tried again.
    pub connect_retry: ConnectRetry,
    /// Where `OAuth` tokens are kept.
    pub token_store: TokenStore,
    /// How much each caller may ask.
    pub limits: Quota,
    /// What is recorded of each call.
    pub audit: AuditSettings,
    /// Whether it is read again when one of its files changes.
    pub watch: bool,
    /// The backends in the order of the document, disabled ones included.
    pub backends: Vec<BackendSettings>,
    /// Things worth saying once that stop nothing (keys not yet in effect, …).
    pub warnings: Vec<String>,
}

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The kind of endpoint.
    pub transport: ListenTransport,
    /// The TCP address to bind where systemd hands over no socket.
    pub address: SocketAddr,
    /// The path of the MCP endpoint, with its leading slash.
    pub path: String,
    /// A unix socket to listen on as well (mode 0600).
    pub socket: Option<PathBuf>,
    /// How TCP sockets speak TLS, if they do.
    pub tls: Option<TlsSettings>,
    /// Host names accepted in `Host` beyond the loopback names.
    pub allowed_hosts: Vec<String>,
    /// Origins accepted in `Origin` beyond the endpoint's own.
    pub allowed_origins: Vec<String>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// After how long without clients mcpmux ends, where the next connection
    /// starts it again.
    pub idle_exit: Option<Duration>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            transport: ListenTransport::Http,
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            path: "/mcp".to_owned(),
            socket: None,
            tls: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body: 4 << 20,
            idle_exit: None,
        }
    }
}

/// The kind of endpoint that clients reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenTransport {
    /// Streamable HTTP on TCP and unix sockets.
    Http,
    /// This process's own stdin and stdout.
    Stdio,
}

/// How a backend that cannot be reached is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectRetry {
    /// Whether it is tried again at all.
    pub enabled: bool,
    /// The longest pause between two attempts.
    pub max_delay: Duration,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

/// Where `OAuth` tokens are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStore {
    /// Whether they outlive this process at all.
    pub enabled: bool,
    /// The kind of store.
    pub kind: StoreKind,
    /// Where the key of a vault comes from.
    pub key: VaultKey,
    /// The file of the vault, if it is not the usual one.
    pub path: Option<PathBuf>,
    /// The file of the key for [`VaultKey::File`], if it is not the usual one.
    pub key_file: Option<PathBuf>,
}

impl Default for TokenStore {
    fn default() -> Self {
        Self {
            enabled: true,
            kind: StoreKind::Auto,
            key: VaultKey::Auto,
            path: None,
            key_file: None,
        }
    }
}

/// The kind of a token store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A vault where a key can be had, else the runtime directory, else memory.
    Auto,
    /// This process's memory.
    Memory,
    /// A file in the runtime directory, which is in memory.
    Runtime,
    /// An encrypted file.
    Vault,
    /// The Secret Service.
    Keyring,
}

/// Where the key of a vault comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultKey {
    /// The credential if it is there, else the Secret Service.
    Auto,
    /// The systemd credential `mcpmux-vault-key`.
    Credential,
    /// The Secret Service.
    SecretService,
    /// A file with mode 0600.
    File,
}

/// A backend's name: `[A-Za-z0-9][A-Za-z0-9_.-]*` without `__`, so that
/// `server__tool` splits in one way only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendName(String);

impl BackendName {
    /// Checks `name`; the error says which rule it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, &'static str> {
        let name = name.into();
        let mut chars = name.chars();
        match chars.next() {
            None => return Err("is empty"),
            Some(c) if !c.is_ascii_alphanumeric() => {
                return Err("must start with a letter or a digit");
            }
            Some(_) => {}
        }
        if !chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            return Err("may hold letters, digits, '_', '.' and '-' only");
        }
        if name.contains("__") || name.ends_with('_') {
            return Err(
                "must neither contain \"__\", which separates a backend's name from a tool's, nor end with '_'",
            );
        }
        Ok(Self(name))
    }

    /// The name as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSettings {
    /// Its name, unique in the configuration.
    pub name: BackendName,
    /// Put before each of its tools' descriptions and in the instructions.
    pub description: Option<String>,
    /// Whether it is used at all.
    pub enabled: bool,
    /// How its tools are named to clients.
    pub namespace: Namespace,
    /// Whether all clients share one session with it.
    pub session: SessionSetting,
    /// The era it speaks, if fixed.
    pub era: EraSetting,
    /// When it is started.
    pub start: Start,
    /// After how long without use its process is ended.
    pub idle_stop: Option<Duration>,
    /// A call's deadline; progress extends it up to `max_timeout`.
    pub timeout: Duration,
    /// The longest that a call may take with progress.
    pub max_timeout: Duration,
    /// How it is asked if it still answers; not at all if `None`.
    pub health: Option<Health>,
    /// How many calls may be in flight at one connection to it.
    pub concurrency: Option<u32>,
    /// The longest message accepted from it, in bytes.
    pub max_message: usize,
    /// How much it is asked at most.
    pub quota: Quota,
    /// Which of its tools are offered, and how.
    pub tools: ToolSettings,
    /// What is done about a tool that is not as it was first seen.
    pub pin: Pin,
    /// How it is reached, or why that cannot be known (an unset variable).
    pub transport: Result<Transport, Unresolved>,
}

/// How a backend is asked if it still answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// After how long without a word of it.
    pub interval: Duration,
    /// How long the answer may take.
    pub patience: Duration,
}

impl BackendSettings {
    /// The kind of credential that its requests carry, if they carry one.
    pub fn auth(&self) -> Option<&'static str> {
        let Ok(Transport::Http(http) | Transport::Sse(http)) = &self.transport else {
            return None;
        };
        match &http.auth {
            Auth::None => None,
            Auth::Bearer { .. } => Some("bearer"),
            Auth::Header { .. } => Some("header"),
            Auth::Command { .. } => Some("command"),
            Auth::OAuth(_) => Some("oauth"),
        }
    }
}

/// A value of one backend that could not be had: that backend is unavailable,
/// the rest of the configuration runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unresolved {
    /// The key path, as in `backends[2].env.TOKEN`.
    pub key: String,
    /// What is missing, by name, and what to do.
    pub problem: String,
    /// The credentials among it, by name.
    pub credentials: Vec<String>,
}

/// How a backend's tools are named to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// `server__tool`.
    Prefix,
    /// Bare names.
    None,
}

/// Whether all clients share one session with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionSetting {
    /// They do.
    Shared,
    /// Each has a process or session of its own.
    Client,
}

/// The era a backend speaks, if fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraSetting {
    /// Found by a probe and remembered.
    Auto,
    /// `initialize`: 2024-11-05 to 2025-11-25.
    Legacy,
    /// Stateless: 2026-07-28 on.
    Modern,
}

/// When a backend is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With mcpmux.
    Eager,
    /// At the first call.
    Lazy,
}

/// How a backend is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A process of its own, over its stdin and stdout.
    Command(CommandSettings),
    /// Streamable HTTP.
    Http(HttpSettings),
    /// HTTP with one event stream: the transport of 2024-11-05.
    Sse(HttpSettings),
}

/// A backend that is a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// Set in its environment, over what it inherits.
    pub env: Vec<(String, Secret)>,
    /// Whether it inherits mcpmux's whole environment.
    pub inherit_env: bool,
    /// Its working directory; mcpmux's own if not set.
    pub cwd: Option<PathBuf>,
    /// Who keeps its processes.
    pub process: ProcessSetting,
    /// What it may use at most.
    pub limits: CommandLimits,
    /// How it is confined, if that was said.
    pub sandbox: Option<Sandbox>,
}

/// A backend reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// The MCP endpoint.
    pub endpoint: Url,
    /// The unix socket by which it is reached, instead of by TCP to its host; of a
    /// command line, never of the document.
    pub socket: Option<PathBuf>,
    /// Static extra headers.
    pub headers: Vec<(HeaderName, Secret)>,
    /// What a request carries to be let in.
    pub auth: Auth,
}

/// What a request to an HTTP backend carries to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    None,
    /// `Authorization: Bearer <token>`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A header of the operator's choice.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The header's value.
        value: Secret,
    },
    /// A bearer token that a helper command prints.
    Command {
        /// Program and arguments; never empty.
        argv: Vec<String>,
        /// How long a token that is not a JWT with `exp` is kept.
        ttl: Duration,
    },
    /// `OAuth`.
    OAuth(Box<OAuthSettings>),
}
