//! Taking up again the stream of an answer that broke off before its response
//! (2025-11-25, `basic/transports`, Resumability and Redelivery).

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::sleep;
use tracing::debug;

use super::{
    answer::{Events, is_event_stream},
    client::Response,
    link::HttpLink,
};
use crate::backend::{BackendError, Pause};

/// The pause before a stream that broke off is taken up again, unless the
/// server names another one; doubled while it cannot be.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, whatever a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often it is tried without getting a message.
const MAX_TRIED: u32 = 10;

/// What came of one request to go on.
enum Outcome {
    Resumed(Response),
    /// Not now, for this reason.
    Later(String),
    Never(StatusCode),
}

impl HttpLink {
    /// Whether a stream that ended can be taken up again: the server gave its
    /// events ids, and has not been asked for the rest in vain too often.
    pub(super) fn can_resume(&self, ended: &Events, tried: u32) -> bool {
        ended.last_id.is_some() && tried < MAX_TRIED && self.is_legacy()
    }

    /// Takes up a stream that broke off for `why`, and counts how often that was
    /// `tried`. It is the call's deadline that bounds how long this takes. Error:
    /// `why`, or what the server says to it.
    pub(super) async fn resume(
        self: &Arc<Self>,
        broken: &Events,
        tried: &mut u32,
        why: BackendError,
    ) -> Result<Events, BackendError> {
        if !matches!(why, BackendError::NoResponse | BackendError::Http(_)) {
            return Err(why);
        }
        let mut wait = broken
            .retry
            .map_or(PAUSE, Duration::from_millis)
            .min(LONGEST_PAUSE);
        while let Some(last_id) = &broken.last_id
            && self.can_resume(broken, *tried)
        {
            *tried += 1;
            debug!(backend = %self.backend, "a stream broke off, it is taken up again in {} ms", wait.as_millis());
            sleep(wait).await;
            match self.go_on(last_id).await? {
                Outcome::Resumed(response) => {
                    debug!(backend = %self.backend, "took up a stream that had broken off");
                    let mut events = Events::new(response, self.max_message);
                    events.last_id = Some(last_id.clone());
                    events.retry = broken.retry;
                    return Ok(events);
                }
                Outcome::Later(reason) => {
                    debug!(backend = %self.backend, "cannot take up a stream yet: {reason}");
                    wait = (wait * 2).clamp(PAUSE, LONGEST_PAUSE);
                }
                Outcome::Never(status) => {
                    return Err(BackendError::Http(format!(
                        "{why}, and it cannot be taken up again (HTTP {})",
                        status.as_u16()
                    )));
                }
            }
        }
        Err(why)
    }

    /// Asks for what follows the event `last_id`.
    async fn go_on(&self, last_id: &str) -> Result<Outcome, BackendError> {
        let response = match self.get(Some(last_id)).await {
            Ok(response) => response,
            Err(BackendError::Http(reason)) => return Ok(Outcome::Later(reason)),
            Err(error) => return Err(error),
        };
        let status = response.status();
        Ok(if is_event_stream(&response) {
            Outcome::Resumed(response)
        } else if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Outcome::Later(format!("HTTP {}", status.as_u16()))
        } else {
            Outcome::Never(status)
        })
    }
}

/// What a client is told of a stream that ended to be taken up again.
pub(super) fn pause_of(ended: &Events) -> Pause {
    let longest = u64::try_from(LONGEST_PAUSE.as_millis()).unwrap_or(u64::MAX);
    Pause {
        retry: ended.retry.map(|retry| retry.min(longest)),
    }
}
