//! Token requests of the grants that the `oauth2` crate does not make (RFC 6749
//! section 4.5): a JWT for a token (RFC 7523 section 2.1), and what
//! extensions define.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, Request, header};
use oauth2::{AsyncHttpClient, HttpRequest};
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{
    client::AuthMethod,
    requests::{AUTHORIZATION_SERVER, RequestError, Requests, readable},
    tokens::{Answer, Tokens},
};
use crate::Secret;

/// The grant's name (RFC 7523 section 2.1).
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Room for a form, in bytes, so that no copy of its secrets is left behind where
/// a buffer has grown.
const ROOM: usize = 16 * 1024;

/// An error as a token endpoint gives it (RFC 6749 section 5.2).
#[derive(Deserialize)]
struct Said {
    error: String,
    error_description: Option<String>,
}

impl Requests<'_> {
    /// Shows a JWT for a token.
    pub(super) async fn jwt_bearer(
        &self,
        assertion: &Secret,
        scopes: &[String],
    ) -> Result<Tokens, RequestError> {
        let asked = scopes.join(" ");
        let mut parameters = vec![
            ("grant_type", JWT_BEARER),
            ("assertion", assertion.expose()),
        ];
        if !asked.is_empty() {
            parameters.push(("scope", &asked));
        }
        let answer: Answer = self.post(&parameters).await?;
        self.taken(&answer, scopes, None)
    }

    /// Posts `parameters`, and what every token request carries, to the token
    /// endpoint.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        parameters: &[(&str, &str)],
    ) -> Result<T, RequestError> {
        let request = self.form(parameters)?;
        let answer = self.sender().call(request).await;
        let answer = answer.map_err(|error| RequestError::Unanswered(error.to_string()))?;
        let status = answer.status();
        let body = Zeroizing::new(answer.into_body());
        if status.is_success()
            && let Ok(answer) = serde_json::from_slice(&body)
        {
            return Ok(answer);
        }
        // Some servers refuse with 200. What is neither is not shown, for it may
        // be a token.
        Err(match serde_json::from_slice::<Said>(&body) {
            Ok(said) => RequestError::Refused {
                by: AUTHORIZATION_SERVER,
                code: readable(&said.error),
                description: said
                    .error_description
                    .map(|words| format!(": {}", readable(&words)))
                    .unwrap_or_default(),
            },
            Err(_) => RequestError::Unanswered(format!(
                "{AUTHORIZATION_SERVER} gave an answer ({status}) that is neither a token nor an error"
            )),
        })
    }

    fn form(&self, parameters: &[(&str, &str)]) -> Result<HttpRequest, RequestError> {
        let mut headers = HeaderMap::new();
        let mut form = Serializer::new(String::with_capacity(ROOM));
        form.extend_pairs(parameters);
        form.extend_pairs(self.extra());
        let client = self.client;
        match (client.method, &client.secret) {
            (AuthMethod::Basic, Some(secret)) => {
                let value = basic(&client.id, secret).to_header();
                let value = value.map_err(|error| RequestError::Unanswered(error.to_string()))?;
                headers.insert(header::AUTHORIZATION, value);
            }
            (method, secret) => {
                if !client.id.is_empty() {
                    form.append_pair("client_id", &client.id);
                }
                if let (AuthMethod::Post, Some(secret)) = (method, secret) {
                    form.append_pair("client_secret", secret.expose());
                }
            }
        }
        let mut request = Request::post(self.server.token_endpoint.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish().into_bytes())
            .map_err(|error| RequestError::Unanswered(error.to_string()))?;
        request.headers_mut().extend(headers);
        Ok(request)
    }
}

/// `Authorization: Basic`, with both parts encoded as in a form (RFC 6749 section
/// 2.3.1).
fn basic(id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encoded(id), encoded(secret.expose()));
    let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
    Secret::new(STANDARD.encode(pair.as_bytes())).after("Basic ")
}

#[cfg(test)]
mod tests;
