//! The two documents that say how to get a token: the metadata of a protected
//! resource (RFC 9728 section 2) and of an authorization server (RFC 8414
//! section 2, `OpenID` Connect Discovery 1.0 section 3).
//!
//! Read leniently: unknown members are passed over, an optional member of a
//! wrong type is taken as absent, a needed one is an error. Strings that others
//! compare (`resource`, `issuer`) are kept verbatim; every endpoint must be one
//! that the [address policy](super::address) lets be asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::address::Policy;

/// The most entries that are read of a list, and the longest entry. What is
/// longer is nobody's, and a URL with all of it would be too long to be asked.
const MAX_ENTRIES: usize = 256;
const MAX_ENTRY: usize = 512;

/// What a server says of itself as a protected resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::credential) struct ProtectedResource {
    /// Its identifier, verbatim.
    pub(in crate::credential) resource: String,
    /// The issuers of its authorization servers, verbatim, in its order.
    pub(in crate::credential) authorization_servers: Vec<String>,
    /// The scopes for everyday use.
    pub(in crate::credential) scopes_supported: Option<Vec<String>>,
    /// Its name for people.
    pub(in crate::credential) resource_name: Option<String>,
    /// Whether it takes bound tokens only (RFC 9449).
    pub(in crate::credential) dpop_bound_access_tokens_required: bool,
}

/// What an authorization server says of itself. It is kept with the tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::credential) struct ServerMetadata {
    /// Its identifier, verbatim: what `iss` is compared with as a string.
    pub(in crate::credential) issuer: String,
    /// Where a person is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) authorization_endpoint: Option<Url>,
    /// Where tokens are had and renewed.
    pub(in crate::credential) token_endpoint: Url,
    /// Where clients register themselves (RFC 7591).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) registration_endpoint: Option<Url>,
    /// Where tokens are given back (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) revocation_endpoint: Option<Url>,
    /// Where a flow for devices without a browser begins (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) device_authorization_endpoint: Option<Url>,
    /// The scopes that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) scopes_supported: Option<Vec<String>>,
    /// The grants that it gives; where absent, `authorization_code` and `implicit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) grant_types_supported: Option<Vec<String>>,
    /// The PKCE methods that it checks; where absent, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) code_challenge_methods_supported: Option<Vec<String>>,
    /// How clients prove themselves; where absent, `client_secret_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// The algorithms of client assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// The algorithms of proofs of possession (RFC 9449); where absent, it may not
    /// know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::credential) dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// Whether a client's id may be the URL of its metadata.
    #[serde(default)]
    pub(in crate::credential) client_id_metadata_document_supported: bool,
    /// Whether every authorization response names its `iss` (RFC 9207).
    #[serde(default)]
    pub(in crate::credential) authorization_response_iss_parameter_supported: bool,
    /// It said none of this: there is no document, and the endpoints are the
    /// default ones of the specification of 2025-03-26.
    #[serde(default)]
    pub(in crate::credential) assumed: bool,
}

/// Why a document cannot be used. Reads on after its URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    /// It is something else: a page for people, say.
    #[error("answers with what is no JSON object ({0})")]
    NoObject(String),
    /// A needed member is absent or of a wrong type.
    #[error("answers with metadata without a valid `{0}`")]
    Member(&'static str),
    /// An endpoint that is not to be asked.
    #[error("names a `{0}` that {1}")]
    Endpoint(&'static str, String),
}

impl ProtectedResource {
    /// Reads the document.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DocumentError> {
        let document = object(body)?;
        Ok(Self {
            resource: string(&document, "resource").ok_or(DocumentError::Member("resource"))?,
            authorization_servers: strings(&document, "authorization_servers").unwrap_or_default(),
            scopes_supported: strings(&document, "scopes_supported"),
            resource_name: string(&document, "resource_name"),
            dpop_bound_access_tokens_required: flag(&document, "dpop_bound_access_tokens_required"),
        })
    }
}

impl ServerMetadata {
    /// Reads the document; `policy` says which endpoints may be named.
    pub(super) fn parse(body: &[u8], policy: &Policy) -> Result<Self, DocumentError> {
        let document = object(body)?;
        let endpoint = |name| endpoint(&document, name, policy);
        Ok(Self {
            issuer: string(&document, "issuer").ok_or(DocumentError::Member("issuer"))?,
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?
                .ok_or(DocumentError::Member("token_endpoint"))?,
            registration_endpoint: endpoint("registration_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
            scopes_supported: strings(&document, "scopes_supported"),
            grant_types_supported: strings(&document, "grant_types_supported"),
            code_challenge_methods_supported: strings(
                &document,
                "code_challenge_methods_supported",
            ),
            token_endpoint_auth_methods_supported: strings(
                &document,
                "token_endpoint_auth_methods_supported",
            ),
            token_endpoint_auth_signing_alg_values_supported: strings(
                &document,
                "token_endpoint_auth_signing_alg_values_supported",
            ),
            dpop_signing_alg_values_supported: strings(
                &document,
                "dpop_signing_alg_values_supported",
            ),
            client_id_metadata_document_supported: flag(
                &document,
                "client_id_metadata_document_supported",
            ),
            authorization_response_iss_parameter_supported: flag(
                &document,
                "authorization_response_iss_parameter_supported",
            ),
            assumed: false,
        })
    }

    /// What the specification of 2025-03-26 ("Fallbacks for Servers without
    /// Metadata Discovery") has one assume of the server at `base`, of which
    /// only the origin counts.
    pub(super) fn assumed(base: &Url) -> Option<Self> {
        let at = |path: &str| base.join(path).ok();
        Some(Self {
            issuer: base.origin().ascii_serialization(),
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token")?,
            registration_endpoint: at("/register"),
            revocation_endpoint: None,
            device_authorization_endpoint: None,
            scopes_supported: None,
            grant_types_supported: None,
            code_challenge_methods_supported: None,
            token_endpoint_auth_methods_supported: None,
            token_endpoint_auth_signing_alg_values_supported: None,
            dpop_signing_alg_values_supported: None,
            client_id_metadata_document_supported: false,
            authorization_response_iss_parameter_supported: false,
            assumed: true,
        })
    }

    /// Whether a code can be asked for with PKCE and `S256`, as it must be; the
    /// specification ("Authorization Code Protection") refuses a server whose
    /// metadata does not say so. One without metadata, of 2025-03-26, is taken
    /// at that revision's word that PKCE is required.
    pub(in crate::credential) fn supports_s256(&self) -> bool {
        self.assumed || lists(self.code_challenge_methods_supported.as_deref(), "S256")
    }

    /// Whether it says that it knows `scope`.
    pub(super) fn names_scope(&self, scope: &str) -> bool {
        lists(self.scopes_supported.as_deref(), scope)
    }
}

/// Whether `list` is there and holds `entry`.
pub(super) fn lists(list: Option<&[String]>, entry: &str) -> bool {
    list.is_some_and(|list| list.iter().any(|listed| listed == entry))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    // Some put a byte order mark in front.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(DocumentError::NoObject("another JSON value".to_owned())),
        Err(_) if body.trim_ascii().is_empty() => {
            Err(DocumentError::NoObject("an empty body".to_owned()))
        }
        Err(_) if body.trim_ascii_start().starts_with(b"<") => {
            Err(DocumentError::NoObject("a page".to_owned()))
        }
        Err(error) => Err(DocumentError::NoObject(format!(
            "line {} column {}",
            error.line(),
            error.column()
        ))),
    }
}

fn string(document: &Map<String, Value>, name: &str) -> Option<String> {
    let value = document.get(name)?.as_str()?;
    (!value.is_empty() && value.len() <= 4 * MAX_ENTRY).then(|| value.to_owned())
}

fn strings(document: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let list = document.get(name)?.as_array()?;
    let fit = |entry: &str| !entry.is_empty() && entry.len() <= MAX_ENTRY;
    Some(
        list.iter()
            .filter_map(Value::as_str)
            .filter(|entry| fit(entry))
            .take(MAX_ENTRIES)
            .map(str::to_owned)
            .collect(),
    )
}

fn flag(document: &Map<String, Value>, name: &str) -> bool {
    document.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// An endpoint, if the document names one: one that cannot be asked is an error,
/// for a server that names such a thing is not to be trusted with another.
fn endpoint(
    document: &Map<String, Value>,
    name: &'static str,
    policy: &Policy,
) -> Result<Option<Url>, DocumentError> {
    let Some(text) = document.get(name).and_then(Value::as_str) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |why: String| Err(DocumentError::Endpoint(name, why));
    let Ok(mut url) = text.parse::<Url>() else {
        return refuse("is no absolute URL".to_owned());
    };
    if let Err(refusal) = policy.check(&url) {
        return refuse(refusal.to_string());
    }
    // RFC 6749 section 3.1: there is none.
    url.set_fragment(None);
    Ok(Some(url))
}

#[cfg(test)]
mod tests;
