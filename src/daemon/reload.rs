//! Reads the configuration again while mcpmux runs, one time after the other, and
//! says what came of it: to systemd, in the log, and to who has asked.

use std::{fmt::Write, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{DRAIN, files::Watch};
use crate::{
    access::Access,
    config::{Config, ConfigError},
    control::{Ask, Reload, Reloaded},
    credential::Logins,
    limits::Limits,
    mux::{Difference, Memory, Mux},
    systemd::Notifier,
};

/// Reads the configuration from where it was read at the start. May block.
pub type Read = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// How long it may take to read the files.
const TO_READ: Duration = Duration::from_secs(30);

/// The longest part of an error that stands in the status, in characters.
const SHOWN: usize = 300;

/// Who reads the configuration again.
pub(super) struct Reloading {
    pub(super) access: Arc<Access>,
    pub(super) read: Read,
    /// The configuration with which mcpmux was started.
    pub(super) running: Config,
    pub(super) mux: Arc<Mux>,
    pub(super) logins: Arc<Logins>,
    pub(super) memory: Arc<Memory>,
    pub(super) limits: Arc<Limits>,
    pub(super) notifier: Arc<Notifier>,
    /// What is wrong with the configuration that was read last; empty if nothing.
    pub(super) trouble: watch::Sender<String>,
    /// The way to ask this.
    pub(super) reload: Reload,
    /// Nothing is read any more.
    pub(super) stop: CancellationToken,
}

impl Reloading {
    /// Does it whenever it is `asked`, until mcpmux stops.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Ask>) {
        let mut warnings = self.running.warnings.clone();
        let mut before = self.running.clone();
        let mut watch = Watch::none();
        watch.turn_to(&self.running, &self.reload);
        while let Some(Some(first)) = self.stop.run_until_cancelled(asked.recv()).await {
            let mut all = vec![first];
            while let Ok(more) = asked.try_recv() {
                all.push(more);
            }
            info!("reading the configuration again");
            self.notifier.reloading();
            let read = match self.read_again().await {
                Ok(config) => self.turn_to(&config, &before).await.map(|it| (config, it)),
                Err(problems) => Err(problems),
            };
            let outcome = match read {
                Ok((config, reloaded)) => {
                    for warning in &config.warnings {
                        if !warnings.contains(warning) {
                            warn!("{warning}");
                        }
                    }
                    warnings.clone_from(&config.warnings);
                    watch.turn_to(&config, &self.reload);
                    before = config;
                    Ok(reloaded)
                }
                Err(problems) => {
                    error!(
                        "the configuration has errors, the one before stays in effect:\n{}",
                        problems.join("\n")
                    );
                    Err(problems)
                }
            };
            self.trouble.send_replace(match &outcome {
                Ok(_) => String::new(),
                Err(problems) => trouble(problems),
            });
            self.notifier
                .ready(&status(&self.mux, &self.trouble.borrow()));
            for ask in all.into_iter().flatten() {
                // Who has gone does not want to know.
                let _ = ask.send(outcome.clone());
            }
        }
    }

    /// The configuration as it is now, or all that is wrong with it.
    async fn read_again(&self) -> Result<Config, Vec<String>> {
        let read = Arc::clone(&self.read);
        match timeout(TO_READ, spawn_blocking(move || read())).await {
            Ok(Ok(read)) => read.map_err(|error| error.problems()),
            Ok(Err(error)) => Err(vec![format!("cannot be read: {error}")]),
            Err(_) => Err(vec![format!(
                "cannot be read within {} s",
                TO_READ.as_secs()
            )]),
        }
    }

    /// Goes over to `config` from what was in effect `before`. Error: it cannot be in
    /// effect, and nothing has changed.
    async fn turn_to(&self, config: &Config, before: &Config) -> Result<Reloaded, Vec<String>> {
        let (access, new) = (Arc::clone(&self.access), config.clone());
        let terms = spawn_blocking(move || access.read(&new)).await;
        let terms = match terms {
            Ok(terms) => terms.map_err(|error| vec![error.to_string()])?,
            Err(error) => return Err(vec![format!("access: cannot be read: {error}")]),
        };
        let (memory, new) = (Arc::clone(&self.memory), config.clone());
        // What is not known of a backend is not missed.
        let _ = spawn_blocking(move || memory.turn_to(&new)).await;
        self.mux.audit().turn_to(&config.audit);
        self.limits.turn_to(config);
        // A role is there before anybody has it.
        self.mux.turn_to(&config.policy);
        if let Some(terms) = terms {
            self.access.turn_to(terms);
        }
        self.logins.turn_to(config);
        self.logins.open_store();
        let backends = self.mux.reload(config, &self.logins, &self.memory, DRAIN);
        let in_effect = config.takes_effect(before);
        info!(
            "the configuration was read again: {}",
            told(&backends, &in_effect)
        );
        let needs_restart = config.needs_restart(&self.running);
        if !needs_restart.is_empty() {
            warn!(
                "takes effect with the next start of mcpmux only: {}",
                needs_restart.join(", ")
            );
        }
        Ok(Reloaded {
            backends,
            in_effect: in_effect.into_iter().map(str::to_owned).collect(),
            needs_restart: needs_restart.into_iter().map(str::to_owned).collect(),
            warnings: config.warnings.clone(),
        })
    }
}

/// How mcpmux is, in one line, with what is wrong with the configuration.
pub(super) fn status(mux: &Mux, trouble: &str) -> String {
    let mut status = mux.summary();
    if !trouble.is_empty() {
        let _ = write!(status, "; {trouble}");
    }
    status
}

fn trouble(problems: &[String]) -> String {
    let first: String = problems
        .iter()
        .flat_map(|first| first.chars())
        .take(SHOWN)
        .collect();
    let more = match problems.len() {
        0 | 1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    format!("not reloaded, the configuration has errors: {first}{more}")
}

/// What has changed, in one line.
fn told(difference: &Difference, in_effect: &[&str]) -> String {
    let Difference {
        added,
        removed,
        replaced,
        updated,
        reordered,
    } = difference;
    let all = [
        ("added", added),
        ("removed", removed),
        ("replaced", replaced),
        ("updated", updated),
    ];
    let all = all.into_iter().filter(|(_, names)| !names.is_empty());
    let mut parts: Vec<_> = all
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    if *reordered {
        parts.push("another order".to_owned());
    }
    if parts.is_empty() {
        parts.push("no backend has changed".to_owned());
    }
    if !in_effect.is_empty() {
        parts.push(format!("in effect: {}", in_effect.join(", ")));
    }
    parts.join("; ")
}
