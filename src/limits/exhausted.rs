//! What is said to who has asked too much.

use std::time::Duration;

use serde_json::json;

use crate::protocol::{RpcError, error::UNAVAILABLE};

/// A limit is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{whose} {what}; try again in {} s", self.seconds())]
pub struct Exhausted {
    /// Whose limit it is.
    pub(super) whose: String,
    /// What is too much.
    pub(super) what: String,
    /// When it is worth another try.
    pub(super) after: Duration,
}

impl Exhausted {
    /// When it is worth another try, in whole seconds from now: at least one
    /// (RFC 9110, section 10.2.3).
    pub fn seconds(&self) -> u64 {
        let partly = u64::from(self.after.subsec_nanos() > 0);
        (self.after.as_secs() + partly).max(1)
    }
}

/// As an answer, with `retryAfter` in its data.
impl From<Exhausted> for RpcError {
    fn from(exhausted: Exhausted) -> Self {
        Self::new(UNAVAILABLE, exhausted.to_string())
            .with_data(json!({ "retryAfter": exhausted.seconds() }))
    }
}
