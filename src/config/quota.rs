//! How much somebody may ask, as a setting.

use std::num::NonZeroU32;

use super::document;

/// How much a caller may ask, or a backend is asked, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests a second.
    pub rate: Option<NonZeroU32>,
    /// Requests at once after a pause; as many as `rate` if not set.
    pub burst: Option<NonZeroU32>,
    /// Calls in flight; beyond, they are refused.
    pub concurrency: Option<u32>,
    /// Calls a day.
    pub budget: Option<u64>,
    /// Bytes of calls and answers a day.
    pub bytes: Option<u64>,
}

impl Quota {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&document::CallerLimits> for Quota {
    fn from(limits: &document::CallerLimits) -> Self {
        Self {
            rate: limits.rate.and_then(NonZeroU32::new),
            burst: limits.burst.and_then(NonZeroU32::new),
            concurrency: limits.concurrency,
            budget: limits.budget,
            bytes: limits.bytes.as_ref().map(|size| size.0 as u64),
        }
    }
}

/// A backend's calls beyond `limits.concurrency` wait, which is not a quota.
impl From<&document::Limits> for Quota {
    fn from(limits: &document::Limits) -> Self {
        Self {
            rate: limits.rate.and_then(NonZeroU32::new),
            burst: limits.burst.and_then(NonZeroU32::new),
            concurrency: None,
            budget: limits.budget,
            bytes: limits.bytes.as_ref().map(|size| size.0 as u64),
        }
    }
}
