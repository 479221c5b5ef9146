//! Who may come in, as it is configured.

use std::path::PathBuf;

use url::Url;

use crate::Secret;

/// Who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// The users of this machine who may, beside mcpmux's own and root: names,
    /// numbers or `*`.
    pub local_users: Vec<String>,
    /// Whether API keys are taken.
    pub keys: KeysSetting,
    /// The file of the keys, if it is not the usual one.
    pub keys_file: Option<PathBuf>,
    /// Which access tokens are taken, if any.
    pub oauth: Option<TokenSettings>,
    /// Everybody from other machines may.
    pub insecure: bool,
}

/// Whether API keys are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeysSetting {
    /// They are not looked at.
    Off,
    /// One lets in its holder.
    #[default]
    Allow,
    /// Over TCP nobody comes in without one.
    Require,
}

/// Which access tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The issuer, verbatim.
    pub issuer: String,
    /// What clients ask tokens for, if it is not the URL of the address.
    pub resource: Option<String>,
    /// The audiences, if it is not `resource`.
    pub audience: Vec<String>,
    /// Where the keys are, if the issuer's metadata is not to say it.
    pub jwks_uri: Option<Url>,
    /// The names of the signatures that are taken, if not the usual ones.
    pub algorithms: Vec<String>,
    /// The scopes that a token must have.
    pub scopes: Vec<String>,
}

/// How TCP sockets speak TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and those above it.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
    /// Whose certificates clients must show, if they must.
    pub client_ca: Option<Pem>,
    /// Which of these are revoked, if that is looked up.
    pub client_crl: Option<Pem>,
}

/// What is written in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// Here.
    Text(Secret),
}

impl Pem {
    /// What `value` is: a text, or the path of a file.
    pub(in crate::config) fn of(value: Secret) -> Self {
        if value.expose().contains("-----BEGIN ") {
            Self::Text(value)
        } else {
            Self::File(value.expose().into())
        }
    }
}
