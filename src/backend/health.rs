//! Whether a backend that is up still answers: one that has said nothing for a
//! while is pinged, and one that leaves several pings in a row unanswered is given
//! up. One that is at work is left in peace, unless its calls fail one after the
//! other; if they do so although it answers pings, its circuit is opened.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use smol_str::SmolStr;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{Backend, BackendError, Connection, Down, Observer, Use, circuit::Circuit, unit::Span};
use crate::{
    config::Health as Settings,
    protocol::{Era, method},
};

/// So many pings in a row without an answer, and it is given up.
const MISSED: u32 = 3;

/// So many calls in a row that fail on the way, and it is pinged although others are
/// under way.
const FAILED: u32 = 3;

/// What is known of a connection's health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// It has said something since this was last looked at.
    heard: AtomicBool,
    /// It has said something since it shook hands.
    served: AtomicBool,
    /// Calls that failed on the way since it last said something.
    failed: AtomicU32,
    /// There have been enough of them.
    doubted: Notify,
    /// Whether its calls are let through.
    circuit: Circuit,
    /// What is wrong with it now.
    mark: Mutex<Option<Arc<str>>>,
}

/// A call that is under way, until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    used: Use,
    /// The tool, prompt or resource that is meant, else the method.
    subject: SmolStr,
    /// The number of the trial that it is.
    trial: Option<u64>,
}

impl Health {
    /// It has said something in the course of a call.
    pub(crate) fn answered(&self) {
        self.heard();
        self.circuit.answered();
    }

    /// Why a call about `subject` would fail now, if it would.
    pub(crate) fn check(&self, subject: &str) -> Result<(), Down> {
        self.circuit.check(subject)
    }

    /// It has said something.
    fn heard(&self) {
        // Every message comes by here, and the next one finds all as it leaves it.
        if !self.heard.load(Ordering::Relaxed) {
            self.heard.store(true, Ordering::Relaxed);
            self.served.store(true, Ordering::Relaxed);
        }
        if self.failed.load(Ordering::Relaxed) > 0 {
            self.failed.store(0, Ordering::Relaxed);
        }
    }

    /// A call failed on the way.
    fn failed(&self) {
        if self.failed.fetch_add(1, Ordering::Relaxed) + 1 >= FAILED {
            self.doubted.notify_one();
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn mark(&self) -> Option<Arc<str>> {
        let mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = mark.clone();
        mark.or_else(|| self.circuit.down().map(|down| down.reason))
    }

    /// Whether it has said anything since it shook hands.
    pub(super) fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether it has said something since this was last asked.
    fn was_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    fn is_doubted(&self) -> bool {
        self.failed.load(Ordering::Relaxed) >= FAILED
    }

    /// Marks it; says whether that is news.
    fn set(&self, mark: Option<Arc<str>>) -> bool {
        let mut now = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *now != mark;
        *now = mark;
        news
    }
}

impl Use {
    /// It is for a call about `subject`, which is under way from now on. Error: calls
    /// fail at once, and why.
    pub(crate) fn under_way(self, subject: &str) -> Result<UnderWay, Down> {
        let trial = self.health.circuit.admit(subject)?;
        Ok(UnderWay {
            used: self,
            subject: subject.into(),
            trial,
        })
    }
}

impl Connection {
    /// Asks it for a sign of life: `ping` (2025-11-25, `basic/utilities/ping`), or
    /// `server/discover`, which every modern server has (2026-07-28,
    /// `server/discover`) and which asks nothing of its tools. Error: why there is
    /// none.
    async fn ping(&self, patience: Duration) -> Result<(), String> {
        let method = match self.era() {
            Era::Legacy => method::PING,
            Era::Modern => method::DISCOVER,
        };
        match timeout(patience, self.query(method, json!({}))).await {
            Ok(Err(BackendError::Status { status, .. })) if status >= 500 => {
                Err(format!("it answers {method} with HTTP {status}"))
            }
            Ok(Err(error @ (BackendError::Http(_) | BackendError::NoResponse))) => {
                Err(format!("it has not answered {method}: {error}"))
            }
            // A refusal is an answer. What has closed is lost, and what needs a login
            // is not sick.
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "it has not answered {method} within {}",
                Span(patience)
            )),
        }
    }
}

impl UnderWay {
    /// What it is made over.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.used
    }

    /// It had no answer, because of `error`.
    pub(crate) fn failed(&self, error: &BackendError) {
        use BackendError::{Http, NoResponse, Status, TimedOut};
        let on_the_way = match error {
            Status { status, .. } => *status >= 500,
            error => matches!(error, Http(_) | NoResponse | TimedOut { .. }),
        };
        if on_the_way {
            let health = &self.used.health;
            health.failed();
            health.circuit.failed(&self.subject, self.trial, error);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(trial) = self.trial {
            self.used.health.circuit.release(trial);
        }
    }
}

impl Backend {
    /// Looks after the connection until it is to be given up, and says why. None of
    /// this is a use of it.
    pub(super) async fn sick(&self, connection: &Connection, observer: &impl Observer) -> Arc<str> {
        tokio::select! {
            why = self.pinged(connection, observer) => why,
            never = self.follow_circuit(connection, observer) => match never {},
        }
    }

    /// Tells when its calls begin to fail at once, and when they do not any more.
    async fn follow_circuit(
        &self,
        connection: &Connection,
        observer: &impl Observer,
    ) -> Infallible {
        let circuit = &connection.health.circuit;
        loop {
            circuit.changed().await;
            if let Some(down) = circuit.down() {
                warn!(backend = self.name(), "its calls fail at once: {down}");
            } else {
                info!(backend = self.name(), "it answers calls again");
            }
            observer.state_changed();
        }
    }

    /// Pings it when that is due, until it is to be given up, and says why.
    async fn pinged(&self, connection: &Connection, observer: &impl Observer) -> Arc<str> {
        let health = &connection.health;
        let mut missed = 0;
        loop {
            let Some(Settings { interval, patience }) = self.settings().health else {
                return std::future::pending().await;
            };
            let pause = if missed > 0 {
                patience.min(interval)
            } else {
                interval
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = health.doubted.notified() => {}
            }
            let sign = match self.sign_of_life(connection, patience).await {
                Ok(sign) => sign,
                Err(why) => {
                    missed += 1;
                    warn!(backend = self.name(), missed, "{why}");
                    let why: Arc<str> = why.into();
                    // A task that runs there may keep it from answering.
                    let spared = connection.is_kept() && !health.is_doubted();
                    if missed >= MISSED && !spared {
                        return format!("{why}, {missed} times in a row").into();
                    }
                    health.set(Some(why));
                    observer.state_changed();
                    continue;
                }
            };
            missed = 0;
            if sign == Sign::Word && health.set(None) {
                info!(backend = self.name(), "it answers again");
                observer.state_changed();
            }
        }
    }

    /// Whether it has said something, may be silent, or answers a ping. Error: why
    /// not.
    async fn sign_of_life(
        &self,
        connection: &Connection,
        patience: Duration,
    ) -> Result<Sign, String> {
        let health = &connection.health;
        let unasked = || {
            if health.was_heard() {
                Some(Sign::Word)
            } else {
                let at_work = connection.usage.calls() > 0 && !health.is_doubted();
                at_work.then_some(Sign::Work)
            }
        };
        if let Some(sign) = unasked() {
            return Ok(sign);
        }
        match connection.ping(patience).await {
            Ok(()) => {
                health.heard();
                health.was_heard();
                Ok(Sign::Word)
            }
            // It may have begun to work meanwhile.
            Err(why) => unasked().ok_or(why),
        }
    }
}

/// What says that a backend is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It has said something.
    Word,
    /// It may be at work.
    Work,
}
