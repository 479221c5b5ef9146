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
    /// `type: oauth`: how tokens are had: by a person's consent in a browser, or
    /// by mcpmux itself, unattended.
    pub(in crate::config) grant: Grant,
    /// `grant: jwt_bearer`: the JWT by which the platform vouches for this workload
    /// (SEP-1933); its audience is the authorization server.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) assertion: Option<Secret>,
    /// `grant: jwt_bearer`: a command that prints such a JWT, run anew for each
    /// token.
    #[schemars(length(min = 1))]
    pub(in crate::config) assertion_command: Vec<String>,
    /// `grant: enterprise_managed`: the identity token (`OpenID` Connect) of the one
    /// on whose behalf mcpmux acts, from the organisation's identity provider.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) identity_token: Option<Secret>,
    /// `grant: enterprise_managed`: a command that prints such a token, run anew
    /// for each access token.
    #[schemars(length(min = 1))]
    pub(in crate::config) identity_token_command: Vec<String>,
    /// `grant: enterprise_managed`: the issuer of the identity provider, whose
    /// metadata names its token endpoint.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) idp_issuer: Option<String>,
    /// `grant: enterprise_managed`: the token endpoint of the identity provider,
    /// in place of `idp_issuer`.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) idp_token_endpoint: Option<String>,
    /// `grant: enterprise_managed`: the client that the identity token is for.
    pub(in crate::config) idp_client_id: Option<String>,
    /// `grant: enterprise_managed`: the secret of that client, if it has one.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) idp_client_secret: Option<Secret>,
    /// `type: oauth`: the scopes to ask for, in place of those that the server
    /// names.
    pub(in crate::config) scopes: Vec<String>,
    /// `type: oauth`: the name shown on the consent screen.
    pub(in crate::config) client_name: String,
    /// `type: oauth`: whether a browser is opened where there is one. The URL is
    /// logged in any case.
    pub(in crate::config) open_browser: bool,
    /// `type: oauth`: a loopback port for the redirect, bound while a login is
    /// under way; 0 for mcpmux's own address.
    pub(in crate::config) callback_port: u16,
    /// `type: oauth`: a client that was registered by hand.
    pub(in crate::config) client_id: Option<String>,
    /// `type: oauth`: a command that prints the client's id.
    #[schemars(length(min = 1))]
    pub(in crate::config) client_id_command: Vec<String>,
    /// `type: oauth`: the secret of a client that was registered by hand.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) client_secret: Option<Secret>,
    /// `type: oauth`: a command that prints the client's secret.
    #[schemars(length(min = 1))]
    pub(in crate::config) client_secret_command: Vec<String>,
    /// `type: oauth`: the private key (PEM, PKCS#8) that signs for a client that
    /// was registered by hand (`private_key_jwt`, RFC 7523).
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) private_key: Option<Secret>,
    /// `type: oauth`: the algorithm of `private_key`, as `RS256` or `ES256`; what
    /// the key is for if not set.
    pub(in crate::config) signing_algorithm: Option<String>,
    /// `type: oauth`: the URL of a Client ID Metadata Document, used as the
    /// client's id where the authorization server supports it. Its
    /// `redirect_uris` must name mcpmux's.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) client_metadata_url: Option<String>,
    /// `type: oauth`: the resource indicator to send (RFC 8707) in place of the
    /// one found; `none` sends none.
    pub(in crate::config) resource: Option<String>,
    /// `type: oauth`: whether an authorization server may call itself by
    /// another name than the URL that it is found at (against RFC 8414).
    pub(in crate::config) allow_issuer_mismatch: bool,
    /// `type: oauth`: whether tokens are bound to a key that never leaves mcpmux,
    /// so that a stolen one is of no use (`DPoP`, RFC 9449).
    pub(in crate::config) dpop: Dpop,
}

/// Whether tokens are bound to a key.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Dpop {
    /// Where the server asks for it and its authorization server can.
    #[default]
    Auto,
    /// Always: other tokens are not used.
    Required,
    /// Never.
    Off,
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
    /// `OAuth`: a person consents once, or a client has credentials of its own.
    Oauth,
}

/// How an `OAuth` token is had.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Grant {
    /// A person consents (RFC 6749, section 4.1, with PKCE).
    #[default]
    AuthorizationCode,
    /// The client asks for itself (RFC 6749, section 4.4).
    ClientCredentials,
    /// A workload shows the JWT that its platform gives it (RFC 7523, section
    /// 2.1); `client_id` may be left out.
    JwtBearer,
    /// The organisation's identity provider decides (SEP-990): it exchanges an
    /// identity token for a grant that the authorization server takes.
    EnterpriseManaged,
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
            grant: Grant::default(),
            assertion: None,
            assertion_command: Vec::new(),
            identity_token: None,
            identity_token_command: Vec::new(),
            idp_issuer: None,
            idp_token_endpoint: None,
            idp_client_id: None,
            idp_client_secret: None,
            scopes: Vec::new(),
            client_name: "mcpmux".to_owned(),
            open_browser: true,
            callback_port: 0,
            client_id: None,
            client_id_command: Vec::new(),
            client_secret: None,
            client_secret_command: Vec::new(),
            private_key: None,
            signing_algorithm: None,
            client_metadata_url: None,
            resource: None,
            allow_issuer_mismatch: false,
            dpop: Dpop::default(),
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
                "grant",
                "assertion",
                "assertion_command",
                "identity_token",
                "identity_token_command",
                "idp_issuer",
                "idp_token_endpoint",
                "idp_client_id",
                "idp_client_secret",
                "scopes",
                "client_name",
                "open_browser",
                "callback_port",
                "client_id",
                "client_id_command",
                "client_secret",
                "client_secret_command",
                "private_key",
                "signing_algorithm",
                "client_metadata_url",
                "resource",
                "allow_issuer_mismatch",
                "dpop",
            ],
        },
    ];
    add_variants(schema, "type", Some("none"), &variants);
}
