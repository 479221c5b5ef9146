//! How mcpmux registers itself with an authorization server (the specification's
//! "Client Registration", RFC 7591). Whether a client that is kept is still good
//! for a server is for its keeper to say.

use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    challenge::one_line,
    client::{AuthMethod, Client, Origin, method_for},
    metadata::{ServerMetadata, lists},
    web::{Web, WebError, shown},
};
use crate::Secret;

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
