//! The token of a helper: kept while it is good, and fetched once for any
//! number of requests that wait for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    HelperFailure,
    helper::Helper,
    token::{Moment, Token},
};
use crate::Secret;

/// After a run that failed, or one that a rejection asked for, the next waits
/// this long: a burst of requests must not run the helper over and over.
const PAUSE: Duration = Duration::from_secs(2);

/// A helper and the token that it printed last.
#[derive(Debug)]
pub(super) struct Renewal {
    helper: Arc<Helper>,
    ttl: Duration,
    pause: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// Counts the different tokens; 0 is none.
    generation: u64,
    /// The run under way.
    run: Option<watch::Receiver<Option<Outcome>>>,
    /// The last failure and when it was.
    failed: Option<(Instant, Arc<HelperFailure>)>,
    /// When a rejection last made the helper run.
    renewed: Option<Instant>,
}

type Outcome = Result<(), Arc<HelperFailure>>;

impl Renewal {
    pub(super) fn new(helper: Helper, ttl: Duration) -> Self {
        Self {
            helper: Arc::new(helper),
            ttl,
            pause: PAUSE,
            state: Arc::default(),
        }
    }

    /// The helper's program, for messages.
    pub(super) fn program(&self) -> &str {
        self.helper.program()
    }

    /// A good token and its generation.
    pub(super) async fn token(&self) -> Result<(Secret, u64), Arc<HelperFailure>> {
        let run = {
            let mut state = lock(&self.state);
            let now = Moment::now();
            if let Some(token) = state.token.as_ref().filter(|token| token.is_good(now)) {
                return Ok((token.secret.clone(), state.generation));
            }
            self.join_or_start(&mut state)?
        };
        joined(run).await?;
        let state = lock(&self.state);
        // It may have been rejected, or be short-lived, since: it is still the
        // newest, and the backend says what it thinks of it.
        let token = state
            .token
            .as_ref()
            .ok_or_else(|| Arc::new(HelperFailure::Abandoned))?;
        Ok((token.secret.clone(), state.generation))
    }

    /// Whether there is another token than that of generation `used`, once the
    /// helper has run for it.
    pub(super) async fn rejected(&self, used: u64) -> Result<bool, Arc<HelperFailure>> {
        let run = {
            let mut state = lock(&self.state);
            if state.generation != used {
                return Ok(true);
            }
            if state.run.is_none() {
                // A backend that rejects what is fresh has another reason.
                if state.renewed.is_some_and(|at| at.elapsed() < self.pause) {
                    return Ok(false);
                }
                state.renewed = Some(Instant::now());
            }
            self.join_or_start(&mut state)?
        };
        joined(run).await?;
        Ok(lock(&self.state).generation != used)
    }

    /// The run under way, or a new one in a task of its own, which no caller
    /// that goes away can end.
    fn join_or_start(
        &self,
        state: &mut State,
    ) -> Result<watch::Receiver<Option<Outcome>>, Arc<HelperFailure>> {
        // One whose task is gone without a word will never end.
        if let Some(run) = state.run.as_ref().filter(|run| run.has_changed().is_ok()) {
            return Ok(run.clone());
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < self.pause
        {
            return Err(Arc::clone(failure));
        }
        let (done, run) = watch::channel(None);
        state.run = Some(run.clone());
        let (helper, ttl, shared) = (Arc::clone(&self.helper), self.ttl, Arc::clone(&self.state));
        tokio::spawn(async move {
            let outcome = helper.run().await.map_err(Arc::new);
            let outcome = lock(&shared).take(outcome, ttl);
            // Nobody may be waiting any more.
            let _ = done.send(Some(outcome));
        });
        Ok(run)
    }
}

impl State {
    /// Takes in how the run under way has ended.
    fn take(&mut self, outcome: Result<Secret, Arc<HelperFailure>>, ttl: Duration) -> Outcome {
        self.run = None;
        match outcome {
            Ok(secret) => {
                let same = self
                    .token
                    .as_ref()
                    .is_some_and(|token| token.secret == secret);
                if !same {
                    self.generation += 1;
                }
                self.token = Some(Token::new(secret, ttl, Moment::now()));
                self.failed = None;
                Ok(())
            }
            Err(failure) => {
                self.failed = Some((Instant::now(), Arc::clone(&failure)));
                Err(failure)
            }
        }
    }
}

/// Waits for the end of a run.
async fn joined(mut run: watch::Receiver<Option<Outcome>>) -> Outcome {
    match run.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
        Err(_) => Err(Arc::new(HelperFailure::Abandoned)),
    }
}

/// The state is a plain value that no panic leaves half written.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::{super::script::Script, Arc, Duration, HelperFailure, Renewal};

    const TTL: Duration = Duration::from_secs(300);
    const LONG: Duration = Duration::from_secs(3600);
    const NEXT: &str = "echo token-$n";

    fn renewal(script: &Script) -> Arc<Renewal> {
        pausing(script, LONG)
    }

    fn pausing(script: &Script, pause: Duration) -> Arc<Renewal> {
        Arc::new(Renewal {
            pause,
            ..Renewal::new(script.helper(), TTL)
        })
    }

    async fn token(renewal: &Renewal) -> (String, u64) {
        let (secret, generation) = renewal.token().await.expect("a token");
        (secret.expose().to_owned(), generation)
    }

    #[tokio::test]
    async fn a_hundred_requests_at_once_make_one_run() {
        let script = Script::gated(NEXT);
        let renewal = renewal(&script);
        let mut requests = JoinSet::new();
        for _ in 0..100 {
            let renewal = Arc::clone(&renewal);
            requests.spawn(async move { token(&renewal).await });
        }
        script.let_through().await;
        for got in requests.join_all().await {
            assert_eq!(got, ("token-1".to_owned(), 1));
        }
        assert_eq!(script.runs(), 1);
    }

    #[tokio::test]
    async fn a_hundred_rejections_of_one_token_make_one_run() {
        let script = Script::gated(NEXT);
        let renewal = renewal(&script);
        let (first, ()) = tokio::join!(token(&renewal), script.let_through());
        let mut rejections = JoinSet::new();
        for _ in 0..100 {
            let renewal = Arc::clone(&renewal);
            rejections.spawn(async move { renewal.rejected(first.1).await.expect("an answer") });
        }
        script.let_through().await;
        assert!(rejections.join_all().await.into_iter().all(|other| other));
        assert_eq!(token(&renewal).await.0, "token-2");
        assert!(
            renewal.rejected(first.1).await.expect("an answer"),
            "a late one"
        );
        assert_eq!(script.runs(), 2);
    }

    #[tokio::test]
    async fn a_request_that_goes_away_does_not_end_the_run() {
        let script = Script::gated(NEXT);
        let renewal = renewal(&script);
        let gone = tokio::spawn({
            let renewal = Arc::clone(&renewal);
            async move { token(&renewal).await }
        });
        while renewal.state.lock().expect("the state").run.is_none() {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.expect_err("aborted").is_cancelled());
        let (got, ()) = tokio::join!(token(&renewal), script.let_through());
        assert_eq!(got.0, "token-1");
        assert_eq!(script.runs(), 1);
    }

    #[tokio::test]
    async fn the_same_token_again_is_nothing_to_try_with_and_is_not_asked_for_again_at_once() {
        let script = Script::new("echo token");
        let renewal = renewal(&script);
        let (_, generation) = token(&renewal).await;
        assert!(!renewal.rejected(generation).await.expect("an answer"));
        assert!(!renewal.rejected(generation).await.expect("an answer"));
        assert_eq!(script.runs(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_pause_and_told_with_the_stderr() {
        let script = Script::new("echo s3cret; echo locked, run vault login >&2; exit 3");
        let renewal = renewal(&script);
        let mut requests = JoinSet::new();
        for _ in 0..100 {
            let renewal = Arc::clone(&renewal);
            requests.spawn(async move { renewal.token().await.expect_err("a failure") });
        }
        for failure in requests.join_all().await {
            assert_eq!(
                failure.to_string(),
                "failed (exit status: 3); its stderr: locked, run vault login"
            );
        }
        assert!(renewal.token().await.is_err());
        assert_eq!(script.runs(), 1);
    }

    #[tokio::test]
    async fn after_the_pause_a_helper_that_failed_is_run_again() {
        let script = Script::new("[ $n = 2 ] && echo token-$n");
        let renewal = pausing(&script, Duration::ZERO);
        assert!(matches!(
            renewal.token().await.as_ref().map_err(AsRef::as_ref),
            Err(HelperFailure::Status { .. })
        ));
        assert_eq!(token(&renewal).await, ("token-2".to_owned(), 1));
    }

    #[tokio::test]
    async fn a_token_that_has_expired_is_replaced_before_it_is_used() {
        // {"alg":"none"}.{"exp":1}
        let expired = "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.c2ln";
        let script = Script::new(&format!("[ $n = 1 ] && echo {expired} || echo token-$n"));
        let renewal = Arc::new(Renewal::new(script.helper(), Duration::ZERO));
        assert_eq!(token(&renewal).await, (expired.to_owned(), 1));
        assert_eq!(token(&renewal).await.1, 1, "used for a moment");
        assert!(renewal.rejected(1).await.expect("an answer"));
        assert_eq!(
            token(&renewal).await.0,
            "token-3",
            "its time to live is over at once"
        );
    }
}
