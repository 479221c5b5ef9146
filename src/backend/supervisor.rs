//! The life of one backend: connected, watched, its inventory kept fresh,
//! connected anew when it is lost. The only place that changes its state.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Backend, Connection, Down, Inventory, Lists, Observer, State, Unasked, Way, inventory, login,
    order::Order, pause,
};
use crate::{config::ConnectRetry, credential::Standing};

/// A connection that held this long was a good one: the pauses begin anew.
const PROVEN: Duration = Duration::from_secs(10);

/// How long changes are gathered before the lists are read again.
const COALESCE: Duration = Duration::from_millis(50);

impl Backend {
    /// Keeps the backend connected until `stop`; then ends it and returns when
    /// every process of it is gone.
    pub(crate) async fn supervise(
        &self,
        retry: ConnectRetry,
        stop: CancellationToken,
        observer: &impl Observer,
    ) {
        let mut orders = self.orders.follow();
        if !orders.borrow().run {
            self.obey(&mut orders, &stop, observer).await;
        }
        while !stop.is_cancelled() {
            let turn = stop.child_token();
            let keeping = self.keep_connected(retry, turn.clone(), observer);
            tokio::pin!(keeping);
            tokio::select! {
                () = &mut keeping => {
                    // It has ended, or there is no way to it: an order may come.
                    tokio::select! {
                        () = stop.cancelled() => break,
                        _ = orders.changed() => {}
                    }
                }
                _ = orders.changed() => {
                    turn.cancel();
                    keeping.await;
                }
            }
            self.obey(&mut orders, &stop, observer).await;
        }
        self.keepers.close();
        self.keepers.wait().await;
    }

    /// Stays stopped for as long as that is wanted.
    async fn obey(
        &self,
        orders: &mut watch::Receiver<Order>,
        stop: &CancellationToken,
        observer: &impl Observer,
    ) {
        if orders.borrow_and_update().run {
            info!(backend = self.name(), "started anew on request");
        } else {
            info!(backend = self.name(), "stopped on request");
            let down = Down {
                reason: "it was stopped on request".into(),
                since: Instant::now(),
                next: None,
            };
            self.set(State::Stopped(down), observer);
            tokio::select! {
                () = stop.cancelled() => return,
                _ = orders.wait_for(|order| order.run) => {}
            }
            info!(backend = self.name(), "started on request");
        }
        self.set(State::starting(), observer);
    }

    async fn keep_connected(
        &self,
        retry: ConnectRetry,
        stop: CancellationToken,
        observer: &impl Observer,
    ) {
        let Some(way) = self.possible_way(observer) else {
            return;
        };
        let login = self.login();
        let mut standing = login.as_ref().map(|login| login.watch());
        let mut era = self.recalled.get().copied();
        let mut failures = 0_u32;
        let mut down_since: Option<Instant> = None;
        let mut resting = self.begins_at_rest();
        loop {
            if resting && !self.rest(&stop, observer).await {
                return;
            }
            resting = false;
            let begun = Instant::now();
            let before = standing.as_ref().map(|standing| *standing.borrow());
            let attempt = tokio::select! {
                () = stop.cancelled() => return,
                attempt = timeout(retry.attempt_timeout, self.attempt(way, &mut era)) => attempt,
            };
            let (mut lost, mut hangs) = (None, false);
            if let Ok(Err(error)) = &attempt
                && error.needs_login()
            {
                let down = Down {
                    reason: error.to_string().into(),
                    since: *down_since.get_or_insert(begun),
                    next: None,
                };
                self.set(State::AwaitingLogin(down), observer);
                if !self.logged_in(&mut standing, before, &stop).await {
                    return;
                }
                self.set(State::starting(), observer);
                continue;
            }
            let reason: Arc<str> = match attempt {
                Ok(Ok((connection, inventory, unasked))) => {
                    let _hearing = connection.listen().await;
                    let inventory = Arc::new(inventory);
                    observer.offers(self, &inventory).await;
                    self.came_up(&connection, &inventory, observer);
                    let up = Instant::now();
                    let end = tokio::select! {
                        end = self.attend(&connection, unasked, &stop, observer) => end,
                        reason = login::lapsed(standing.clone()) => End::Lost(reason),
                        () = self.unused(&connection) => End::Idle,
                        reason = self.sick(&connection, observer) => End::Sick(reason),
                    };
                    let mut proven = up.elapsed() >= PROVEN;
                    let reason = match end {
                        End::Stopped => return connection.end().await,
                        End::Lost(reason) => reason,
                        End::Sick(reason) => {
                            proven = connection.health.has_served();
                            // Calls wait for a new process, not for what hangs.
                            hangs = connection.link.kept().is_none();
                            reason
                        }
                        End::Idle => {
                            info!(backend = self.name(), "nobody uses it, it is ended");
                            self.set(State::starting(), observer);
                            connection.end().await;
                            (resting, failures, down_since) = (true, 0, None);
                            continue;
                        }
                    };
                    if proven {
                        failures = 0;
                    }
                    down_since = None;
                    lost = Some(connection);
                    reason
                }
                Ok(Err(error)) => error.to_string().into(),
                Err(_) => format!(
                    "no handshake within {} s (connect_retry.attempt_timeout)",
                    begun.elapsed().as_secs()
                )
                .into(),
            };
            failures = failures.saturating_add(1);
            if let Some(lost) = lost.take_if(|_| failures == 1 && retry.enabled && !hangs) {
                // What held so far is most likely only restarting: calls wait.
                warn!(backend = self.name(), "lost: {reason}; connecting anew");
                self.set(State::starting(), observer);
                lost.end().await;
                continue;
            }
            let since = *down_since.get_or_insert_with(Instant::now);
            let down = self.next_attempt(reason, since, failures, retry);
            self.set(State::Down(down.clone()), observer);
            if let Some(lost) = lost {
                lost.end().await;
            }
            if !self.wait_out(down, &stop).await {
                return;
            }
        }
    }

    /// Waits until there is another token than `before`, or another attempt is asked
    /// for; false if it is to stop.
    async fn logged_in(
        &self,
        standing: &mut Option<watch::Receiver<Standing>>,
        before: Option<Standing>,
        stop: &CancellationToken,
    ) -> bool {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = self.tried_again() => {}
            () = login::renewed(standing, before) => {}
        }
        true
    }

    /// It is down since then, until the attempt after so many failures.
    fn next_attempt(
        &self,
        reason: Arc<str>,
        since: Instant,
        failures: u32,
        retry: ConnectRetry,
    ) -> Down {
        let pause = || pause::before(failures, retry.max_delay);
        let next = retry.enabled.then(|| Instant::now() + pause());
        let down = Down {
            reason,
            since,
            next,
        };
        warn!(backend = self.name(), "{down}");
        down
    }

    /// Waits until the next attempt is due; false if it is to stop.
    async fn wait_out(&self, down: Down, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = self.tried_again() => {}
            () = pause::until(down.next) => {}
        }
        let now = Down {
            next: Some(Instant::now()),
            ..down
        };
        self.turn(State::Down(now));
        true
    }

    /// The way to it; none before the configuration changes, which is said.
    fn possible_way(&self, observer: &impl Observer) -> Option<&Way> {
        let reason = match &*self.way {
            Ok(way) => return Some(way),
            Err(reason) => reason,
        };
        warn!(backend = self.name(), "unavailable: {reason}");
        let down = Down {
            reason: reason.as_str().into(),
            since: Instant::now(),
            next: None,
        };
        self.set(State::Down(down), observer);
        None
    }

    /// Waits until somebody asks for another attempt.
    async fn tried_again(&self) {
        self.retry.notified().await;
        info!(backend = self.name(), "tried again on request");
    }

    pub(super) fn set(&self, state: State, observer: &impl Observer) {
        self.turn(state);
        observer.state_changed();
    }

    fn came_up(
        &self,
        connection: &Arc<Connection>,
        inventory: &Arc<Inventory>,
        observer: &impl Observer,
    ) {
        self.tally.started();
        self.inventory.store(Arc::clone(inventory));
        // Whoever sees it up, or reads so, finds the catalog that belongs to it.
        observer.offer_changed(self, Lists::default());
        self.set(State::Up(Arc::clone(connection), Instant::now()), observer);
        observer.session_began(self);
        info!(
            backend = self.name(),
            era = %connection.era(),
            revision = %connection.revision,
            tools = inventory.tools.len(),
            prompts = inventory.prompts.len(),
            resources = inventory.resources.len(),
            process = connection.link.kept().map(tracing::field::display),
            "up: {}",
            connection.server.as_deref().unwrap_or("a server without a name")
        );
    }

    /// Stays with a connection until it is lost or `stop`.
    async fn attend(
        &self,
        connection: &Arc<Connection>,
        mut unasked: mpsc::Receiver<Unasked>,
        stop: &CancellationToken,
        observer: &impl Observer,
    ) -> End {
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                reason = connection.link.lost() => return End::Lost(reason),
                message = unasked.recv() => message,
                () = self.stale.notified() => Some(Unasked::Stale),
                () = connection.link.renewed() => {
                    observer.session_began(self);
                    Some(Unasked::Stale)
                }
            };
            if message
                .as_ref()
                .is_some_and(|message| !Lists::stale_after(message).is_empty())
            {
                let refreshed = tokio::select! {
                    () = stop.cancelled() => return End::Stopped,
                    reason = connection.link.lost() => return End::Lost(reason),
                    refreshed = self.refresh(connection, message, &mut unasked, observer) => refreshed,
                };
                if let Some(told) = refreshed {
                    observer.offer_changed(self, told);
                    observer.state_changed();
                }
            } else if message.is_none() {
                // The link keeps the sender; it does not close before it is lost.
                tokio::select! {
                    () = stop.cancelled() => return End::Stopped,
                    reason = connection.link.lost() => return End::Lost(reason),
                }
            }
        }
    }

    /// Reads the stale lists again once the changes have settled; gives those
    /// that were said to be other ones, `None` if there was and is no change.
    async fn refresh(
        &self,
        connection: &Connection,
        first: Option<Unasked>,
        unasked: &mut mpsc::Receiver<Unasked>,
        observer: &impl Observer,
    ) -> Option<Lists> {
        sleep(COALESCE).await;
        let (mut stale, mut told) = (Lists::default(), Lists::default());
        let mut next = first;
        while let Some(message) = next {
            stale |= Lists::stale_after(&message);
            told |= Lists::told_by(&message);
            next = unasked.try_recv().ok();
        }
        // What is not in the lists may have changed as well.
        let unchanged = (!told.is_empty()).then_some(told);
        let known = self.inventory();
        let (link, revision) = (&connection.link, connection.revision);
        match inventory::read(self.name(), link, revision, stale, &known).await {
            Ok(inventory) if inventory != *known => {
                info!(
                    backend = self.name(),
                    tools = inventory.tools.len(),
                    prompts = inventory.prompts.len(),
                    resources = inventory.resources.len(),
                    "its lists have changed"
                );
                let inventory = Arc::new(inventory);
                observer.offers(self, &inventory).await;
                self.inventory.store(inventory);
                Some(told)
            }
            Ok(_) => unchanged,
            Err(error) => {
                warn!(
                    backend = self.name(),
                    "its lists could not be read again: {error}"
                );
                unchanged
            }
        }
    }
}

/// How the time with a connection has ended.
enum End {
    /// As was asked.
    Stopped,
    /// It was lost, for this reason.
    Lost(Arc<str>),
    /// Nobody used it.
    Idle,
    /// It does not answer any more, for this reason.
    Sick(Arc<str>),
}
