//! From one configuration to the next while calls are under way: what is equal is
//! not touched, what is gone ends once its calls have.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Memory, Mux};
use crate::{
    backend::{Backend, Lists},
    config::{BackendSettings, Config, PolicySettings, Thing},
    credential::Logins,
};

/// What a new configuration has changed, by the names of backends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// They are new, and are being started.
    pub added: Vec<String>,
    /// They are gone, and end once their calls have.
    pub removed: Vec<String>,
    /// They are replaced: the new one takes the calls from now on.
    pub replaced: Vec<String>,
    /// They go on with other settings.
    pub updated: Vec<String>,
    /// Whether those that were there before stand in another order now.
    pub reordered: bool,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Mux {
    /// Goes over to the backends of `config`, with their logins of `logins` and
    /// what `memory` knows of them. Calls of those that end have `drain` to finish.
    ///
    /// Must be called within a Tokio runtime.
    pub fn reload(
        self: &Arc<Self>,
        config: &Config,
        logins: &Logins,
        memory: &Memory,
        drain: Duration,
    ) -> Difference {
        let mut supervisors = self
            .supervisors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while supervisors.try_join_next().is_some() {}
        let mut difference = Difference::default();
        let before = self.backends();
        let mut kept: HashSet<&str> = HashSet::new();
        let (mut now, mut begun, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for settings in config.backends.iter().filter(|settings| settings.enabled) {
            let name = settings.name.as_str();
            let mut there = before.iter();
            let there = there.find(|backend| backend.name() == name);
            kept.extend(there.map(|_| name));
            let backend = match there {
                Some(same) if settings.connects_like(&same.settings()) => {
                    if **same.settings() != *settings {
                        same.settle(settings.clone());
                        difference.updated.push(name.to_owned());
                    }
                    Arc::clone(same)
                }
                Some(other) => {
                    difference.replaced.push(name.to_owned());
                    let new = successor(other, settings, logins, memory);
                    begun.push((Arc::clone(&new), Some(Arc::clone(other))));
                    gone.push(Arc::clone(other));
                    new
                }
                None => {
                    difference.added.push(name.to_owned());
                    let new = new(settings, logins, memory);
                    begun.push((Arc::clone(&new), None));
                    new
                }
            };
            now.push(backend);
        }
        for backend in before.iter().filter(|it| !kept.contains(it.name())) {
            difference.removed.push(backend.name().to_owned());
            gone.push(Arc::clone(backend));
        }
        difference.reordered = is_reordered(&before, &now);
        self.roster.disable(config);
        if difference.is_empty() {
            return difference;
        }
        self.roster.replace(now);
        for (backend, before) in begun {
            self.watching.follow(&backend);
            self.serve(&mut supervisors, backend, before);
        }
        // Who is turned away by one that is gone finds the catalog without it.
        self.rebuild(None, Lists::default());
        for backend in &gone {
            backend.retire(drain);
            self.commons.instances.retire(backend.name(), drain);
        }
        self.activity.send_replace(());
        // One that rests is not told who is subscribed there.
        self.wake_watched();
        difference
    }
}

impl Mux {
    /// Goes over to `policy`: who may not have something any more does not see it
    /// from now on, and is told so. Calls that are under way go on.
    pub fn turn_to(&self, policy: &PolicySettings) {
        if !self.views.turn_to(policy, &self.roster, &self.pins) {
            return;
        }
        self.watching
            .end_beyond(|role, backend, uri| self.view(role).may(Thing::Resource, backend, uri));
        self.note_clients();
    }
}

/// A backend of which `memory` may know something.
pub(super) fn new(settings: &BackendSettings, logins: &Logins, memory: &Memory) -> Arc<Backend> {
    let backend = Backend::new(settings.clone(), logins.of(&settings.name));
    if let Some((inventory, era)) = memory.of(settings) {
        backend.recall((*inventory).clone(), era);
    }
    Arc::new(backend)
}

/// What takes the place of `before`.
fn successor(
    before: &Backend,
    settings: &BackendSettings,
    logins: &Logins,
    memory: &Memory,
) -> Arc<Backend> {
    let alike = Memory::is_same(&before.settings(), settings);
    let backend = if alike {
        Arc::new(Backend::new(settings.clone(), logins.of(&settings.name)))
    } else {
        new(settings, logins, memory)
    };
    backend.succeed(before, alike);
    backend
}

/// Whether those that are in both stand in another order.
fn is_reordered(before: &[Arc<Backend>], now: &[Arc<Backend>]) -> bool {
    let names = |of: &[Arc<Backend>], in_both: &HashSet<String>| {
        let names = of.iter().map(|backend| backend.name().to_owned());
        names
            .filter(|name| in_both.contains(name))
            .collect::<Vec<_>>()
    };
    let old: HashSet<_> = before.iter().map(|backend| backend.name()).collect();
    let in_both = now.iter().map(|backend| backend.name());
    let in_both = in_both
        .filter(|name| old.contains(name))
        .map(str::to_owned)
        .collect();
    names(before, &in_both) != names(now, &in_both)
}
