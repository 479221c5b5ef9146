//! What is there for whom: the catalog as each role sees it, built when something
//! changes. Roles with equal rules share a view.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::warn;

use super::{
    Catalog, Misfit, Pins, Shortened,
    catalog::{Located, Share, Taken},
    roster::Roster,
    version::Versions,
};
use crate::{
    backend::{Backend, Lists},
    config::{PolicySettings, Rules, Thing},
};

/// What is there for some.
#[derive(Debug)]
pub(crate) struct View {
    /// What they may use; `None` is everything.
    rules: Option<Rules>,
    catalog: ArcSwap<Catalog>,
    versions: watch::Sender<Versions>,
}

/// What is there for whom.
#[derive(Debug)]
pub(super) struct Views {
    /// That of everything first.
    all: Vec<View>,
    /// The view of each role.
    roles: HashMap<String, usize>,
    building: Mutex<()>,
}

impl View {
    fn new(rules: Option<Rules>, shares: &[Share]) -> Self {
        let view = Self {
            rules,
            catalog: ArcSwap::from_pointee(Catalog::build(&[])),
            versions: watch::Sender::default(),
        };
        view.catalog.store(Arc::new(view.build(shares)));
        view
    }

    fn build(&self, shares: &[Share]) -> Catalog {
        match &self.rules {
            None => Catalog::build(shares),
            Some(rules) => {
                let seen = shares.iter().filter_map(|share| share.seen_by(rules));
                Catalog::build(&seen.collect::<Vec<_>>())
            }
        }
    }

    /// What is there now.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The numbers of its lists.
    pub(super) fn versions(&self) -> &watch::Sender<Versions> {
        &self.versions
    }

    /// Whether the thing that `server` calls `name` may be used.
    pub(super) fn may(&self, kind: Thing, server: &str, name: &str) -> bool {
        (self.rules.as_ref()).is_none_or(|rules| rules.may(kind, server, name))
    }

    /// Whether there may be things of this kind at `server` that may be used.
    pub(super) fn touches(&self, kind: Thing, server: &str) -> bool {
        (self.rules.as_ref()).is_none_or(|rules| rules.touch(kind, server))
    }

    /// Whether `server` is there at all.
    pub(super) fn has(&self, server: &str) -> bool {
        Thing::ALL.iter().any(|kind| self.touches(*kind, server))
    }

    /// The backends that the resource `uri` may belong to, likeliest first.
    pub(super) fn resource(&self, uri: &str) -> Vec<Located> {
        let mut located = self.catalog.load().resource(uri);
        located.retain(|place| self.reads(place));
        located
    }

    /// The backend of the resource template, or of the resource, `uri`.
    pub(super) fn template(&self, uri: &str) -> Option<Located> {
        let located = self.catalog.load().template(uri);
        located.filter(|place| self.reads(place))
    }

    fn reads(&self, place: &Located) -> bool {
        self.may(Thing::Resource, place.backend.name(), &place.uri)
    }

    /// Builds it anew and, if it is another one now or `told` says so, counts that.
    fn rebuild(&self, shares: &[Share], told: Lists) {
        let new = self.build(shares);
        let changed = new.since(&self.catalog.load()).or(told);
        self.catalog.store(Arc::new(new));
        if changed.any() {
            self.versions
                .send_modify(|versions| versions.count(changed));
        }
    }
}

impl Views {
    /// The views of `policy`.
    pub(super) fn new(policy: &PolicySettings, shares: &[Share]) -> Self {
        let mut views = Self {
            all: vec![View::new(None, shares)],
            roles: HashMap::new(),
            building: Mutex::default(),
        };
        if !policy.roles.is_empty() {
            // Of who has no role, or one that there is not.
            views.all.push(View::new(Some(Rules::default()), shares));
        }
        for (name, rules) in &policy.roles {
            let rules = Some(rules).filter(|rules| !rules.are_open());
            let known = views
                .all
                .iter()
                .position(|view| view.rules.as_ref() == rules);
            let index = known.unwrap_or_else(|| {
                views.all.push(View::new(rules.cloned(), shares));
                views.all.len() - 1
            });
            views.roles.insert(name.clone(), index);
        }
        views
    }

    /// What is there for `role`.
    pub(super) fn of(&self, role: &str) -> &View {
        // Without roles everybody sees everything; with them, a stranger nothing.
        let index = match self.all.len() {
            1 => 0,
            _ => self.roles.get(role).copied().unwrap_or(1),
        };
        &self.all[index]
    }

    /// Takes the lock that building takes; does not come back where it is held for
    /// ever.
    pub(super) fn pulse(&self) {
        drop(self.building.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything.
    pub(super) fn whole(&self) -> &View {
        &self.all[0]
    }

    /// Builds the catalogs of what the backends of `roster` share now, without what
    /// `pins` hide; `teller` has `told` of changes. Logs what clients are not shown as it is.
    pub(super) fn rebuild(
        &self,
        roster: &Roster,
        pins: &Pins,
        teller: Option<&Backend>,
        told: Lists,
    ) {
        let _one_at_a_time = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let backends = roster.now();
        let shares = backends.iter().map(|backend| Share::of(backend, pins));
        let shares: Vec<_> = shares.collect();
        let old = self.whole().catalog();
        let open = teller.is_some_and(|teller| {
            teller.settings().tools.is_open() && !pins.look(teller, &teller.inventory()).hides_any()
        });
        for view in &self.all {
            // Of what is hidden one is told nothing, so only a change that shows counts.
            let sees_all = view.rules.is_none();
            let tools = told.tools && open;
            let told = Lists { tools, ..told };
            view.rebuild(&shares, if sees_all { told } else { Lists::default() });
        }
        warn_of(&old, &self.whole().catalog());
    }
}

/// Says what of `new` clients are not shown as it is, unless `old` was so as well.
fn warn_of(old: &Catalog, new: &Catalog) {
    for Shortened { kind, full, short } in new
        .shortened()
        .filter(|name| old.shortened().all(|known| known != *name))
    {
        warn!("the {kind} name {full:?} is too long for clients and is shown as {short:?}");
    }
    for Taken { kind, name, loser } in new
        .taken()
        .iter()
        .filter(|taken| !old.taken().contains(taken))
    {
        warn!(
            backend = loser,
            "{name:?} is taken by a backend named before, the {kind} is left out"
        );
    }
    for Misfit { backend, what } in new
        .misfits()
        .iter()
        .filter(|misfit| !old.misfits().contains(misfit))
    {
        warn!(backend, "{what}");
    }
}
