//! The set of backends: a value behind one pointer, replaced as a whole.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{backend::Backend, config::Config};

/// The backends of the configuration, in its order. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Roster {
    enabled: Arc<ArcSwap<Vec<Arc<Backend>>>>,
    disabled: Arc<ArcSwap<Vec<Disabled>>>,
}

/// A backend that is configured with `enabled: false`.
#[derive(Debug, Clone)]
pub(super) struct Disabled {
    pub(super) name: String,
    /// Where it stands among all.
    pub(super) place: usize,
    /// When it was read so first.
    pub(super) since: Instant,
}

impl Roster {
    /// Of these.
    pub(super) fn of(backends: Vec<Arc<Backend>>) -> Self {
        let roster = Self::default();
        roster.replace(backends);
        roster
    }

    /// Those of now that are enabled.
    pub(super) fn now(&self) -> Arc<Vec<Arc<Backend>>> {
        self.enabled.load_full()
    }

    /// The enabled one of this name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Backend>> {
        let backends = self.enabled.load();
        let found = backends.iter().find(|backend| backend.name() == name);
        found.cloned()
    }

    /// From now on these are enabled.
    pub(super) fn replace(&self, backends: Vec<Arc<Backend>>) {
        self.enabled.store(Arc::new(backends));
    }

    /// Those that are not enabled.
    pub(super) fn disabled(&self) -> Arc<Vec<Disabled>> {
        self.disabled.load_full()
    }

    /// From now on those are disabled that `config` says.
    pub(super) fn disable(&self, config: &Config) {
        let before = self.disabled();
        let all = config.backends.iter().enumerate();
        let disabled = all.filter(|(_, settings)| !settings.enabled);
        let disabled = disabled.map(|(place, settings)| {
            let name = settings.name.as_str();
            let known = before.iter().find(|known| known.name == name);
            Disabled {
                name: name.to_owned(),
                place,
                since: known.map_or_else(Instant::now, |known| known.since),
            }
        });
        self.disabled.store(Arc::new(disabled.collect()));
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.enabled.load().iter()).finish()
    }
}
