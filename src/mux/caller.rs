//! Who asks: what the mux must know of a client to answer it in its own terms.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::value::RawValue;

use crate::{
    backend::CancelReason,
    protocol::{Era, Revision},
};

/// The client behind a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The revision it speaks.
    pub revision: Revision,
    /// What a legacy client said it is when it initialized (an
    /// `Implementation`, JSON text).
    pub client_info: Option<Arc<RawValue>>,
    /// The headers of a modern request over HTTP, to be held against its body;
    /// `None` where the transport has no headers.
    pub headers: Option<HeaderMap>,
    /// Where the client's reason stands if it cancels the request.
    pub reason: CancelReason,
}

impl Caller {
    /// A client of `revision` of which nothing else is known.
    pub fn of(revision: Revision) -> Self {
        Self {
            revision,
            client_info: None,
            headers: None,
            reason: CancelReason::default(),
        }
    }

    /// The era it speaks.
    pub fn era(&self) -> Era {
        self.revision.era()
    }
}
