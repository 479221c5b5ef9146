//! How much callers may ask, and how much a backend is asked: requests in a
//! second, calls at the same time, calls and bytes in a day.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::{
    config::{Config, Environment},
    store,
};
use callers::Callers;
use usage::Usage;

mod allowance;
mod callers;
mod exhausted;
mod usage;

pub use allowance::{Allowance, Call};
pub use exhausted::Exhausted;

/// All limits, and how far they are used up.
#[derive(Debug, Default)]
pub struct Limits {
    /// `None` where callers have none.
    callers: ArcSwapOption<Callers>,
    /// Those backends that have some.
    backends: ArcSwap<Allowances>,
    /// Whether there are any of either. Every request looks here first.
    any: AtomicBool,
    usage: OnceLock<Usage>,
}

type Allowances = HashMap<String, Arc<Allowance>>;

impl Limits {
    /// The limits of `config`, of which nothing is used up.
    pub fn new(config: &Config) -> Self {
        let limits = Self::default();
        limits.turn_to(config);
        limits
    }

    /// Goes over to the limits of `config`. What was used of this day counts, and so
    /// do calls in flight; where limits are equal nothing is noticed.
    pub fn turn_to(&self, config: &Config) {
        let callers = of_callers(config, self.callers.load_full());
        let backends = of_backends(config, &self.backends.load());
        let any = callers.is_some() || !backends.is_empty();
        self.callers.store(callers);
        self.backends.store(Arc::new(backends));
        self.any.store(any, Ordering::Release);
    }

    /// The same, with what earlier runs of this day used up of it, where a state
    /// directory keeps that. Blocks.
    pub fn load(config: &Config, environment: &Environment) -> Self {
        let limits = Self::new(config);
        if let Some(state) = store::state(environment) {
            let usage = Usage::new(state.join("usage"));
            usage.load(&limits);
            let _ = limits.usage.set(usage);
        }
        limits
    }

    /// What the caller of this name has left; `None` if there is no limit.
    pub fn caller(&self, name: &str) -> Option<Arc<Allowance>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        Some(self.callers.load().as_ref()?.of(name))
    }

    /// What the backend of this name has left; `None` if there is no limit.
    pub fn backend(&self, name: &str) -> Option<Arc<Allowance>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.backends.load().get(name).cloned()
    }

    /// Keeps what is used up, now and then, and counts what others that share the state
    /// directory have used; never ends.
    pub async fn keep(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(usage::INTERVAL).await;
            self.save().await;
        }
    }

    /// Keeps what is used up now, if that has changed.
    pub async fn save(self: &Arc<Self>) {
        if self.usage.get().is_none() {
            return;
        }
        let limits = Arc::clone(self);
        let saving = tokio::task::spawn_blocking(move || {
            if let Some(usage) = limits.usage.get() {
                usage.share(&limits);
            }
        });
        let _ = saving.await;
    }
}

/// What callers may ask as `config` has it; those of `before` may have used something.
fn of_callers(config: &Config, before: Option<Arc<Callers>>) -> Option<Arc<Callers>> {
    let quota = Some(config.limits).filter(|quota| !quota.is_empty())?;
    Some(match before {
        Some(same) if same.are_of(quota) => same,
        Some(before) => Arc::new(before.turned_to(quota)),
        None => Arc::new(Callers::new(quota)),
    })
}

/// What the backends of `config` may be asked; of those in `before` something may
/// be used up.
fn of_backends(config: &Config, before: &Allowances) -> Allowances {
    let limited = config.backends.iter();
    let limited = limited.filter(|settings| !settings.quota.is_empty());
    let limited = limited.map(|settings| {
        let name = settings.name.as_str().to_owned();
        let known = before.get(&name);
        if let Some(same) = known.filter(|known| known.is_of(settings.quota)) {
            return (name, Arc::clone(same));
        }
        let allowance = known.map_or_else(
            || Allowance::new(&format!("the backend {name}"), settings.quota),
            |known| known.turned_to(settings.quota),
        );
        (name, Arc::new(allowance))
    });
    limited.collect()
}
