//! `backends[].auth`: what a request to an HTTP backend carries to be let in.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Variant, add_variants, in_order};
use crate::{Secret, config::quantity::Span};

/// What a request carries to be let in.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = types, transform = in_order::<Self>)]
pub(in crate::config) struct Auth {
    /// The kind of credential.
    #[serde(rename = "type")]
    pub(in crate::config) kind: AuthType,
    /// `type: bearer`: the token.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>", extend("format" = "header-value"))]
    pub(in crate::config) token: Option<Secret>,
    /// `type: header`: the header's name.
    #[schemars(extend("format" = "header-name"))]
    pub(in crate::config) header: Option<String>,
    /// `type: header`: the header's value.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>", extend("format" = "header-value"))]
    pub(in crate::config) value: Option<Secret>,
    /// `type: command`: program and arguments of a helper that prints a bearer
    /// token. It is run again shortly before the token expires and after a
    /// 401 or 403.
    #[schemars(length(min = 1))]
    pub(in crate::config) command: Vec<String>,
    /// `type: command`: how long a token is kept that is not a JWT with an
    /// `exp` of its own.
    pub(in crate::config) ttl: Span,
    /// `type: oauth`: the scopes to ask for.
    #[schemars(extend("x-not-yet" = true))]
    scopes: Vec<String>,
    /// `type: oauth`: the name shown on the consent screen.
    #[schemars(extend("x-not-yet" = true))]
    client_name: String,
    /// `type: oauth`: whether a browser is opened; if not, the URL is logged.
    #[schemars(extend("x-not-yet" = true))]
    open_browser: bool,
    /// `type: oauth`: the loopback port of the redirect; 0 for any free one.
    #[schemars(extend("x-not-yet" = true))]
    callback_port: u16,
    /// `type: oauth`: a client that was registered by hand.
    #[schemars(extend("x-not-yet" = true))]
    client_id: Option<String>,
    /// `type: oauth`: a command that prints the client's id.
    #[schemars(length(min = 1), extend("x-not-yet" = true))]
    client_id_command: Vec<String>,
    /// `type: oauth`: the secret of a client that was registered by hand.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>", extend("x-not-yet" = true))]
    client_secret: Option<Secret>,
    /// `type: oauth`: a command that prints the client's secret.
    #[schemars(length(min = 1), extend("x-not-yet" = true))]
    client_secret_command: Vec<String>,
    /// `type: oauth`: the resource indicator to send (RFC 8707) in place of the
    /// one found; `none` sends none.
    #[schemars(extend("x-not-yet" = true))]
    resource: Option<String>,
    /// `type: oauth`: whether an authorization server may call itself by
    /// another name than the URL that it is found at (against RFC 8414).
    #[schemars(extend("x-not-yet" = true))]
    allow_issuer_mismatch: bool,
}

/// The kind of credential.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum AuthType {
    /// Nothing.
    None,
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// A header of your choice.
    Header,
    /// A bearer token that a helper command prints.
    Command,
    /// `OAuth` with a browser.
    #[schemars(extend("x-not-yet" = true))]
    Oauth,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            kind: AuthType::None,
            token: None,
            header: None,
            value: None,
            command: Vec::new(),
            ttl: Span::minutes(5),
            scopes: Vec::new(),
            client_name: "mcpmux".to_owned(),
            open_browser: true,
            callback_port: 0,
            client_id: None,
            client_id_command: Vec::new(),
            client_secret: None,
            client_secret_command: Vec::new(),
            resource: None,
            allow_issuer_mismatch: false,
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

fn types(schema: &mut schemars::Schema) {
    let variants = [
        Variant {
            value: "none",
            requires: &[],
            owns: &[],
        },
        Variant {
            value: "bearer",
            requires: &["token"],
            owns: &["token"],
        },
        Variant {
            value: "header",
            requires: &["header", "value"],
            owns: &["header", "value"],
        },
        Variant {
            value: "command",
            requires: &["command"],
            owns: &["command", "ttl"],
        },
        Variant {
            value: "oauth",
            requires: &[],
            owns: &[
                "scopes",
                "client_name",
                "open_browser",
                "callback_port",
                "client_id",
                "client_id_command",
                "client_secret",
                "client_secret_command",
                "resource",
                "allow_issuer_mismatch",
            ],
        },
    ];
    add_variants(schema, "type", Some("none"), &variants);
}
