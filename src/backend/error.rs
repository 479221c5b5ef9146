//! What can go wrong with a backend, in words that its operator can act on.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::json;

use crate::{
    credential::{CredentialError, LoginFailure, LoginNeeded},
    protocol::{
        RpcError,
        error::{INTERNAL_ERROR, TIMED_OUT, UNAVAILABLE, URL_ELICITATION_REQUIRED},
    },
};

/// Why a request to a backend got no answer of its own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// The backend is not up; see the text for why, since when and until when.
    #[error("backend {backend:?} is unavailable: {detail}")]
    Unavailable {
        /// Its name.
        backend: String,
        /// Why, since when, and when it is tried again.
        detail: String,
    },
    /// The process could not be launched.
    #[error("{0}")]
    Launch(String),
    /// The connection ended.
    #[error("the connection ended: {0}")]
    Closed(Arc<str>),
    /// The HTTP request could not be made or its answer not be read.
    #[error("{0}")]
    Http(String),
    /// The HTTP answer was not one of MCP.
    #[error("answered HTTP {status}{detail}")]
    Status {
        /// The status code.
        status: u16,
        /// More, with its leading separator.
        detail: String,
    },
    /// No credential could be had.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The message breaks the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The stream ended before the response.
    #[error("the answer ended before its response")]
    NoResponse,
    /// The deadline passed.
    #[error("no response within {} s ({key})", limit.as_secs_f64())]
    TimedOut {
        /// The time that was allowed.
        limit: Duration,
        /// The setting that allows it.
        key: &'static str,
    },
    /// No place was free before the deadline.
    #[error("limits.concurrency is {most}, and no call ended within {} s", waited.as_secs_f64())]
    Crowded {
        /// How many it takes.
        most: u32,
        /// How long the call has waited.
        waited: Duration,
    },
    /// The backend answered with an error.
    #[error("answered with error {code}: {message}")]
    Refused {
        /// The error's code.
        code: i64,
        /// The error's message.
        message: String,
    },
    /// The request was cancelled by its caller.
    #[error("cancelled")]
    Cancelled,
}

impl BackendError {
    /// Whether a person has to log in first.
    pub(crate) fn needs_login(&self) -> bool {
        matches!(
            self,
            Self::Credential(CredentialError::Login(LoginFailure::Needed(_)))
        )
    }

    /// The error in a few words, for a log that has the rest.
    pub(crate) fn brief(&self) -> Cow<'_, str> {
        if self.needs_login() {
            return "it needs login".into();
        }
        self.to_string().into()
    }

    /// The error as a client is told it, for a request that went to `backend`.
    pub fn to_rpc(&self, backend: &str) -> RpcError {
        match self {
            Self::Credential(CredentialError::Login(LoginFailure::Needed(needed))) => {
                login_needed(backend, needed)
            }
            Self::Unavailable { .. } => RpcError::new(UNAVAILABLE, self.to_string()),
            Self::TimedOut { .. } | Self::Crowded { .. } => {
                RpcError::new(TIMED_OUT, format!("backend {backend:?}: {self}"))
            }
            Self::Closed(_) | Self::Launch(_) => {
                RpcError::new(UNAVAILABLE, format!("backend {backend:?}: {self}"))
            }
            _ => RpcError::new(INTERNAL_ERROR, format!("backend {backend:?}: {self}")),
        }
    }
}

/// What begins the id of a visit that mcpmux itself asks for; no backend knows it
/// beforehand.
fn visit_mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| format!("mcpmux-login-{:016x}-", fastrand::u64(..)))
}

/// A page is to be visited, so that a person logs `backend` in
/// (`URLElicitationRequiredError`, 2025-11-25).
fn login_needed(backend: &str, needed: &LoginNeeded) -> RpcError {
    let said = format!("backend {backend:?} {needed}");
    let Some(url) = &needed.url else {
        return RpcError::new(UNAVAILABLE, said);
    };
    let visit = json!({
        "mode": "url",
        "elicitationId": format!("{}{backend}-{:016x}", visit_mark(), fastrand::u64(..)),
        "url": url,
        "message": format!("{backend} needs a login. It is done once; mcpmux keeps it."),
    });
    RpcError::new(URL_ELICITATION_REQUIRED, said).with_data(json!({ "elicitations": [visit] }))
}

/// The backend whose login the visit `id` is for; `None` if it is a backend's
/// own.
pub(crate) fn logs_in(id: &str) -> Option<&str> {
    let (backend, _) = id.strip_prefix(visit_mark())?.rsplit_once('-')?;
    Some(backend)
}
