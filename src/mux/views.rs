//! What is there for whom: the catalog as each role sees it, built when something
//! changes. Roles with equal rules share a view.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;
use tracing::warn;

use super::{
    Catalog, Misfit, Pins, Shortened,
    catalog::{Located, Share, Taken},
    roster::Roster,
    version::{Changed, Versions},
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
}

/// Who has one role: what they see, and what they are told of it.
#[derive(Debug)]
struct Audience {
    view: Arc<View>,
    versions: watch::Sender<Versions>,
}

/// What is there for whom, as one policy says.
#[derive(Debug)]
struct Table {
    policy: PolicySettings,
    /// That of everything first.
    all: Vec<Arc<View>>,
    roles: HashMap<String, Audience>,
    /// Who has none of these roles.
    rest: Audience,
}

/// What is there for whom.
#[derive(Debug)]
pub(super) struct Views {
    now: ArcSwap<Table>,
    /// The number of the last change.
    number: Mutex<u64>,
}

impl View {
    fn new(rules: Option<Rules>, shares: &[Share]) -> Self {
        let view = Self {
            rules,
            catalog: ArcSwap::from_pointee(Catalog::build(&[])),
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

    /// What is there now, to be looked at and not to be kept.
    pub(super) fn catalog(&self) -> Guard<Arc<Catalog>> {
        self.catalog.load()
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

    /// Builds it anew; what of it is another one now, or is `told` to be.
    fn rebuild(&self, shares: &[Share], told: Lists) -> Changed {
        let new = self.build(shares);
        let changed = new.since(&self.catalog.load()).or(told);
        self.catalog.store(Arc::new(new));
        changed
    }
}

impl Audience {
    /// Who has not been told of anything yet.
    fn new(view: &Arc<View>, number: &mut u64) -> Self {
        let new = Self {
            view: Arc::clone(view),
            versions: watch::Sender::default(),
        };
        new.tell(Changed::ALL, number);
        new
    }

    fn tell(&self, changed: Changed, number: &mut u64) {
        if changed.any() {
            *number += 1;
            self.versions
                .send_modify(|versions| versions.turn(changed, *number));
        }
    }
}

impl Table {
    /// As `policy` says; what there is already of `before` is taken from there.
    fn new(
        policy: &PolicySettings,
        before: Option<&Self>,
        shares: &[Share],
        number: &mut u64,
    ) -> Self {
        let mut all: Vec<Arc<View>> = Vec::new();
        let mut view = |rules: Option<&Rules>| {
            let known = all.iter().chain(before.iter().flat_map(|it| &it.all));
            let mut known = known.filter(|view| view.rules.as_ref() == rules);
            let found = known.next().cloned();
            let view = found.unwrap_or_else(|| Arc::new(View::new(rules.cloned(), shares)));
            if !all.iter().any(|known| Arc::ptr_eq(known, &view)) {
                all.push(Arc::clone(&view));
            }
            view
        };
        let everything = view(None);
        // Without roles everybody sees everything; with them, a stranger nothing.
        let rest = if policy.roles.is_empty() {
            everything
        } else {
            view(Some(&Rules::default()))
        };
        let roles = policy.roles.iter().map(|(name, rules)| {
            let view = view(Some(rules).filter(|rules| !rules.are_open()));
            let known = before.and_then(|it| it.roles.get(name));
            let audience = match known {
                Some(known) => Audience {
                    view,
                    versions: known.versions.clone(),
                },
                None => Audience::new(&view, number),
            };
            (name.clone(), audience)
        });
        Self {
            policy: policy.clone(),
            roles: roles.collect(),
            // Of these some may have a role now: they are to look again.
            rest: Audience::new(&rest, number),
            all,
        }
    }

    fn of(&self, role: &str) -> &Audience {
        self.roles.get(role).unwrap_or(&self.rest)
    }

    fn audiences(&self) -> impl Iterator<Item = &Audience> {
        self.roles.values().chain([&self.rest])
    }
}

impl Views {
    /// The views of `policy`.
    pub(super) fn new(policy: &PolicySettings, shares: &[Share]) -> Self {
        let mut number = 0;
        let table = Table::new(policy, None, shares, &mut number);
        Self {
            now: ArcSwap::from_pointee(table),
            number: Mutex::new(number),
        }
    }

    /// What is there for `role`.
    pub(super) fn of(&self, role: &str) -> Arc<View> {
        self.look(role, Arc::clone)
    }

    /// Looks at what is there for `role`.
    pub(super) fn look<T>(&self, role: &str, look: impl FnOnce(&Arc<View>) -> T) -> T {
        look(&self.now.load().of(role).view)
    }

    /// The numbers of the lists for `role`. They end with the role: who has it is
    /// told by others from then on.
    pub(super) fn versions(&self, role: &str) -> watch::Receiver<Versions> {
        self.now.load().of(role).versions.subscribe()
    }

    /// Takes the lock that building takes; does not come back where it is held for
    /// ever.
    pub(super) fn pulse(&self) {
        drop(self.number());
    }

    /// Everything.
    pub(super) fn whole(&self) -> Arc<View> {
        Arc::clone(&self.now.load().all[0])
    }

    /// Goes over to `policy`; `false` if that is what it is already. Who sees other
    /// lists is told so.
    pub(super) fn turn_to(&self, policy: &PolicySettings, roster: &Roster, pins: &Pins) -> bool {
        let mut number = self.number();
        let before = self.now.load_full();
        if before.policy == *policy {
            return false;
        }
        let table = Table::new(policy, Some(&before), &shares(roster, pins), &mut number);
        let table = Arc::new(table);
        self.now.store(Arc::clone(&table));
        for (name, audience) in &table.roles {
            if let Some(known) = before.roles.get(name) {
                let (new, old) = (audience.view.catalog(), known.view.catalog());
                audience.tell(new.since(&old), &mut number);
            }
        }
        true
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
        let mut number = self.number();
        let shares = shares(roster, pins);
        let old = self.whole().catalog();
        let open = teller.is_some_and(|teller| {
            teller.settings().tools.is_open() && !pins.look(teller, &teller.inventory()).hides_any()
        });
        let table = self.now.load_full();
        for view in &table.all {
            // Of what is hidden one is told nothing, so only a change that shows counts.
            let sees_all = view.rules.is_none();
            let tools = told.tools && open;
            let told = Lists { tools, ..told };
            let changed = view.rebuild(&shares, if sees_all { told } else { Lists::default() });
            let theirs = table.audiences();
            for audience in theirs.filter(|audience| Arc::ptr_eq(&audience.view, view)) {
                audience.tell(changed, &mut number);
            }
        }
        warn_of(&old, &self.whole().catalog());
    }

    /// Whoever holds this is the only one who builds.
    fn number(&self) -> MutexGuard<'_, u64> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the backends of `roster` share, without what `pins` hide.
fn shares(roster: &Roster, pins: &Pins) -> Vec<Share> {
    let backends = roster.now();
    let shares = backends.iter().map(|backend| Share::of(backend, pins));
    shares.collect()
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
