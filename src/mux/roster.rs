//! The set of backends: a value behind one pointer, replaced as a whole.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

use crate::backend::Backend;

/// The enabled backends of the configuration, in its order. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Roster(Arc<ArcSwap<Vec<Arc<Backend>>>>);

impl Roster {
    /// Of these.
    pub(super) fn of(backends: Vec<Arc<Backend>>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(backends)))
    }

    /// Those of now.
    pub(super) fn now(&self) -> Arc<Vec<Arc<Backend>>> {
        self.0.load_full()
    }

    /// The one of this name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Backend>> {
        let backends = self.0.load();
        let found = backends.iter().find(|backend| backend.name() == name);
        found.cloned()
    }

    /// From now on it is of these.
    pub(super) fn replace(&self, backends: Vec<Arc<Backend>>) {
        self.0.store(Arc::new(backends));
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().iter()).finish()
    }
}
