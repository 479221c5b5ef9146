//! A consent that a person is asked for: until when, for what, and how it ends.

use std::time::{Duration, SystemTime};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Begun, LoginError, LoginWay, Wish, record::Record};
use crate::Secret;

/// A link that is good for less is not handed out any more.
const AT_LEAST: Duration = Duration::from_secs(30);

/// A consent that a person is asked for. Dropped, it ends whatever waits for the
/// answer.
#[derive(Debug)]
pub(super) struct Flow {
    /// What was begun.
    pub(super) begun: Begun,
    /// The scopes that are asked for.
    scopes: Vec<String>,
    way: LoginWay,
    until: Instant,
    /// What the answer in a browser is known by.
    pub(super) answer: Option<Expected>,
    outcome: watch::Sender<Option<Result<(), LoginError>>>,
    _ends: DropGuard,
}

/// What the answer to one request has to match, and what is needed to use it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) state: Secret,
    pub(super) verifier: Secret,
    pub(super) redirect: String,
    pub(super) record: Record,
}

impl Flow {
    pub(super) fn new(
        begun: Begun,
        way: LoginWay,
        scopes: Vec<String>,
        answer: Option<Expected>,
        ends: CancellationToken,
    ) -> Self {
        let left = begun.expires.duration_since(SystemTime::now());
        Self {
            begun,
            scopes,
            way,
            until: Instant::now() + left.unwrap_or_default(),
            answer,
            outcome: watch::Sender::new(None),
            _ends: ends.drop_guard(),
        }
    }

    /// Whether who wishes so can join in: it goes the same way, asks for what is
    /// wanted, and leaves time.
    pub(super) fn serves(&self, wish: Wish, wanted: &[String]) -> bool {
        self.way == wish.way
            && self.until > Instant::now() + AT_LEAST
            && wanted.iter().all(|scope| self.scopes.contains(scope))
    }

    /// Whether the person still has time.
    pub(super) fn is_open(&self) -> bool {
        self.until > Instant::now()
    }

    /// Whether `state` is its own.
    pub(super) fn is_answered_by(&self, state: &str) -> bool {
        let expected = self.answer.as_ref();
        expected.is_some_and(|expected| expected.state.expose() == state)
    }

    /// Tells all who wait how it has ended.
    pub(super) fn end(&self, outcome: Result<(), LoginError>) {
        self.outcome.send_replace(Some(outcome));
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) -> Result<(), LoginError> {
        let mut outcome = self.outcome.subscribe();
        let waited = tokio::time::timeout_at(self.until, outcome.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Ok(())),
            _ => Err(LoginError(
                "the login has expired, nobody consented in time".to_owned(),
            )),
        }
    }
}
