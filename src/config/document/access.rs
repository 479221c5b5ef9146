//! `access`: who may come in, and who has which role.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    in_order,
    policy::{Assignment, Role},
};
use crate::Secret;

/// Who may come in, and who may do what.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Access {
    /// Users of this machine who may come in beside mcpmux's own and root, by
    /// name or number; `"*"` lets in all of them. Whose a connection is, the
    /// kernel says.
    pub(in crate::config) local_users: Vec<String>,
    /// Whether API keys let in whoever shows one (`mcpmux keys add`).
    pub(in crate::config) keys: Keys,
    /// The file of the keys, in a directory that nobody else can write to;
    /// `keys.json` in the state directory if not set.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) keys_file: Option<String>,
    /// Access tokens (`OAuth`) that let in whoever shows one.
    #[serde(skip_serializing)]
    pub(in crate::config) oauth: Option<Oauth>,
    /// Lets in everybody from other machines, without any credential, where
    /// mcpmux listens on an address that they reach.
    pub(in crate::config) insecure: bool,
    /// What each role may use, by its name. What it may not use it does not see.
    /// Without any role everybody may use everything.
    pub(in crate::config) roles: BTreeMap<String, Role>,
    /// The role of who is given no other; if not set and there are roles, who is
    /// given none may use nothing.
    pub(in crate::config) default_role: Option<String>,
    /// Who has which role: the first that fits counts.
    pub(in crate::config) assign: Vec<Assignment>,
}

/// Whether API keys let in whoever shows one.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Keys {
    /// They are not looked at.
    Off,
    /// One lets in who could not come in otherwise, and is its holder's name
    /// and role; a wrong one lets in nobody.
    #[default]
    Allow,
    /// Over TCP nobody comes in without one. The unix socket stays as it is.
    Require,
}

/// How a TCP socket speaks TLS. Each is a file in PEM, which is read again when
/// it changes, or what is in one: `${cred:NAME}` gives that.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Tls {
    /// The certificate, with those between it and its root.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) certificate: String,
    /// Its private key.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub(in crate::config) key: Secret,
    /// The certificates of the authorities whose clients may come in: each
    /// client must then show a certificate of one of them.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) client_ca: Option<String>,
    /// The revocation lists of these authorities, one of each whose certificates are
    /// shown: who shows a certificate that one names is not let in, and nobody is by
    /// an authority whose list is missing or out of date.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) client_crl: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Which access tokens are taken: JWTs (RFC 9068) of one authorization server.
/// Over TCP nobody comes in then without a token or a key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>, extend("required" = ["issuer"]))]
pub(in crate::config) struct Oauth {
    /// The authorization server, as `iss` of its tokens has it.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) issuer: String,
    /// What clients ask tokens for (RFC 8707): the URL at which they reach the
    /// endpoint; if not set, that of the address, on loopback that with `localhost` too.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) resource: Option<String>,
    /// The `aud` that a token must have one of; `resource` if not set.
    #[schemars(length(min = 1))]
    pub(in crate::config) audience: Vec<String>,
    /// Where the server's keys are; what its metadata says if not set.
    #[schemars(extend("format" = "http-url"))]
    pub(in crate::config) jwks_uri: Option<String>,
    /// The signatures that are taken, of `RS256` to `RS512`, `PS256` to `PS512`,
    /// `ES256`, `ES384` and `EdDSA`.
    #[schemars(length(min = 1))]
    pub(in crate::config) algorithms: Vec<String>,
    /// The scopes that a token must have, all of them.
    pub(in crate::config) scopes: Vec<String>,
}
