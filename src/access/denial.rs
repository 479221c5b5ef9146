//! What those hear who may not come in. It is the same for all of a kind: why is
//! the log's to say.

use std::borrow::Cow;

use http::{HeaderValue, StatusCode};

/// A connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mcpmux does not let this client in; its log says why")]
pub struct Refused;

/// A request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its `WWW-Authenticate` (RFC 9110, section 11.6.1).
    pub challenge: Option<HeaderValue>,
    /// In words, for the client.
    pub why: Cow<'static, str>,
}

impl Denied {
    /// No credential is shown, and one is needed.
    pub(super) fn unknown() -> Self {
        Self::unknown_to(HeaderValue::from_static("Bearer realm=\"mcpmux\""))
    }

    /// As [`unknown`](Self::unknown), with this challenge.
    pub(super) fn unknown_to(challenge: HeaderValue) -> Self {
        Self::unauthorized(
            challenge,
            "mcpmux wants a credential: Authorization: Bearer, or X-API-Key",
        )
    }

    /// A credential is shown, and it is not right.
    pub(super) fn wrong() -> Self {
        let challenge = "Bearer realm=\"mcpmux\", error=\"invalid_token\"";
        Self::wrong_to(HeaderValue::from_static(challenge))
    }

    /// A token is right, and has too few scopes (RFC 6750, section 3.1).
    pub(super) fn forbidden(challenge: HeaderValue) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            challenge: Some(challenge),
            why: Cow::Borrowed("the token has not all scopes that mcpmux wants"),
        }
    }

    /// Whether a token is right cannot be said now.
    pub(super) fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            challenge: None,
            why: Cow::Borrowed("the keys of the authorization server cannot be had now"),
        }
    }

    /// As [`wrong`](Self::wrong), with this challenge.
    pub(super) fn wrong_to(challenge: HeaderValue) -> Self {
        Self::unauthorized(
            challenge,
            "the credential of this request is not one that mcpmux takes",
        )
    }

    fn unauthorized(challenge: HeaderValue, why: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(challenge),
            why: Cow::Borrowed(why),
        }
    }
}
