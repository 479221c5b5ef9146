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
        Self::unauthorized(
            HeaderValue::from_static("Bearer realm=\"mcpmux\""),
            "mcpmux wants a credential: Authorization: Bearer, or X-API-Key",
        )
    }

    /// A credential is shown, and it is not right.
    pub(super) fn wrong() -> Self {
        Self::unauthorized(
            HeaderValue::from_static("Bearer realm=\"mcpmux\", error=\"invalid_token\""),
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
