//! What a request to an HTTP backend carries to be let in: nothing, a bearer
//! token, a header of the operator's choice, or a token that a helper command
//! prints. To which origin it may be sent is the transport's to watch, and the
//! static extra headers are its own.

mod failure;
mod helper;
// Nothing outside it asks it for anything yet.
#[allow(dead_code)]
mod oauth;
mod renewal;
#[cfg(test)]
mod script;
mod token;
#[allow(dead_code, reason = "OAuth logins are what uses it")]
pub(crate) mod vault;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::{
    Secret,
    config::{Auth, Environment},
};

pub use failure::HelperFailure;
pub use oauth::{
    Begun, CALLBACK_PATH, LoggedOut, LoginError, LoginState, LoginStatus, LoginWay, Logins, Page,
    Returned, Wish, callback_page, callback_query, callback_refusal,
};
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
}

/// What one request carries.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The headers, which replace others of the same name; every value is
    /// marked sensitive.
    pub headers: HeaderMap,
    /// Which credential this is, for [`Credential::rejected`].
    pub generation: Generation,
}

/// Tells one token of a backend from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

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
    /// The backend asks for `OAuth`.
    #[error("auth: `type: oauth` is not yet in effect")]
    OAuth,
}

impl Credential {
    /// The credential that `auth` describes. A helper command sees what a
    /// command backend inherits of `environment`, and nothing else.
    pub fn new(auth: &Auth, environment: &Environment) -> Self {
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
            Auth::OAuth(_) => Source::Fixed(Err(CredentialError::OAuth)),
        })
    }

    /// The headers of a request that is sent now. Waits for the helper where
    /// there is no token, or where it is about to expire.
    pub async fn headers(&self) -> Result<Carried, CredentialError> {
        match &self.0 {
            Source::Fixed(headers) => Ok(Carried {
                headers: headers.clone()?,
                generation: Generation(0),
            }),
            Source::Helper(renewal) => {
                let (token, generation) = renewal
                    .token()
                    .await
                    .map_err(|failure| failed(renewal, failure))?;
                Ok(Carried {
                    headers: only(AUTHORIZATION, bearer(&token)?),
                    generation: Generation(generation),
                })
            }
        }
    }

    /// Says that the backend answered 401 or 403 to a request that carried
    /// `used`. True if [`Self::headers`] now gives something else to try.
    ///
    /// The helper is run once for all callers that used the same token; one
    /// whose token is older than the present one runs nothing. Its run ends
    /// only by itself, even if every caller goes away.
    pub async fn rejected(&self, used: Generation) -> Result<bool, CredentialError> {
        match &self.0 {
            Source::Fixed(_) => Ok(false),
            Source::Helper(renewal) => renewal
                .rejected(used.0)
                .await
                .map_err(|failure| failed(renewal, failure)),
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
    let value = Secret::new(format!("Bearer {}", token.expose()));
    sensitive(&AUTHORIZATION, &value)
}

/// A header's value that is shown by no `Debug` and indexed by no HPACK table.
fn sensitive(name: &HeaderName, value: &Secret) -> Result<HeaderValue, CredentialError> {
    let value = HeaderValue::from_str(value.expose());
    let mut value = value.map_err(|_| CredentialError::Value {
        header: name.clone(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::{Auth, Carried, Credential, Environment, Secret};

    fn credential(auth: &Auth) -> Credential {
        Credential::new(auth, &Environment::default())
    }

    async fn carried(auth: &Auth) -> Carried {
        credential(auth).headers().await.expect("headers")
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
                .rejected(bearer.generation)
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
        let error = credential(&auth)
            .headers()
            .await
            .expect_err("a newline")
            .to_string();
        assert!(
            error.contains("header authorization") && !error.contains("s3c"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn oauth_says_that_it_is_not_yet_in_effect() {
        let text =
            "backends: [{name: a, transport: http, endpoint: 'https://a', auth: {type: oauth}}]";
        let config = crate::Config::parse(text, "m.yaml", &Environment::default()).expect("right");
        let Ok(crate::config::Transport::Http(settings)) = &config.backends[0].transport else {
            panic!("http");
        };
        let error = credential(&settings.auth)
            .headers()
            .await
            .expect_err("not yet")
            .to_string();
        assert_eq!(error, "auth: `type: oauth` is not yet in effect");
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_named_without_its_arguments() {
        let argv = ["false", "--password=s3cret"].map(str::to_owned).to_vec();
        let auth = Auth::Command {
            argv,
            ttl: std::time::Duration::from_secs(1),
        };
        let credential = Credential::new(&auth, &Environment::process());
        let error = credential
            .headers()
            .await
            .expect_err("a failure")
            .to_string();
        assert_eq!(error, "auth: the helper \"false\" failed (exit status: 1)");
    }
}
