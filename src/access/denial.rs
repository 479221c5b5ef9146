//! What those hear who may not come in. It is the same for all of them: why is
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
    /// Its `WWW-Authenticate`.
    pub challenge: Option<HeaderValue>,
    /// In words, for the client.
    pub why: Cow<'static, str>,
}

impl Denied {
    /// Nobody knows who it is.
    pub(super) fn stranger() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            challenge: None,
            why: Cow::Owned(Refused.to_string()),
        }
    }
}
