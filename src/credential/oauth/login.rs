//! One backend's login: the token that its requests carry, and what is done
//! when the backend does not take it. What takes time is done in a task of its
//! own, once for all who wait for it, and ends only by itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::debug;
use url::Url;

use super::{
    Begun, LoginWay, Wish,
    challenge::Challenge,
    flow::Flow,
    house::House,
    needed::LoginNeeded,
    scope,
    state::{Access, Run, Standing, State},
    steps::Step,
    trouble::{LoginFailure, Trouble},
    web::Web,
};
use crate::config::{BackendName, HttpSettings, OAuthSettings};

/// How long a request waits for the link to a consent; it is there at once but
/// for the first time, when the authorization server is asked about itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a step that failed, or a token that was replaced because it was
/// rejected, the next one waits this long.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// How many steps one request may wait for: to read the store, to refresh, and
/// once more each if another was there first.
const MAX_STEPS: usize = 5;

/// How often a person is asked for more scopes until a call goes through.
const MAX_STEP_UPS: u32 = 3;

/// One backend's login.
#[derive(Debug)]
pub(crate) struct Login {
    pub(super) backend: BackendName,
    pub(super) endpoint: Url,
    pub(super) settings: OAuthSettings,
    pub(super) house: Arc<House>,
    pub(super) web: Result<Web, String>,
    pub(super) standing: watch::Sender<Standing>,
    state: Mutex<State>,
}

impl Login {
    pub(super) fn new(
        backend: BackendName,
        http: &HttpSettings,
        settings: &OAuthSettings,
        house: Arc<House>,
    ) -> Arc<Self> {
        Arc::new(Self {
            backend,
            endpoint: http.endpoint.clone(),
            settings: settings.clone(),
            house,
            web: Web::new(&http.endpoint),
            standing: watch::Sender::new(Standing::Unknown),
            state: Mutex::default(),
        })
    }

    /// Whether it is the one that these settings describe.
    pub(super) fn is_of(&self, http: &HttpSettings, settings: &OAuthSettings) -> bool {
        (&self.endpoint, &self.settings) == (&http.endpoint, settings)
    }

    /// The token that a request of now carries, and its generation. None, if
    /// there is none: what the backend answers then tells how to get one.
    pub(in crate::credential) async fn token(
        self: &Arc<Self>,
    ) -> Result<(Option<Access>, u64), LoginFailure> {
        for _ in 0..MAX_STEPS {
            let run = {
                let mut state = self.state();
                let now = SystemTime::now();
                let tokens = state.tokens();
                match tokens {
                    Some(tokens) if tokens.is_good(now) => {
                        return Ok((state.access(), state.generation));
                    }
                    _ if !state.loaded => self.join_or_start(&mut state, Step::Load)?,
                    Some(tokens) if tokens.refresh.is_some() => {
                        self.join_or_start(&mut state, Step::Refresh)?
                    }
                    Some(_) | None if self.is_unattended() => {
                        self.join_or_start(&mut state, Step::Own)?
                    }
                    Some(_) | None => return Ok((None, state.generation)),
                }
            };
            joined(run).await?;
        }
        // It lives shorter than it takes to get it; the backend says what it
        // thinks of it.
        let state = self.state();
        Ok((state.access(), state.generation))
    }

    /// Says that the backend answered `status` with `headers` to a request that
    /// carried the token of generation `used`. True if there is another one to
    /// try.
    pub(crate) async fn rejected(
        self: &Arc<Self>,
        used: u64,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<bool, LoginFailure> {
        let challenge = Challenge::of(headers);
        if status == StatusCode::FORBIDDEN {
            return match challenge.filter(Challenge::is_insufficient_scope) {
                Some(challenge) => self.step_up(used, challenge).await,
                None => Ok(false),
            };
        }
        for _ in 0..MAX_STEPS {
            let run = {
                let mut state = self.state();
                if state.generation != used {
                    // Others that were refused have found an end of it, or a token.
                    if state.tokens().is_some() {
                        return Ok(true);
                    }
                    break;
                }
                if state.run.is_none() {
                    let renewable = self.is_unattended()
                        || state
                            .tokens()
                            .is_some_and(|tokens| tokens.refresh.is_some());
                    state.challenge.clone_from(&challenge);
                    if !renewable || !state.may_renew() {
                        break;
                    }
                }
                let step = if self.is_unattended() {
                    Step::Own
                } else {
                    Step::Refresh
                };
                self.join_or_start(&mut state, step)?
            };
            joined(run).await?;
        }
        if self.is_unattended() {
            return Ok(false);
        }
        if self.state().tokens().is_none() && self.look_again().await {
            return Ok(true);
        }
        self.lapse(used);
        Err(LoginFailure::Needed(Box::new(self.needed().await)))
    }

    /// Whether there is a login after all: another process with the same store may
    /// have been given one.
    pub(crate) async fn look_again(self: &Arc<Self>) -> bool {
        let run = self.join_or_start(&mut self.state(), Step::LookAgain);
        if let Ok(run) = run {
            // What went wrong has been said.
            let _ = joined(run).await;
        }
        let has_tokens = self.state().tokens().is_some();
        // Tokens that the backend does not take are no login.
        has_tokens && matches!(*self.standing.borrow(), Standing::LoggedIn(_))
    }

    /// More scopes are needed than the token has (2026-07-28,
    /// `basic/authorization`, step-up authorization flow).
    async fn step_up(
        self: &Arc<Self>,
        used: u64,
        challenge: Challenge,
    ) -> Result<bool, LoginFailure> {
        let run = {
            let mut state = self.state();
            if state.generation != used {
                return Ok(true);
            }
            let asked: Vec<String> = challenge
                .scope
                .as_deref()
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            let had = state.requested();
            let all = scope::union(&scope::union(&had, &state.wanted), &asked);
            if all.len() == had.len() || state.step_ups >= MAX_STEP_UPS {
                // It was asked for already: more of the same will not help.
                return Ok(false);
            }
            state.wanted = all;
            state.challenge = Some(challenge);
            if self.is_unattended() {
                state.step_ups += 1;
                Some(self.join_or_start(&mut state, Step::Own)?)
            } else {
                None
            }
        };
        let Some(run) = run else {
            return Err(LoginFailure::Needed(Box::new(self.needed().await)));
        };
        joined(run).await?;
        Ok(self.state().generation != used)
    }

    /// What to tell who cannot go on without a login: where a person consents,
    /// if one can be asked.
    pub(crate) async fn needed(self: &Arc<Self>) -> LoginNeeded {
        let backend = self.backend.to_string();
        if !self.house.attended {
            return LoginNeeded::without_page(backend, self.state().trouble.clone());
        }
        let wish = {
            let mut state = self.state();
            Wish {
                way: LoginWay::Redirect,
                browser: !std::mem::replace(&mut state.browsed, true),
            }
        };
        match timeout(PATIENCE, self.begin(wish)).await {
            Ok(Ok(begun)) => LoginNeeded::at(backend, begun.page),
            Ok(Err(trouble)) => LoginNeeded::without_page(backend, Some(trouble.to_string())),
            Err(_) => LoginNeeded::without_page(
                backend,
                Some("the authorization server has not answered yet, try again".to_owned()),
            ),
        }
    }

    /// Asks a person to consent, or joins the asking under way.
    pub(super) async fn begin(self: &Arc<Self>, wish: Wish) -> Result<Begun, Trouble> {
        let before = self.state().last.clone();
        for _ in 0..MAX_STEPS {
            let run = {
                let mut state = self.state();
                let wanted = state.wanted.clone();
                if let Some(flow) = state
                    .flow
                    .as_ref()
                    .filter(|flow| flow.serves(wish, &wanted))
                {
                    return Ok(flow.begun.clone());
                }
                let is_new = |last: &&Arc<Flow>| {
                    let same = |before| Arc::ptr_eq(before, *last);
                    !before.as_ref().is_some_and(same)
                };
                if state.flow.is_none()
                    && let Some(last) = state.last.as_ref().filter(is_new)
                {
                    // Somebody was quick to answer it: it is not asked again.
                    return Ok(last.begun.clone());
                }
                let step = if state.loaded {
                    Step::Consent(wish)
                } else {
                    Step::Load
                };
                self.join_or_start(&mut state, step)?
            };
            joined(run).await?;
        }
        Err(Trouble::from("the login did not get under way, try again"))
    }

    /// The token of generation `used` is no good any more, and there is no way to
    /// another but a person, unless one has come meanwhile.
    fn lapse(&self, used: u64) {
        let state = self.state();
        if state.generation != used && state.tokens().is_some() {
            return;
        }
        self.standing.send_if_modified(|standing| {
            let news = *standing != Standing::Needed;
            *standing = Standing::Needed;
            news
        });
    }

    /// Whether nobody needs to consent.
    pub(super) fn is_unattended(&self) -> bool {
        self.settings.grant.is_unattended()
    }

    /// Waits until the consent that is being asked for has been given, refused,
    /// or has expired.
    pub(crate) async fn ended(&self) {
        let flow = self.state().last.clone();
        if let Some(flow) = flow {
            // How it ended is told by what comes next.
            let _ = flow.ended().await;
        }
    }

    /// Follows how the login stands.
    pub(crate) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The state is a plain value that no panic leaves half written.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step under way, whichever it is, or `step` in a task of its own,
    /// which no caller that goes away can end.
    pub(super) fn join_or_start(
        self: &Arc<Self>,
        state: &mut State,
        step: Step,
    ) -> Result<Run, Trouble> {
        // One whose task is gone without a word will never end.
        if let Some(run) = state.run.as_ref().filter(|run| run.has_changed().is_ok()) {
            return Ok(run.clone());
        }
        if let Some((at, trouble)) = &state.failed
            && at.elapsed() < PAUSE
            && !step.is_asked_for()
        {
            return Err(trouble.clone());
        }
        let (done, run) = watch::channel(None);
        state.run = Some(run.clone());
        let login = Arc::clone(self);
        tokio::spawn(async move {
            debug!(backend = %login.backend, "login: {step}");
            let outcome = login.take(step).await;
            {
                let mut state = login.state();
                state.run = None;
                match &outcome {
                    Ok(()) => {
                        state.failed = None;
                        if !matches!(step, Step::Load | Step::LookAgain) {
                            state.warned = None;
                        }
                    }
                    Err(trouble) => {
                        state.warn(&login.backend, trouble);
                        state.trouble = Some(trouble.to_string());
                        state.failed = Some((Instant::now(), trouble.clone()));
                    }
                }
            }
            // Nobody may be waiting any more.
            let _ = done.send(Some(outcome));
        });
        Ok(run)
    }
}

/// Waits for the end of a step.
pub(super) async fn joined(mut run: Run) -> Result<(), Trouble> {
    match run.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
        Err(_) => Err(Trouble::from("mcpmux is stopping")),
    }
}
