//! What mcpmux is to an authorization server: a client that was registered by
//! hand, by itself, or by the URL of its own metadata; and how it proves itself
//! at the token endpoint.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::metadata::{ServerMetadata, lists};
use crate::Secret;

/// Where a client's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::credential) enum Origin {
    /// From the configuration.
    Configured,
    /// It is the URL of a document that describes the client.
    Document,
    /// From the server, on request.
    Dynamic,
}

/// How a client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::credential) enum AuthMethod {
    /// Not at all: a public client names its id.
    None,
    /// With its secret, as `Authorization: Basic`.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// With its secret in the body.
    #[serde(rename = "client_secret_post")]
    Post,
    /// With an assertion signed by its key (RFC 7523 section 2.2).
    PrivateKeyJwt,
}

/// What mcpmux is to one authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::credential) struct Client {
    /// `client_id`; empty if it has none.
    pub(in crate::credential) id: String,
    /// `client_secret`.
    pub(in crate::credential) secret: Option<Secret>,
    /// How it proves itself.
    pub(in crate::credential) method: AuthMethod,
    /// Where it comes from.
    pub(in crate::credential) origin: Origin,
    /// When the secret ends, in seconds since 1970; none if it does not.
    pub(in crate::credential) expires_at: Option<u64>,
    /// The redirect that it was registered with.
    pub(in crate::credential) redirect_uri: Option<String>,
}

/// A [`Client`] as it is kept, with its secret in clear: only for what encrypts it.
#[derive(Serialize, Deserialize)]
pub(in crate::credential) struct ClientRecord {
    id: String,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "super::exposed::option"
    )]
    secret: Option<Secret>,
    method: AuthMethod,
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
}

/// A client that was registered by hand.
#[derive(Debug, Clone, Copy)]
pub(in crate::credential) struct Configured<'a> {
    /// `auth.client_id`.
    pub(in crate::credential) id: &'a str,
    /// `auth.client_secret`.
    pub(in crate::credential) secret: Option<&'a Secret>,
    /// There is a key to sign assertions with.
    pub(in crate::credential) has_key: bool,
}

/// How a client proves itself at `server`'s token endpoint, by what it has and
/// what the server takes: a key before a secret, `client_secret_basic` before
/// `client_secret_post`.
pub(in crate::credential) fn method_for(
    server: &ServerMetadata,
    has_secret: bool,
    has_key: bool,
) -> AuthMethod {
    let supported = server.token_endpoint_auth_methods_supported.as_deref();
    let takes = |method: AuthMethod| lists(supported, method.name());
    if has_key && (supported.is_none() || takes(AuthMethod::PrivateKeyJwt)) {
        AuthMethod::PrivateKeyJwt
    } else if has_secret && takes(AuthMethod::Basic) {
        AuthMethod::Basic
    } else if has_secret && takes(AuthMethod::Post) {
        AuthMethod::Post
    } else if takes(AuthMethod::None) {
        AuthMethod::None
    } else if has_secret {
        // The default of RFC 8414 section 2, which every server must take (RFC
        // 6749 section 2.3.1).
        AuthMethod::Basic
    } else if has_key {
        AuthMethod::PrivateKeyJwt
    } else {
        AuthMethod::None
    }
}

impl AuthMethod {
    /// Its name in metadata.
    pub(in crate::credential) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

impl Client {
    /// The client that `configured` describes, at `server`.
    pub(in crate::credential) fn configured(
        server: &ServerMetadata,
        configured: Configured<'_>,
    ) -> Self {
        Self {
            id: configured.id.to_owned(),
            secret: configured.secret.cloned(),
            method: method_for(server, configured.secret.is_some(), configured.has_key),
            origin: Origin::Configured,
            expires_at: None,
            redirect_uri: None,
        }
    }

    /// The public client whose id is the `url` of its metadata (Client ID
    /// Metadata Document, section 3). Error: it cannot be an id.
    pub(in crate::credential) fn document(url: &Url) -> Result<Self, &'static str> {
        let refuse = |why| Err(why);
        if url.scheme() != "https" {
            return refuse("is no https:// URL");
        }
        if url.path().trim_matches('/').is_empty() {
            return refuse("has no path");
        }
        if url.fragment().is_some() {
            return refuse("has a fragment");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("holds a user name or password");
        }
        Ok(Self {
            id: url.as_str().to_owned(),
            secret: None,
            method: AuthMethod::None,
            origin: Origin::Document,
            expires_at: None,
            redirect_uri: None,
        })
    }

    /// A client without an id: an assertion may say all that there is to say (RFC
    /// 7521 section 4.1).
    pub(in crate::credential) fn unnamed() -> Self {
        Self {
            id: String::new(),
            secret: None,
            method: AuthMethod::None,
            origin: Origin::Configured,
            expires_at: None,
            redirect_uri: None,
        }
    }

    /// The client as it is kept: its secret in clear, for what encrypts it.
    pub(in crate::credential) fn to_record(&self) -> ClientRecord {
        let Self {
            id,
            secret,
            method,
            origin,
            expires_at,
            redirect_uri,
        } = self.clone();
        ClientRecord {
            id,
            secret,
            method,
            origin,
            expires_at,
            redirect_uri,
        }
    }
}

impl From<ClientRecord> for Client {
    fn from(record: ClientRecord) -> Self {
        Self {
            id: record.id,
            secret: record.secret,
            method: record.method,
            origin: record.origin,
            expires_at: record.expires_at,
            redirect_uri: record.redirect_uri,
        }
    }
}

impl fmt::Debug for ClientRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRecord")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
