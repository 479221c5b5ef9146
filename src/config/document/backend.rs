//! One entry of `backends`.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Auth, Sandbox, Variant, add_variants, in_order};
use crate::{
    Secret,
    config::quantity::{Share, Size, Span},
};

/// One MCP server behind this endpoint.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "transport"]), transform = transports, transform = in_order::<Self>)]
pub(in crate::config) struct Backend {
    /// Its name, before each of its tools' names: `name__tool`. Letters,
    /// digits, `_`, `.` and `-`, without `__`; unique.
    #[schemars(with = "String", extend("format" = "backend-name"))]
    pub(in crate::config) name: String,
    /// What it is for: put before each of its tools' descriptions and in the
    /// instructions, for the client's model to tell backends apart.
    pub(in crate::config) description: Option<String>,
    /// How it is reached.
    #[schemars(with = "BackendTransport")]
    pub(in crate::config) transport: Option<BackendTransport>,
    /// `transport: command`: program and arguments. No secrets here: every
    /// user of the machine can read them.
    #[schemars(length(min = 1))]
    pub(in crate::config) command: Vec<String>,
    /// `transport: command`: variables set for it, such as its secrets.
    #[serde(deserialize_with = "secrets")]
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = { "format": "variable-name" }))]
    pub(in crate::config) env: Vec<(String, Secret)>,
    /// `transport: command`: whether it inherits the whole environment of
    /// mcpmux. If not: `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`,
    /// `LC_*`, `TZ`, `TMPDIR` and `XDG_*` only.
    pub(in crate::config) inherit_env: bool,
    /// `transport: command`: its working directory; that of mcpmux if not set.
    #[schemars(extend("format" = "directory"))]
    pub(in crate::config) cwd: Option<String>,
    /// `transport: http` or `sse`: the URL of its MCP endpoint.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) endpoint: Option<String>,
    /// `transport: http` or `sse`: static extra headers.
    #[serde(deserialize_with = "secrets")]
    #[schemars(with = "BTreeMap<String, HeaderText>", extend("propertyNames" = { "format": "header-name" }))]
    pub(in crate::config) headers: Vec<(String, Secret)>,
    /// `transport: http` or `sse`: what a request carries to be let in.
    pub(in crate::config) auth: Auth,
    /// Whether it is used at all.
    pub(in crate::config) enabled: bool,
    /// How its tools are named to clients.
    pub(in crate::config) namespace: Namespace,
    /// Whether all clients share one session with it. With one of their own, it
    /// can ask each of them things at any time and knows what each can do, at
    /// the price of a process or session for each; those of the modern era have no
    /// need of it.
    pub(in crate::config) session: Session,
    /// The era of the MCP specification that it speaks.
    pub(in crate::config) era: Era,
    /// When it is started. What a lazy one offers is known from the last time;
    /// one that was never started is, once.
    pub(in crate::config) start: Start,
    /// After how long without a call or a subscription its process is ended; the
    /// next call starts it again.
    pub(in crate::config) idle_stop: Option<Span>,
    /// A call's deadline; progress extends it up to `max_timeout`.
    pub(in crate::config) timeout: Span,
    /// The longest that a call may take, with progress.
    pub(in crate::config) max_timeout: Span,
    /// Whether and how it is asked if it still answers, when it has said nothing for
    /// a while and nobody calls it: `ping`, or `server/discover` where it is modern.
    /// After three times without an answer a command is ended and started anew, and
    /// calls to an endpoint fail at once until it answers again.
    pub(in crate::config) health: Health,
    /// The longest message accepted from it.
    pub(in crate::config) max_message: Size,
    /// Which of its tools are offered, and how. A tool that is not is to
    /// clients as if it were not there.
    pub(in crate::config) tools: Tools,
    /// Whether only those of its tools are offered that say of themselves that
    /// they change nothing (`annotations.readOnlyHint`).
    pub(in crate::config) read_only: bool,
    /// What is done about a tool whose name, title, description, schemas or
    /// annotations are not as they were first seen, or approved.
    pub(in crate::config) pin: Pin,
    /// What it may use at most. `memory`, `tasks` and `cpu` are systemd's to
    /// hold a command to, and need controllers that it has been given.
    pub(in crate::config) limits: Limits,
    /// `transport: command`: how systemd confines it; `basic` if not set. One
    /// that is set here is not started where there is no systemd to do it.
    pub(in crate::config) sandbox: Option<Sandbox>,
}

/// How a backend is reached.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum BackendTransport {
    /// A process of its own, over its stdin and stdout.
    Command,
    /// Streamable HTTP.
    Http,
    /// HTTP with one event stream, the transport of 2024-11-05.
    Sse,
}

/// Whether and how a backend is asked if it still answers.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Health {
    /// Whether it is asked at all.
    pub(in crate::config) enabled: bool,
    /// After how long it is asked.
    pub(in crate::config) interval: Span,
    /// How long the answer may take.
    pub(in crate::config) timeout: Span,
}

/// How a backend's tools are named to clients.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Namespace {
    /// `server__tool`.
    Prefix,
    /// Bare names, for one backend or MCP apps.
    None,
}

/// The era of the MCP specification that a backend speaks.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Era {
    /// Found by a probe and remembered.
    Auto,
    /// `initialize` and sessions: 2024-11-05 to 2025-11-25.
    Legacy,
    /// Stateless: 2026-07-28 on.
    Modern,
}

/// Whether all clients share one session with a backend.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Session {
    /// One session for all clients.
    Shared,
    /// A process or session for each client.
    Client,
}

/// When a backend is started.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Start {
    /// With mcpmux.
    Eager,
    /// At the first call.
    Lazy,
}

/// What is done about a tool that is not as it was approved.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Pin {
    /// It is logged, and shown by `mcpmux tools diff`.
    Warn,
    /// And it is hidden until `mcpmux tools approve`, as are new tools.
    Block,
    /// Nothing, and nothing is remembered.
    Off,
}

/// Which of a backend's tools are offered, and how.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Tools {
    /// The tools that are offered, by the names that it gives them itself; `*`
    /// is any number of characters, `?` one.
    #[schemars(extend("items" = { "type": "string", "format": "pattern" }))]
    pub(in crate::config) allow: Vec<String>,
    /// The tools that are not, although allowed.
    #[schemars(extend("items" = { "type": "string", "format": "pattern" }))]
    pub(in crate::config) deny: Vec<String>,
    /// New names, by tool.
    #[schemars(with = "BTreeMap<String, ToolName>")]
    pub(in crate::config) rename: BTreeMap<String, String>,
    /// New descriptions, by tool.
    pub(in crate::config) describe: BTreeMap<String, String>,
}

/// What a backend may use at most.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Limits {
    /// Memory of a command and its children.
    pub(in crate::config) memory: Option<Size>,
    /// Processes and threads of a command.
    #[schemars(range(min = 1))]
    pub(in crate::config) tasks: Option<u32>,
    /// Processor time of a command: `50%` is half of one processor, `200%` two.
    pub(in crate::config) cpu: Option<Share>,
    /// Calls at the same time; up to 256 more wait their turn, within their
    /// `timeout`. With `session: client` it holds for each client's own.
    #[schemars(range(min = 1))]
    pub(in crate::config) concurrency: Option<u32>,
    /// Calls a second. What comes beyond is answered with an error.
    #[schemars(range(min = 1))]
    pub(in crate::config) rate: Option<u32>,
    /// Calls at once after a pause; as many as `rate` if not set.
    #[schemars(range(min = 1))]
    pub(in crate::config) burst: Option<u32>,
    /// Calls a day (UTC), over restarts as well.
    #[schemars(range(min = 1))]
    pub(in crate::config) budget: Option<u64>,
    /// Bytes of calls and their answers a day.
    pub(in crate::config) bytes: Option<Size>,
}

/// A tool's name.
#[derive(JsonSchema)]
#[schemars(inline, extend("format" = "tool-name"))]
#[expect(dead_code, reason = "it stands for its schema")]
struct ToolName(String);

/// A header's value, which may be a secret.
#[derive(JsonSchema)]
#[schemars(inline, extend("format" = "header-value"))]
#[expect(dead_code, reason = "it stands for its schema")]
struct HeaderText(String);

impl Default for Backend {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: None,
            transport: None,
            command: Vec::new(),
            env: Vec::new(),
            inherit_env: false,
            cwd: None,
            endpoint: None,
            headers: Vec::new(),
            auth: Auth::default(),
            enabled: true,
            namespace: Namespace::Prefix,
            session: Session::Shared,
            era: Era::Auto,
            start: Start::Eager,
            idle_stop: None,
            timeout: Span::minutes(5),
            max_timeout: Span::minutes(60),
            health: Health::default(),
            max_message: Size::mebibytes(16),
            tools: Tools::default(),
            read_only: false,
            pin: Pin::Warn,
            limits: Limits::default(),
            sandbox: None,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span::minutes(1),
            timeout: Span(Duration::from_secs(10)),
        }
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            allow: vec!["*".to_owned()],
            deny: Vec::new(),
            rename: BTreeMap::new(),
            describe: BTreeMap::new(),
        }
    }
}

/// A mapping whose values are secrets.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Secret)>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value)))
        .collect())
}

fn transports(schema: &mut schemars::Schema) {
    let variants = [
        Variant {
            value: "command",
            requires: &["command"],
            owns: &[
                "command",
                "env",
                "inherit_env",
                "cwd",
                "idle_stop",
                "sandbox",
            ],
        },
        Variant {
            value: "http",
            requires: &["endpoint"],
            owns: &["endpoint", "headers", "auth"],
        },
        Variant {
            value: "sse",
            requires: &["endpoint"],
            owns: &["endpoint", "headers", "auth"],
        },
    ];
    add_variants(schema, "transport", None, &variants);
}
