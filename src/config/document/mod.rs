//! The document as it is written: one tree of doc-commented types, from which
//! the JSON Schema, the validation and the reference are all made. What it
//! means is [`super::resolve`]'s to say.
//!
//! Schema keywords beyond JSON Schema's own, for the validation:
//! - `format` holds one of the formats of [`super::format`];
//! - `x-not-yet` marks a key or a value that is accepted and has no effect yet;
//! - `x-order` has the keys in the order in which people read them.

mod access;
mod audit;
mod auth;
mod backend;
mod limits;
mod order;
mod policy;
mod sandbox;
mod token_store;

use schemars::{JsonSchema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::order::in_order;
use super::quantity::{Size, Span};

pub(super) use access::{Access, Keys, Tls};
pub(super) use audit::Audit;
pub(super) use auth::{Auth, AuthType, Dpop, Grant};
pub(super) use backend::{
    Backend, BackendTransport, Era, Limits, Namespace, Pin, Session, Start, Tools,
};
pub(super) use limits::CallerLimits;
pub(super) use sandbox::{Sandbox, SandboxLevel};
pub(super) use token_store::{StoreKind, TokenStore, VaultKey};

/// The configuration of mcpmux.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "mcpmux configuration", transform = in_order::<Self>)]
pub(super) struct Document {
    /// Where clients come in.
    pub(super) listen: Listen,
    /// Who may come in, and who may do what.
    pub(super) access: Access,
    /// How a backend that cannot be reached is tried again.
    pub(super) connect_retry: ConnectRetry,
    /// Where `OAuth` tokens are kept.
    pub(super) token_store: TokenStore,
    /// How much each caller may ask.
    pub(super) limits: CallerLimits,
    /// What is recorded of each call.
    pub(super) audit: Audit,
    /// Who keeps the processes of command backends together and ends them.
    pub(super) process: ProcessKind,
    /// Whether the configuration is read again when its file or its `conf.d`
    /// changes, as `mcpmux reload` does.
    pub(super) watch: bool,
    /// The MCP servers behind this endpoint.
    pub(super) backends: Vec<Backend>,
}

/// A file of `conf.d`: it adds backends and nothing else.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DropIn {
    /// The MCP servers that this file adds.
    pub(super) backends: Vec<Backend>,
}

/// Where clients come in.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(super) struct Listen {
    /// The kind of endpoint.
    pub(super) transport: ListenTransport,
    /// The TCP address to bind, as `IP:PORT`, `localhost:PORT` or `:PORT` for
    /// every interface. Ignored when systemd hands over sockets.
    #[schemars(extend("format" = "socket-address"))]
    pub(super) address: String,
    /// The path of the MCP endpoint.
    #[schemars(extend("format" = "url-path"))]
    pub(super) path: String,
    /// Also listen on this unix socket (mode 0600).
    #[schemars(extend("format" = "file"))]
    pub(super) socket: Option<String>,
    /// Speak TLS on TCP sockets, those of systemd included.
    #[serde(skip_serializing)]
    pub(super) tls: Option<Tls>,
    /// Names that a request's `Host` may have beyond the loopback names
    /// (against DNS rebinding).
    #[schemars(extend("items" = { "type": "string", "format": "host" }))]
    pub(super) allowed_hosts: Vec<String>,
    /// Origins that a request's `Origin` may have beyond the endpoint's own.
    #[schemars(extend("items" = { "type": "string", "format": "origin" }))]
    pub(super) allowed_origins: Vec<String>,
    /// The largest request body.
    pub(super) max_body: Size,
    /// After how long without clients, calls and logins mcpmux ends, to be
    /// started again by the next connection: at least `1s`, and only where
    /// systemd hands over the sockets.
    pub(super) idle_exit: Option<Span>,
}

/// The kind of endpoint that clients reach.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ListenTransport {
    /// Streamable HTTP on TCP and unix sockets.
    Http,
    /// The process's own stdin and stdout, for a client that launches it.
    Stdio,
}

/// Who keeps the processes of command backends.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProcessKind {
    /// systemd where mcpmux itself is a service of its, and for backends with
    /// `sandbox` or `limits` wherever it can be reached; else mcpmux. Which one
    /// is logged.
    #[default]
    Auto,
    /// systemd: each is a unit `mcpmux-backend-NAME.service`. Where it cannot
    /// be reached, they are unavailable.
    Unit,
    /// mcpmux: each is a process group.
    Group,
}

/// How a backend that cannot be reached is tried again.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(super) struct ConnectRetry {
    /// Whether it is tried again at all.
    pub(super) enabled: bool,
    /// The longest pause between two attempts (jittered exponential backoff).
    pub(super) max_delay: Span,
    /// How long one attempt may take.
    pub(super) attempt_timeout: Span,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            transport: ListenTransport::Http,
            address: "127.0.0.1:8080".to_owned(),
            path: "/mcp".to_owned(),
            socket: None,
            tls: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body: Size::mebibytes(4),
            idle_exit: None,
        }
    }
}

impl Default for ConnectRetry {
    fn default() -> Self {
        Self {
            enabled: true,
            max_delay: Span::minutes(15),
            attempt_timeout: Span::minutes(2),
        }
    }
}

/// The JSON Schema (draft 2020-12) of a document type, without references, so
/// that it can be walked as it stands.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_idle_default))
        .into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// A default that says no more than that a key may be left out is none.
fn without_idle_default(schema: &mut schemars::Schema) {
    let idle = schema.get("default").is_some_and(|default| {
        let least = schema.get("minItems").and_then(Value::as_u64);
        default.is_null() || default.as_array().is_some_and(Vec::is_empty) && least > Some(0)
    });
    if idle {
        schema.remove("default");
    }
}

/// One value of a key on which other keys depend.
struct Variant {
    /// The key's value.
    value: &'static str,
    /// The keys that must be there with it.
    requires: &'static [&'static str],
    /// The keys that may only be there with it.
    owns: &'static [&'static str],
}

/// Adds what the value of `tag` means for its siblings to `schema`, in JSON
/// Schema's own words (`allOf`, `if`, `then`), so that editors know it as well.
/// A document without `tag` means its `default`.
fn add_variants(
    schema: &mut schemars::Schema,
    tag: &str,
    default: Option<&str>,
    variants: &[Variant],
) {
    let rules: Vec<Value> = variants
        .iter()
        .map(|variant| {
            let mut condition = json!({ "properties": { tag: { "const": variant.value } } });
            if default != Some(variant.value) {
                condition["required"] = json!([tag]);
            }
            let forbidden: serde_json::Map<_, _> = variants
                .iter()
                .flat_map(|other| other.owns)
                .filter(|key| !variant.owns.contains(key))
                .map(|key| ((*key).to_owned(), json!(false)))
                .collect();
            json!({
                "if": condition,
                "then": { "required": variant.requires, "properties": forbidden },
            })
        })
        .collect();
    schema.insert("allOf".to_owned(), Value::Array(rules));
}
