//! How mcpmux is known to an authorization server (the specification's "Client
//! Registration"): by hand, by the URL of its own metadata, or by registering
//! itself (RFC 7591); and how it proves itself at the token endpoint. Whether a
//! kept client is still good for a server is for its keeper to say.

use std::fmt;

use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    challenge::one_line,
    metadata::{ServerMetadata, lists},
    web::{Web, WebError, shown},
};
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
    /// `client_id`.
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

/// What is asked for when mcpmux registers itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::credential) struct Wanted<'a> {
    /// The name on the consent screen.
    pub(in crate::credential) client_name: &'a str,
    /// Where people are sent back to.
    pub(in crate::credential) redirect_uris: &'a [String],
    /// The scopes that will be asked for.
    pub(in crate::credential) scopes: Option<&'a [String]>,
    /// The grants that will be used.
    pub(in crate::credential) grant_types: &'a [&'a str],
    /// `native`: people are sent back to their own machine.
    pub(in crate::credential) application_type: &'a str,
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

/// Why mcpmux is not known to a server. Reads on after the backend's name.
#[derive(Debug, thiserror::Error)]
pub(in crate::credential) enum RegistrationError {
    /// The server wants clients to be registered by hand.
    #[error(
        "{issuer} lets no client register itself: register one there by hand and set \
         auth.client_id (and auth.client_secret if it has one)"
    )]
    Unsupported {
        /// The server.
        issuer: String,
    },
    /// The server knows no way to prove oneself that a registered client could use.
    #[error(
        "{issuer} takes clients only by {methods}: register one there by hand and set \
         auth.client_id"
    )]
    Methods {
        /// The server.
        issuer: String,
        /// What it takes.
        methods: String,
    },
    /// It refused.
    #[error(
        "registering at {url} failed: {status}{said}. Registering a client there by hand and \
         setting auth.client_id helps if this lasts"
    )]
    Rejected {
        /// Where.
        url: String,
        /// The status.
        status: StatusCode,
        /// Its reason, on one line, with what stands between.
        said: String,
        /// Its `error`.
        code: Option<String>,
    },
    /// It answered something else.
    #[error("registering at {url} failed: its answer {why}")]
    Answer {
        /// Where.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// There was no answer.
    #[error("registering failed: {0}")]
    Web(#[from] WebError),
    /// The URL of the client's metadata is none that can be an id.
    #[error("the URL of the client's metadata {0}")]
    Document(&'static str),
}

impl RegistrationError {
    /// Whether it may succeed later without anyone's doing.
    pub(in crate::credential) fn is_transient(&self) -> bool {
        match self {
            Self::Rejected { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Web(error) => error.kind.is_transient(),
            _ => false,
        }
    }
}

/// The client to be at `server`, by the specification's order: the configured
/// one; the URL of a metadata document where the server takes that; one that is
/// registered now.
pub(in crate::credential) async fn obtain(
    web: &Web,
    server: &ServerMetadata,
    configured: Option<Configured<'_>>,
    document: Option<&Url>,
    wanted: &Wanted<'_>,
) -> Result<Client, RegistrationError> {
    if let Some(configured) = configured {
        return Ok(Client::configured(server, configured));
    }
    match document {
        Some(url) if server.client_id_metadata_document_supported => Client::document(url),
        _ => register(web, server, wanted).await,
    }
}

/// Registers a client (RFC 7591 section 3). A server that does not say how
/// clients prove themselves is asked for a public one, and if it wants none,
/// once more for one with a secret.
pub(in crate::credential) async fn register(
    web: &Web,
    server: &ServerMetadata,
    wanted: &Wanted<'_>,
) -> Result<Client, RegistrationError> {
    let Some(url) = &server.registration_endpoint else {
        return Err(RegistrationError::Unsupported {
            issuer: one_line(&server.issuer),
        });
    };
    let supported = server.token_endpoint_auth_methods_supported.as_deref();
    let takes = |method: AuthMethod| lists(supported, method.name());
    let method = match supported {
        None => AuthMethod::None,
        Some(supported) => [AuthMethod::None, AuthMethod::Basic, AuthMethod::Post]
            .into_iter()
            .find(|method| takes(*method))
            .ok_or_else(|| RegistrationError::Methods {
                issuer: one_line(&server.issuer),
                methods: one_line(&supported.join(", ")),
            })?,
    };
    match register_as(web, server, url, wanted, method).await {
        Err(RegistrationError::Rejected {
            code: Some(code), ..
        }) if supported.is_none() && code == "invalid_client_metadata" => {
            register_as(web, server, url, wanted, AuthMethod::Basic).await
        }
        registered => registered,
    }
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
    pub(in crate::credential) fn document(url: &Url) -> Result<Self, RegistrationError> {
        let refuse = |why| Err(RegistrationError::Document(why));
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

async fn register_as(
    web: &Web,
    server: &ServerMetadata,
    url: &Url,
    wanted: &Wanted<'_>,
    method: AuthMethod,
) -> Result<Client, RegistrationError> {
    let response = web.send(request(url, wanted, method)).await?;
    let status = response.status();
    let answer: Option<Map<String, Value>> = serde_json::from_slice(response.body()).ok();
    if !status.is_success() {
        return Err(rejected(url, status, answer.as_ref()));
    }
    let wrong = |why: &str| RegistrationError::Answer {
        url: shown(url),
        why: why.to_owned(),
    };
    let answer = answer.ok_or_else(|| wrong("is no JSON object"))?;
    registered(server, wanted, method, &answer).map_err(wrong)
}

fn request(url: &Url, wanted: &Wanted<'_>, method: AuthMethod) -> Request<Vec<u8>> {
    let mut body = json!({
        "client_name": wanted.client_name,
        "redirect_uris": wanted.redirect_uris,
        "grant_types": wanted.grant_types,
        "token_endpoint_auth_method": method.name(),
        "application_type": wanted.application_type,
    });
    let codes = wanted.grant_types.contains(&"authorization_code");
    body["response_types"] = if codes { json!(["code"]) } else { json!([]) };
    if let Some(scopes) = wanted.scopes {
        body["scope"] = scopes.join(" ").into();
    }
    let mut request = Request::new(body.to_string().into_bytes());
    *request.method_mut() = Method::POST;
    // A URL that was asked to be one parses as a URI; if not, the client says so.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, json.clone());
    request.headers_mut().insert(header::ACCEPT, json);
    request
}

fn rejected(
    url: &Url,
    status: StatusCode,
    answer: Option<&Map<String, Value>>,
) -> RegistrationError {
    let member = |name| answer?.get(name)?.as_str().map(one_line);
    let code = member("error");
    let said = match (&code, member("error_description")) {
        (Some(code), Some(description)) => format!(": {code}: {description}"),
        (Some(said), None) => format!(": {said}"),
        (None, Some(said)) => format!(": {said}"),
        (None, None) => String::new(),
    };
    RegistrationError::Rejected {
        url: shown(url),
        status,
        said,
        code,
    }
}

/// The client of an answer (RFC 7591 section 3.2.1). Error: what is wrong with
/// the answer.
fn registered(
    server: &ServerMetadata,
    wanted: &Wanted<'_>,
    asked: AuthMethod,
    answer: &Map<String, Value>,
) -> Result<Client, &'static str> {
    let text = |name| {
        answer
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let id = text("client_id").ok_or("has no `client_id`")?.to_owned();
    let secret = text("client_secret").map(|secret| Secret::new(secret.to_owned()));
    let method = match text("token_endpoint_auth_method") {
        Some("none") => AuthMethod::None,
        Some("client_secret_basic") => AuthMethod::Basic,
        Some("client_secret_post") => AuthMethod::Post,
        Some(_) => return Err("wants clients to prove themselves in a way that was not asked for"),
        // It means what was asked for, or with a secret the default.
        None if secret.is_some() => method_for(server, true, false),
        None => asked,
    };
    if secret.is_none() && method != AuthMethod::None {
        return Err("has no `client_secret` for a client that is to have one");
    }
    let listed: Vec<&str> = match answer.get("redirect_uris").and_then(Value::as_array) {
        Some(listed) => listed.iter().filter_map(Value::as_str).collect(),
        None => Vec::new(),
    };
    let mut wanted_uris = wanted.redirect_uris.iter();
    let redirect_uri = wanted_uris
        .find(|uri| listed.contains(&uri.as_str()))
        .or(wanted.redirect_uris.first());
    Ok(Client {
        id,
        // A public client has no use for it.
        secret: secret.filter(|_| method != AuthMethod::None),
        method,
        origin: Origin::Dynamic,
        expires_at: answer
            .get("client_secret_expires_at")
            .and_then(Value::as_u64)
            .filter(|at| *at != 0),
        redirect_uri: redirect_uri.cloned(),
    })
}

#[cfg(test)]
mod tests;
