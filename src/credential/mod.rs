//! What a request to an HTTP backend carries to be let in: nothing, a bearer
//! token, a header of the operator's choice, or a token that a helper command
//! prints or that a login gives. To which origin it may be sent is the
//! transport's to watch, and the static extra headers are its own.

mod failure;
mod helper;
mod oauth;
mod renewal;
#[cfg(test)]
mod script;
mod token;
pub(crate) mod vault;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header::AUTHORIZATION};

use crate::{
    Secret,
    config::{Auth, Environment},
};

pub use failure::HelperFailure;
use oauth::{Access, DPOP, Proof};
pub use oauth::{
    Begun, CALLBACK_PATH, LoggedOut, LoginError, LoginFailure, LoginNeeded, LoginState,
    LoginStatus, LoginWay, Logins, Page, ProofError, Returned, Wish, callback_page, callback_query,
    callback_refusal,
};
pub(crate) use oauth::{Login, Standing, jwks};
use renewal::Renewal;

/// One backend's credential. Clones share the helper's token.
#[derive(Debug, Clone)]
pub struct Credential(Source);

#[derive(Debug, Clone)]
enum Source {
    /// It is the same for ever.
    Fixed(Result<HeaderMap, CredentialError>),
    /// A helper prints it.
    Helper(Arc<Renewal>),
    /// A person has consented to it, or will.
    Login(Arc<Login>),
}

/// What one request carries.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The headers, which replace others of the same name; every value is
    /// marked sensitive.
    pub headers: HeaderMap,
    /// Which credential this is, for [`Credential::is_to_be_sent_again`].
    pub used: Used,
}

/// Tells one credential of a backend from the next.
#[derive(Debug, Clone)]
pub struct Used {
    generation: u64,
    proof: Option<Proof>,
}

/// What was tried for one request.
#[derive(Debug, Default)]
pub struct Tries {
    renewed: bool,
    nonces: u8,
}

/// How often a request is sent again with a nonce that the backend wants; one is
/// enough, unless it ends just then.
const MAX_NONCES: u8 = 2;

/// Why a request has nothing to carry. It reads on after the backend's name;
/// no message shows a credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// A value that no HTTP header can hold.
    #[error("auth: the value of header {header} holds a character that cannot stand in a header")]
    Value {
        /// The header.
        header: HeaderName,
    },
    /// The helper command gave no token.
    #[error("auth: the helper {program:?} {failure}")]
    Helper {
        /// The helper's program, without its arguments.
        program: String,
        /// What went wrong.
        failure: Arc<HelperFailure>,
    },
    /// The token is bound to a key that does not prove it.
    #[error("auth: {0}")]
    Proof(ProofError),
    /// There is no token, or none that the backend takes.
    #[error(transparent)]
    Login(#[from] LoginFailure),
}

impl Credential {
    /// The credential that `auth` describes. A helper command sees what a
    /// command backend inherits of `environment`, and nothing else; with
    /// `type: oauth`, it is that of `login`.
    pub(crate) fn new(auth: &Auth, environment: &Environment, login: Option<Arc<Login>>) -> Self {
        if let Some(login) = login {
            return Self(Source::Login(login));
        }
        Self(match auth {
            Auth::None => Source::Fixed(Ok(HeaderMap::new())),
            Auth::Bearer { token } => {
                Source::Fixed(bearer(token).map(|value| only(AUTHORIZATION, value)))
            }
            Auth::Header { name, value } => {
                Source::Fixed(sensitive(name, value).map(|value| only(name.clone(), value)))
            }
            Auth::Command { argv, ttl } => {
                let helper = helper::Helper::new(argv, environment);
                Source::Helper(Arc::new(Renewal::new(helper, *ttl)))
            }
            Auth::OAuth(_) => Source::Fixed(Err(CredentialError::Login(LoginFailure::Trouble(
                "this process holds no logins".into(),
            )))),
        })
    }

    /// The headers of a request of `method` to `uri` that is sent now. Waits for
    /// the helper where there is no token, or where it is about to expire.
    pub async fn headers(&self, method: &Method, uri: &Uri) -> Result<Carried, CredentialError> {
        let carried = |headers, generation| Carried {
            headers,
            used: Used {
                generation,
                proof: None,
            },
        };
        match &self.0 {
            Source::Fixed(headers) => Ok(carried(headers.clone()?, 0)),
            Source::Helper(renewal) => {
                // Boxed, as all that is rare: each request has room for what it may wait for.
                let (token, generation) = Box::pin(renewal.token())
                    .await
                    .map_err(|failure| failed(renewal, failure))?;
                Ok(carried(only(AUTHORIZATION, bearer(&token)?), generation))
            }
            Source::Login(login) => {
                let (access, generation) = Box::pin(login.token()).await?;
                let Some(Access { token, prover }) = access else {
                    return Ok(carried(HeaderMap::new(), generation));
                };
                let Some(prover) = prover else {
                    return Ok(carried(only(AUTHORIZATION, bearer(&token)?), generation));
                };
                let (header, proof) = prover
                    .prove_to_backend(method, uri, &token)
                    .map_err(CredentialError::Proof)?;
                // RFC 9449, section 7.1.
                let value = sensitive(&AUTHORIZATION, &token.after("DPoP "))?;
                Ok(Carried {
                    headers: HeaderMap::from_iter([(AUTHORIZATION, value), (DPOP, header)]),
                    used: Used {
                        generation,
                        proof: Some(proof),
                    },
                })
            }
        }
    }

    /// Says that the backend answered `status` with `headers` to a request that
    /// carried `used`; `tries` is that request's own. True if it should be sent
    /// again with what [`Self::headers`] gives now: with a nonce that the backend
    /// wants, or, after a 401 or 403, once with another token.
    ///
    /// The helper is run, or the token refreshed, once for all callers that used
    /// the same token; one whose token is older than the present one starts
    /// nothing. It ends only by itself, even if every caller goes away.
    pub async fn is_to_be_sent_again(
        &self,
        used: &Used,
        tries: &mut Tries,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<bool, CredentialError> {
        if let Some(proof) = &used.proof
            && proof.heard(status, headers)
            && tries.nonces < MAX_NONCES
        {
            tries.nonces += 1;
            return Ok(true);
        }
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !refused || std::mem::replace(&mut tries.renewed, true) {
            return Ok(false);
        }
        match &self.0 {
            Source::Fixed(_) => Ok(false),
            Source::Helper(renewal) => Box::pin(renewal.rejected(used.generation))
                .await
                .map_err(|failure| failed(renewal, failure)),
            Source::Login(login) => {
                Ok(Box::pin(login.rejected(used.generation, status, headers)).await?)
            }
        }
    }

    /// The login that it comes from, if a person has to consent.
    pub(crate) fn login(&self) -> Option<&Arc<Login>> {
        match &self.0 {
            Source::Login(login) => Some(login),
            Source::Fixed(_) | Source::Helper(_) => None,
        }
    }
}

fn failed(renewal: &Renewal, failure: Arc<HelperFailure>) -> CredentialError {
    CredentialError::Helper {
        program: renewal.program().to_owned(),
        failure,
    }
}

fn only(name: HeaderName, value: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(name, value)])
}

/// `Bearer <token>` (RFC 6750, section 2.1).
fn bearer(token: &Secret) -> Result<HeaderValue, CredentialError> {
    sensitive(&AUTHORIZATION, &token.after("Bearer "))
}

/// A header's value that is shown by no `Debug` and indexed by no HPACK table.
fn sensitive(name: &HeaderName, value: &Secret) -> Result<HeaderValue, CredentialError> {
    value.to_header().map_err(|_| CredentialError::Value {
        header: name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

    use super::{Auth, Carried, Credential, CredentialError, Environment, Secret, Tries};

    fn credential(auth: &Auth) -> Credential {
        Credential::new(auth, &Environment::default(), None)
    }

    async fn headers(credential: &Credential) -> Result<Carried, CredentialError> {
        let uri = Uri::from_static("https://b.example/mcp");
        credential.headers(&Method::POST, &uri).await
    }

    async fn carried(auth: &Auth) -> Carried {
        headers(&credential(auth)).await.expect("headers")
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn fixed_credentials_are_carried_unseen_and_never_renewed() {
        let auth = Auth::Bearer {
            token: secret("s3cret"),
        };
        let bearer = carried(&auth).await;
        assert_eq!(bearer.headers["authorization"], "Bearer s3cret");
        assert!(bearer.headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{bearer:?} {:?}", credential(&auth)).contains("s3cret"));
        assert!(
            !credential(&auth)
                .is_to_be_sent_again(
                    &bearer.used,
                    &mut Tries::default(),
                    StatusCode::UNAUTHORIZED,
                    &HeaderMap::new()
                )
                .await
                .expect("an answer")
        );

        let name = HeaderName::from_static("x-api-key");
        let header = carried(&Auth::Header {
            name,
            value: secret("k"),
        })
        .await;
        assert_eq!(header.headers["x-api-key"], "k");
        assert!(carried(&Auth::None).await.headers.is_empty());
    }

    #[tokio::test]
    async fn a_value_that_no_header_can_hold_is_refused_unseen() {
        let auth = Auth::Bearer {
            token: secret("s3c\nret"),
        };
        let error = headers(&credential(&auth))
            .await
            .expect_err("a newline")
            .to_string();
        assert!(
            error.contains("header authorization") && !error.contains("s3c"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_named_without_its_arguments() {
        let argv = ["false", "--password=s3cret"].map(str::to_owned).to_vec();
        let auth = Auth::Command {
            argv,
            ttl: std::time::Duration::from_secs(1),
        };
        let credential = Credential::new(&auth, &Environment::process(), None);
        let error = headers(&credential)
            .await
            .expect_err("a failure")
            .to_string();
        assert_eq!(error, "auth: the helper \"false\" failed (exit status: 1)");
    }
}
