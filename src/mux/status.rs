//! How every backend is, for people and scripts.

use std::{fmt::Write, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Mux;
use crate::{
    backend::{
        Backend, Down, State,
        command::{Kept, Measure},
    },
    nearest::no_backend,
};

/// The state of a backend that is configured with `enabled: false`.
const DISABLED: &str = "disabled";

/// How one backend is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// `idle`, `starting`, `up`, `awaiting login`, `down`, `stopped` or `disabled`.
    pub state: String,
    /// Why it is not up.
    pub reason: Option<String>,
    /// What is wrong with it although it is up: it does not answer.
    #[serde(default)]
    pub ailing: Option<String>,
    /// How long it has been so, in seconds.
    pub since: Option<u64>,
    /// When it is tried again, in seconds from now.
    pub next: Option<u64>,
    /// `legacy` or `modern`.
    pub era: Option<String>,
    /// The revision of MCP that it speaks.
    pub revision: Option<String>,
    /// What it calls itself.
    pub server: Option<String>,
    /// How many tools it offers, or offered last.
    pub tools: usize,
    /// The same of prompts.
    pub prompts: usize,
    /// The same of resources.
    pub resources: usize,
    /// Calls that have ended.
    pub calls: u64,
    /// Those of them that ended with an error.
    pub errors: u64,
    /// Calls that wait for others to end (`limits.concurrency`); a client's own
    /// are not counted.
    #[serde(default)]
    pub waiting: usize,
    /// What a request to it carries: `bearer`, `header`, `command` or `oauth`.
    #[serde(default)]
    pub auth: Option<String>,
    /// Who keeps its processes: systemd, as a unit, or mcpmux, as `a process group`.
    #[serde(default)]
    pub kept: Option<String>,
    /// The unit of its processes.
    #[serde(default)]
    pub unit: Option<String>,
    /// The number of the process group of its processes.
    #[serde(default)]
    pub group: Option<i32>,
    /// The memory that its processes use, in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// What `memory` counts.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// The median of a call's time, in microseconds.
    pub p50: Option<u64>,
    /// The time within which 95 of 100 calls have ended, in microseconds.
    pub p95: Option<u64>,
    /// How often it was connected anew.
    pub restarts: u64,
}

impl BackendStatus {
    /// Whether it is one that could be up.
    pub fn is_enabled(&self) -> bool {
        self.state != DISABLED
    }
}

impl Mux {
    /// How every backend is, in the order of the configuration.
    pub fn status(&self) -> Vec<BackendStatus> {
        let backends = self.backends();
        let mut all: Vec<_> = backends.iter().map(|backend| status(backend)).collect();
        for disabled in self.roster.disabled().iter() {
            let status = BackendStatus {
                name: disabled.name.clone(),
                state: DISABLED.to_owned(),
                reason: Some("`enabled: false` in the configuration".to_owned()),
                since: Some(disabled.since.elapsed().as_secs()),
                ..BackendStatus::default()
            };
            all.insert(disabled.place.min(all.len()), status);
        }
        all
    }

    /// How it is, in one line: `3/4 backends up, 41 tools; github: …`.
    pub fn summary(&self) -> String {
        let mut up = 0;
        let mut idle = 0;
        let mut tools = 0;
        let mut trouble = String::new();
        for backend in self.backends().iter() {
            match backend.state() {
                State::Up(connection, _) => {
                    up += 1;
                    tools += backend.inventory().tools.len();
                    if let Some(mark) = connection.health.mark() {
                        let _ = write!(trouble, "; {}: {mark}", backend.name());
                    }
                }
                State::Idle(_) => idle += 1,
                State::Starting(_) => {
                    let _ = write!(trouble, "; {} is starting", backend.name());
                }
                State::AwaitingLogin(_) => {
                    let name = backend.name();
                    let _ = write!(trouble, "; {name} needs login: mcpmux auth login {name}");
                }
                State::Stopped(_) => {
                    let _ = write!(trouble, "; {} is stopped", backend.name());
                }
                State::Down(down) => {
                    let _ = write!(trouble, "; {}: {}", backend.name(), down.reason);
                }
            }
        }
        let idle = if idle > 0 {
            format!(" ({idle} idle)")
        } else {
            String::new()
        };
        let all = self.backends().len();
        format!("{up}/{all} backends up{idle}, {tools} tools{trouble}")
    }

    /// Takes every lock that a request may need, one after the other; does not come
    /// back where one of them is held for ever.
    pub(crate) fn pulse(&self) {
        self.views.pulse();
        self.commons.instances.pulse();
        let _ = self.parking.is_empty();
        let _ = self.summary();
    }

    /// What to say where no enabled backend has this name.
    pub fn missing(&self, name: &str) -> String {
        let disabled = self.roster.disabled();
        if disabled.iter().any(|disabled| disabled.name == name) {
            return format!("the backend {name:?} is disabled (`enabled: false`)");
        }
        let backends = self.backends();
        no_backend(name, backends.iter().map(|backend| backend.name()))
    }

    /// The enabled backend of this name.
    pub fn backend(&self, name: &str) -> Option<Arc<Backend>> {
        self.roster.named(name)
    }
}

fn status(backend: &Backend) -> BackendStatus {
    let state = backend.state();
    let (word, down, since) = match &state {
        State::Starting(since) => ("starting", None, *since),
        State::Idle(down) => ("idle", Some(down), down.since),
        State::Up(_, since) => ("up", None, *since),
        State::AwaitingLogin(down) => ("awaiting login", Some(down), down.since),
        State::Down(down) => ("down", Some(down), down.since),
        State::Stopped(down) => ("stopped", Some(down), down.since),
    };
    let connection = backend.connected();
    let kept = connection.as_ref().and_then(|up| up.link.kept());
    let inventory = backend.inventory();
    let tally = backend.tally();
    let micros = |share| {
        let time = tally.quantile(share)?;
        u64::try_from(time.as_micros()).ok()
    };
    BackendStatus {
        name: backend.name().to_owned(),
        state: word.to_owned(),
        reason: down.map(|down| reason(backend.name(), &state, down)),
        ailing: connection
            .as_ref()
            .and_then(|up| up.health.mark())
            .map(|mark| mark.to_string()),
        since: Some(since.elapsed().as_secs()),
        next: down
            .and_then(|down| down.next)
            .map(|next| next.saturating_duration_since(Instant::now()).as_secs()),
        era: connection.as_ref().map(|up| up.era().to_string()),
        revision: connection.as_ref().map(|up| up.revision.to_string()),
        server: connection.as_ref().and_then(|up| up.server.clone()),
        tools: inventory.tools.len(),
        prompts: inventory.prompts.len(),
        resources: inventory.resources.len(),
        calls: tally.calls(),
        errors: tally.failed(),
        waiting: connection.as_ref().map_or(0, |up| up.places.waiting()),
        auth: backend.settings().auth().map(str::to_owned),
        kept: kept.map(ToString::to_string),
        unit: kept.and_then(Kept::unit).map(str::to_owned),
        group: kept.and_then(Kept::group),
        memory: None,
        measure: None,
        p50: micros(0.5),
        p95: micros(0.95),
        restarts: tally.restarts(),
    }
}

/// Why; the link of a login is for the log and for who needs it.
fn reason(name: &str, state: &State, down: &Down) -> String {
    match state {
        State::AwaitingLogin(_) => format!("a person has to log in: mcpmux auth login {name}"),
        _ => down.reason.to_string(),
    }
}
