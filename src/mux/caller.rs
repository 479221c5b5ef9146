//! Who asks: what the mux must know of a client to answer it in its own terms.

use std::sync::Arc;

use http::HeaderMap;

use super::{Subscriber, Voice};
use crate::{
    access::Principal,
    backend::{ClientEnd, Introduction},
    protocol::{Era, Level, Revision},
};

/// The client behind a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// The revision it speaks.
    pub revision: Revision,
    /// What a legacy client said of itself when it initialized.
    pub introduction: Option<Arc<Introduction>>,
    /// How a legacy client can be asked in the course of the request; `None`
    /// where its answer has no room for questions.
    pub voice: Option<Arc<Voice>>,
    /// The lowest level of log messages that a legacy client wants, if it said.
    pub level: Option<Level>,
    /// The headers of a modern request over HTTP, to be held against its body;
    /// `None` where the transport has no headers.
    pub headers: Option<HeaderMap>,
    /// A client that can be told of updates outside of any request.
    pub(crate) subscriber: Option<Subscriber>,
    /// The client's end of the request.
    pub client: ClientEnd,
}

impl Caller {
    /// A client of `revision` of which nothing else is known.
    pub fn of(revision: Revision) -> Self {
        Self {
            principal: Principal::default(),
            revision,
            introduction: None,
            voice: None,
            level: None,
            headers: None,
            subscriber: None,
            client: ClientEnd::default(),
        }
    }

    /// The era it speaks.
    pub fn era(&self) -> Era {
        self.revision.era()
    }
}
