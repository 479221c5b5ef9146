//! Why a request is cancelled, as its client says it, on its way to the backend.

use std::sync::{Arc, OnceLock};

/// A place for the reason that a client may give when it cancels a request. The
/// one that drops the request's exchange fills it in before.
#[derive(Debug, Clone, Default)]
pub struct CancelReason(Option<Arc<OnceLock<String>>>);

impl CancelReason {
    /// A place that can be filled in; the default one cannot.
    pub fn open() -> Self {
        Self(Some(Arc::default()))
    }

    /// Fills in `reason`, JSON text. What is said first counts.
    pub fn give(&self, reason: &str) {
        if let Some(place) = &self.0 {
            let _ = place.set(reason.to_owned());
        }
    }

    /// The parameters of a `notifications/cancelled` for the request `id`.
    pub(super) fn params(&self, id: u64) -> String {
        let reason = self.0.as_ref().and_then(|place| place.get());
        let reason = reason.map_or("\"no longer wanted\"", String::as_str);
        format!("{{\"requestId\":{id},\"reason\":{reason}}}")
    }
}
