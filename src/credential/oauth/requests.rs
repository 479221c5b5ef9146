//! Requests to an authorization server on behalf of one client (RFC 6749, 7009,
//! 7636, 8628, 8707), made by the `oauth2` crate and sent by [`Web`].

use std::{borrow::Cow, time::SystemTime};

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet, ErrorResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    RevocationUrl, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use url::Url;

use super::{
    client::{AuthMethod, Client},
    dpop::Prover,
    metadata::ServerMetadata,
    sender::{Asserted, SendError, Sender},
    tokens::{Answer, Tokens},
    web::Web,
};
use crate::Secret;

/// The most of a server's own words that is shown, in characters.
const MAX_DESCRIPTION: usize = 300;

/// Who answers, in words.
pub(super) const AUTHORIZATION_SERVER: &str = "the authorization server";

type OAuth2 = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointMaybeSet,
    EndpointMaybeSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointSet,
>;

/// One client's requests to one authorization server.
pub(super) struct Requests<'a> {
    web: &'a Web,
    pub(super) server: &'a ServerMetadata,
    pub(super) client: &'a Client,
    resource: Option<&'a str>,
    key: Option<SigningKey<'a>>,
    prover: Option<&'a Prover>,
    must_bind: bool,
    oauth2: OAuth2,
}

/// The private key of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct SigningKey<'a> {
    pub(super) pem: &'a Secret,
    pub(super) algorithm: Option<&'a str>,
}

/// A consent that is asked for: where, and what proves that the answer is to it.
pub(super) struct Asked {
    pub(super) url: Url,
    pub(super) state: Secret,
    pub(super) verifier: Secret,
}

/// Why a request gave no token.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum RequestError {
    /// The server has refused (RFC 6749, section 5.2).
    #[error("{by} answered {code}{description}")]
    Refused {
        /// Who has.
        by: &'static str,
        /// The error code.
        code: String,
        /// The server's words, after a separator.
        description: String,
    },
    /// There is no answer that could be used.
    #[error("{0}")]
    Unanswered(String),
}

impl RequestError {
    /// Whether the server refused with `code`.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused { code: own, .. } if own == code)
    }
}

impl<'a> Requests<'a> {
    pub(super) fn new(
        web: &'a Web,
        server: &'a ServerMetadata,
        client: &'a Client,
        resource: Option<&'a str>,
        key: Option<SigningKey<'a>>,
    ) -> Self {
        let mut oauth2 =
            oauth2::Client::new(ClientId::new(client.id.clone()))
                .set_auth_uri_option(server.authorization_endpoint.clone().map(AuthUrl::from_url))
                .set_token_uri(TokenUrl::from_url(server.token_endpoint.clone()))
                .set_device_authorization_url_option(
                    server
                        .device_authorization_endpoint
                        .clone()
                        .map(DeviceAuthorizationUrl::from_url),
                )
                // Where it really goes is put in when it is sent: the crate insists
                // on https, and what may be plain is for the policy of `Web` to say.
                .set_revocation_url_option(server.revocation_endpoint.as_ref().and_then(|_| {
                    RevocationUrl::new("https://revocation.invalid".to_owned()).ok()
                }));
        match client.method {
            AuthMethod::Basic => {}
            AuthMethod::Post | AuthMethod::None | AuthMethod::PrivateKeyJwt => {
                oauth2 = oauth2.set_auth_type(AuthType::RequestBody);
            }
        }
        if let (AuthMethod::Basic | AuthMethod::Post, Some(secret)) =
            (client.method, &client.secret)
        {
            oauth2 = oauth2.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        Self {
            web,
            server,
            client,
            resource,
            key,
            prover: None,
            must_bind: false,
            oauth2,
        }
    }

    /// The same for tokens that are bound to the key of `prover`, and with
    /// `must_bind` for no others.
    pub(super) fn bound_to(self, prover: Option<&'a Prover>, must_bind: bool) -> Self {
        Self {
            prover,
            must_bind,
            ..self
        }
    }

    /// The page where a person consents to `scopes`, after which the browser
    /// goes to `redirect`.
    pub(super) fn authorize(&self, redirect: &str, scopes: &[String]) -> Result<Asked, String> {
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| error.to_string())?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = self
            .oauth2
            .authorize_url(|| CsrfToken::new_random_len(32))
            .map_err(|_| "the authorization server names no authorization_endpoint".to_owned())?
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_redirect_uri(Cow::Owned(redirect))
            .set_pkce_challenge(challenge);
        if let Some(resource) = self.resource {
            request = request.add_extra_param("resource", resource);
        }
        if let Some(prover) = self.prover {
            // RFC 9449, section 10: the code as well is good with this key only.
            request = request.add_extra_param("dpop_jkt", prover.thumbprint());
        }
        if scopes.iter().any(|scope| scope == "offline_access") {
            // OpenID Connect Core, section 11: without, the scope is ignored.
            request = request.add_extra_param("prompt", "consent");
        }
        let (url, state) = request.url();
        Ok(Asked {
            url,
            state: Secret::new(state.into_secret()),
            verifier: Secret::new(verifier.into_secret()),
        })
    }

    /// Exchanges an authorization code.
    pub(super) async fn exchange(
        &self,
        code: &Secret,
        verifier: &Secret,
        redirect: &str,
        scopes: &[String],
    ) -> Result<Tokens, RequestError> {
        let redirect = RedirectUrl::new(redirect.to_owned())
            .map_err(|error| RequestError::Unanswered(error.to_string()))?;
        let mut request = self
            .oauth2
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_redirect_uri(Cow::Owned(redirect))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        if let Some((name, value)) = self.extra() {
            request = request.add_extra_param(name, value);
        }
        let answer = request.request_async(&self.sender()).await;
        self.tokens(answer, scopes, None)
    }

    /// Exchanges the refresh token of `before`.
    pub(super) async fn refresh(
        &self,
        refresh: &Secret,
        before: &Tokens,
    ) -> Result<Tokens, RequestError> {
        let refresh = RefreshToken::new(refresh.expose().to_owned());
        let mut request = self.oauth2.exchange_refresh_token(&refresh);
        if let Some((name, value)) = self.extra() {
            request = request.add_extra_param(name, value);
        }
        let answer = request.request_async(&self.sender()).await;
        self.tokens(answer, &before.scopes, Some(before))
    }

    /// Asks for a token of the client's own.
    pub(super) async fn own(&self, scopes: &[String]) -> Result<Tokens, RequestError> {
        let mut request = self
            .oauth2
            .exchange_client_credentials()
            .add_scopes(scopes.iter().cloned().map(Scope::new));
        if let Some((name, value)) = self.extra() {
            request = request.add_extra_param(name, value);
        }
        let answer = request.request_async(&self.sender()).await;
        self.tokens(answer, scopes, None)
    }

    /// Asks for a code that a person types in on another device.
    pub(super) async fn device(
        &self,
        scopes: &[String],
    ) -> Result<StandardDeviceAuthorizationResponse, RequestError> {
        let mut request = self
            .oauth2
            .exchange_device_code()
            .map_err(|_| no_endpoint("device_authorization_endpoint"))?
            .add_scopes(scopes.iter().cloned().map(Scope::new));
        if let Some((name, value)) = self.extra() {
            request = request.add_extra_param(name, value);
        }
        request.request_async(&self.plain()).await.map_err(refused)
    }

    /// Asks until the person has consented, refused, or let the code expire.
    pub(super) async fn device_tokens(
        &self,
        device: &StandardDeviceAuthorizationResponse,
        scopes: &[String],
    ) -> Result<Tokens, RequestError> {
        let mut request = self.oauth2.exchange_device_access_token(device);
        if let Some((name, value)) = self.extra() {
            request = request.add_extra_param(name, value);
        }
        let answer = request
            .request_async(&self.sender(), tokio::time::sleep, None)
            .await;
        self.tokens(answer, scopes, None)
    }

    /// Has a token revoked (RFC 7009); false if the server offers no revocation.
    pub(super) async fn revoke(&self, token: StandardRevocableToken) -> Result<bool, RequestError> {
        let Some(endpoint) = &self.server.revocation_endpoint else {
            return Ok(false);
        };
        let request = self
            .oauth2
            .revoke_token(token)
            .map_err(|_| no_endpoint("revocation_endpoint"))?;
        let endpoint: http::Uri = endpoint
            .as_str()
            .parse()
            .map_err(|_| no_endpoint("revocation_endpoint"))?;
        let sender = Sender {
            to: Some(endpoint),
            ..self.plain()
        };
        request.request_async(&sender).await.map_err(refused)?;
        Ok(true)
    }

    /// What sends token requests: the tokens are bound, if they are to be.
    pub(super) fn sender(&self) -> Sender<'a> {
        Sender {
            prover: self.prover,
            ..self.plain()
        }
    }

    /// What sends other requests.
    fn plain(&self) -> Sender<'a> {
        let key = self
            .key
            .filter(|_| self.client.method == AuthMethod::PrivateKeyJwt);
        Sender {
            web: self.web,
            to: None,
            asserted: key.map(|key| Asserted {
                key,
                client_id: &self.client.id,
                audience: &self.server.issuer,
            }),
            prover: None,
        }
    }

    /// What every token request carries beside its own parameters.
    pub(super) fn extra(&self) -> Option<(&'static str, String)> {
        Some(("resource", self.resource?.to_owned()))
    }

    fn tokens<E: ErrorResponse>(
        &self,
        answer: Result<Answer, RequestTokenError<SendError, E>>,
        scopes: &[String],
        before: Option<&Tokens>,
    ) -> Result<Tokens, RequestError> {
        self.taken(&answer.map_err(refused)?, scopes, before)
    }

    /// The tokens of `answer`, if they can be used.
    pub(super) fn taken(
        &self,
        answer: &Answer,
        scopes: &[String],
        before: Option<&Tokens>,
    ) -> Result<Tokens, RequestError> {
        let issuer = &self.server.issuer;
        let unfit = |what| Err(RequestError::Unanswered(format!("{issuer} gave {what}")));
        let bound = answer.is_dpop();
        if bound && self.prover.is_none() {
            return unfit("a token bound to a key, which was not asked for");
        }
        if !bound && self.must_bind {
            return unfit("a token that is not bound to a key, which auth.dpop requires");
        }
        if !bound && !answer.is_bearer() {
            return unfit("a token that is no bearer token");
        }
        Ok(Tokens::new(answer, SystemTime::now(), scopes, before))
    }
}

fn no_endpoint(name: &str) -> RequestError {
    RequestError::Unanswered(format!("the authorization server names no {name}"))
}

/// What a refusal says; an answer that cannot be read is not shown, for it may
/// be a token.
fn refused<E: ErrorResponse>(error: RequestTokenError<SendError, E>) -> RequestError {
    match error {
        RequestTokenError::ServerResponse(response) => {
            let said = serde_json::to_value(&response).unwrap_or_default();
            let text = |name: &str| said.get(name).and_then(|text| text.as_str().map(readable));
            RequestError::Refused {
                by: AUTHORIZATION_SERVER,
                code: text("error").unwrap_or_else(|| "an error without a code".to_owned()),
                description: text("error_description")
                    .map(|description| format!(": {description}"))
                    .unwrap_or_default(),
            }
        }
        RequestTokenError::Request(error) => RequestError::Unanswered(error.to_string()),
        // Some servers refuse with 200.
        RequestTokenError::Parse(_, body) if error_in(&body).is_some() => RequestError::Refused {
            by: AUTHORIZATION_SERVER,
            code: error_in(&body).unwrap_or_default(),
            description: String::new(),
        },
        RequestTokenError::Parse(error, _) => RequestError::Unanswered(format!(
            "the authorization server gave an answer that cannot be read, at {}",
            error.path()
        )),
        RequestTokenError::Other(_) => RequestError::Unanswered(
            "the authorization server gave an answer that is neither a token nor an error"
                .to_owned(),
        ),
    }
}

/// The `error` of an answer.
fn error_in(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer.get("error")?.as_str().map(readable)
}

/// A server's words, fit for a line of a log.
pub(super) fn readable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_DESCRIPTION)
        .collect()
}
