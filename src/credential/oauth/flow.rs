//! A consent that a person is asked for: until when, for what, and how it ends.

use std::time::{Duration, SystemTime};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Begun, LoginError, LoginWay, Wish, record::Record};
use crate::Secret;

/// A link that is good for less is not handed out any more.
const AT_LEAST: Duration = Duration::from_secs(30);

/// A consent that a person is asked for.
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
    /// Ends whatever waits for the answer.
    ends: CancellationToken,
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
            ends,
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
        self.ends.cancel();
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

impl Drop for Flow {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Page;

    const TIME: Duration = Duration::from_secs(600);
    const WISH: Wish = Wish {
        way: LoginWay::Redirect,
        browser: false,
    };

    fn flow(scopes: &[&str]) -> Flow {
        let begun = Begun {
            backend: "b".to_owned(),
            page: Page::Redirect {
                url: "https://as.example/authorize".to_owned(),
                opened: false,
            },
            expires: SystemTime::now() + TIME,
        };
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let ends = CancellationToken::new();
        Flow::new(begun, LoginWay::Redirect, scopes, None, ends)
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_handed_out_while_there_is_time_to_use_it() {
        let flow = flow(&[]);
        assert!(flow.serves(WISH, &[]) && flow.is_open());
        tokio::time::advance(Duration::from_secs(570)).await;
        assert!(!flow.serves(WISH, &[]) && flow.is_open());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!flow.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_login_is_told_that_it_has_expired() {
        let error = flow(&[]).ended().await.expect_err("nobody consents");
        assert!(error.to_string().contains("expired"), "{error}");
    }

    #[tokio::test]
    async fn what_asks_for_less_or_goes_another_way_does_not_serve() {
        let flow = flow(&["read"]);
        assert!(flow.serves(WISH, &["read".to_owned()]));
        assert!(!flow.serves(WISH, &["read".to_owned(), "write".to_owned()]));
        let device = Wish {
            way: LoginWay::Device,
            ..WISH
        };
        assert!(!flow.serves(device, &[]));
    }

    #[tokio::test]
    async fn the_end_is_told_to_all_and_frees_what_waits_for_the_answer() {
        let flow = flow(&[]);
        let ends = flow.ends.clone();
        flow.end(Err(LoginError("refused".to_owned())));
        assert!(ends.is_cancelled());
        assert_eq!(
            flow.ended().await.expect_err("refused").to_string(),
            "refused"
        );
        assert_eq!(
            flow.ended().await.expect_err("refused").to_string(),
            "refused"
        );
    }
}
