//! The configuration: one YAML document, found, expanded, validated, and
//! turned into [`Config`], which the rest of the house reads.
//!
//! The way of a document: [`location`] finds and reads it, [`tree`] parses it,
//! [`validate`] walks it along the schema that is made from [`document`] and
//! expands its strings ([`expand`]), and [`resolve`] turns it into [`settings`].

mod access;
mod advice;
mod auth;
mod compose;
mod confinement;
mod difference;
mod document;
mod environment;
mod error;
mod expand;
mod format;
mod kept;
mod keyword;
mod location;
mod pattern;
mod policy;
mod quantity;
mod quota;
#[doc(hidden)]
pub mod reference;
mod resolve;
mod rules;
mod scalar;
mod settings;
mod tree;
mod validate;

use std::{path::Path, sync::OnceLock};

pub use confinement::{CommandLimits, Directive, ProcessSetting, Sandbox, SandboxLevel};
pub use environment::Environment;
pub use error::{ConfigError, Problem};
pub use pattern::Pattern;
pub use quantity::duration;
pub use quota::Quota;
pub use rules::{Rule, Rules, Thing};
pub use settings::{
    AccessSettings, Assignment, AuditSettings, Auth, BackendName, BackendSettings, CommandSettings,
    Config, ConnectRetry, Door, Dpop, EraSetting, Given, Grant, Health, HttpSettings,
    IdentityPlace, IdentityProvider, KeysSetting, Listen, ListenTransport, Namespace,
    OAuthSettings, Pem, Pin, PolicySettings, Resource, SessionSetting, Start, StoreKind,
    TlsSettings, TokenSettings, TokenStore, ToolSettings, Transport, Unresolved, VaultKey,
};

impl Config {
    /// Reads the configuration at `path`, or else the first of
    /// `./mcpmux.yaml`, `$XDG_CONFIG_HOME/mcpmux/config.yaml` (with the
    /// backends of `conf.d/*.yaml` beside it) and `$XDG_CONFIG_HOME/mcpmux.yaml`.
    ///
    /// Reads files: call it where blocking is allowed.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        location::Search::of_process().load(path, &Environment::process())
    }

    /// Reads the document `text`, which messages call `origin`, with the
    /// variables, the home and the credentials of `environment`.
    pub fn parse(text: &str, origin: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let mut resolver = resolve::Resolver::new(environment);
        resolver.document(origin, text);
        resolver.finish(None)
    }
}

/// The JSON Schema (draft 2020-12) of the document.
pub fn schema() -> &'static serde_json::Value {
    static SCHEMA: OnceLock<serde_json::Value> = OnceLock::new();
    SCHEMA.get_or_init(document::schema_of::<document::Document>)
}
