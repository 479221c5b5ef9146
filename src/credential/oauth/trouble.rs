//! Why a login gives no token.

use std::sync::Arc;

use super::needed::LoginNeeded;

/// Why a step has failed, in words that read on after the backend's name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) Arc<str>);

impl<T: AsRef<str>> From<T> for Trouble {
    fn from(text: T) -> Self {
        Self(text.as_ref().into())
    }
}

/// Why a request has nothing to carry.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginFailure {
    /// A person has to consent.
    #[error(transparent)]
    Needed(Box<LoginNeeded>),
    /// What should give a token did not.
    #[error("auth: {0}")]
    Trouble(Arc<str>),
}

impl From<Trouble> for LoginFailure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble.0)
    }
}
