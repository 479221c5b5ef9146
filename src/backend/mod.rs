//! One backend as the rest of the house sees it: a name, a state, an inventory
//! and a way to send it requests. Knows nothing of other backends or of clients.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};
use tokio_util::task::TaskTracker;

mod attempt;
mod calls;
mod circuit;
mod client_end;
pub mod command;
mod deliver;
mod ear;
mod error;
mod exchange;
mod handshake;
mod health;
mod hearing;
mod http;
mod introduction;
mod inventory;
mod level;
mod link;
mod listening;
mod login;
mod mailbox;
mod offers;
mod order;
mod pause;
mod places;
mod reach;
mod rest;
mod retirement;
mod state;
#[cfg(test)]
mod stub;
mod subscribe;
mod supervisor;
mod tail;
mod tally;
pub(crate) mod unasked;
mod unit;
mod unwaited;
mod usage;
mod wish;

pub use client_end::{ClientEnd, Pause};
pub(crate) use ear::Updates;
use ear::{Ear, Told};
pub use error::BackendError;
pub(crate) use error::logs_in;
pub use exchange::{Exchange, Item};
use health::Health;
pub(crate) use health::UnderWay;
pub use introduction::Introduction;
pub(crate) use introduction::{Answer, Aside};
pub(crate) use inventory::{Definition, Inventory, Lists, Tool};
use level::Lowest;
pub(crate) use link::Link;
use link::Way;
pub(crate) use offers::Offers;
use order::Orders;
pub(crate) use places::{NoPlace, Place, Places};
use retirement::Service;
pub(crate) use state::{Down, Observer, State};
pub(crate) use subscribe::Refused;
use tail::Tail;
pub(crate) use tally::Tally;
use unasked::Unasked;
use unit::Size;
use unwaited::Unwaited;
use usage::Usage;
pub(crate) use usage::Use;
use wish::Wishes;

use crate::{
    config::{BackendSettings, EraSetting},
    credential::Login,
    protocol::{Era, Revision},
};

/// A backend: its settings, and what its supervisor keeps up to date.
pub struct Backend {
    settings: ArcSwap<BackendSettings>,
    /// Its settings were replaced under its connection.
    settled: Notify,
    name: Arc<str>,
    way: Arc<Result<Way, String>>,
    /// Whose it is, if not all clients'.
    client: Option<Arc<Introduction>>,
    state: watch::Sender<State>,
    /// The connection of a state that has one: each call begins with it, and takes no
    /// lock for it.
    up: ArcSwapOption<Connection>,
    inventory: ArcSwap<Inventory>,
    /// The era in which an earlier run spoke to it.
    recalled: OnceLock<Era>,
    /// That era was called in question.
    doubted: AtomicBool,
    /// What it offers is what the one before it offered.
    inherited: AtomicBool,
    /// Whether it is still one of the configuration's.
    service: watch::Sender<Service>,
    /// Who is told when its resources change.
    told: Told,
    /// Processes that are being ended.
    keepers: TaskTracker,
    /// Asks the supervisor to try again now.
    retry: Notify,
    /// Tells the supervisor that the inventory is stale.
    stale: Notify,
    /// Somebody needs it.
    needed: Notify,
    /// What a person wants of it.
    orders: Orders,
    tally: Tally,
    /// What its processes wrote last, those of its clients' own included.
    tail: Arc<Tail>,
}

/// A connection that has shaken hands.
#[derive(Debug)]
pub struct Connection {
    pub(crate) link: Link,
    pub(crate) revision: Revision,
    /// What it can do.
    pub(crate) offers: Arc<Offers>,
    pub(crate) server: Option<String>,
    backend: Arc<str>,
    /// No other connection has this number.
    number: u64,
    wishes: Wishes,
    /// Requests about subscriptions that may be under way at once.
    asking: Semaphore,
    unwaited: Unwaited,
    /// Who uses it.
    usage: Usage,
    /// Calls that may be in flight at once.
    pub(crate) places: Places,
    /// Whether it still answers.
    pub(crate) health: Health,
    /// The lowest level of log messages that it was asked for.
    level: Lowest,
}

impl Connection {
    /// Over `link`, after the handshake.
    fn new(
        link: Link,
        revision: Revision,
        offers: Arc<Offers>,
        server: Option<String>,
        backend: Arc<str>,
        places: Places,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            link,
            revision,
            offers,
            server,
            backend,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            wishes: Wishes::default(),
            asking: Semaphore::new(subscribe::AT_ONCE),
            unwaited: Unwaited::default(),
            usage: Usage::default(),
            places,
            health: Health::default(),
            level: Lowest::default(),
        }
    }

    /// A place for a call over it, once one is free; [`NoPlace::Gone`] if it is lost
    /// meanwhile, and then nobody begins to use it any more.
    pub(crate) async fn place(&self, deadline: Instant) -> Result<Place, NoPlace> {
        let place = self.places.take(deadline).await?;
        if self.link.is_lost() {
            self.usage.shut();
            return Err(NoPlace::Gone);
        }
        Ok(place)
    }

    /// Ends it. Who waits for a place at it, or comes now, finds what comes after it.
    async fn end(&self) {
        self.usage.shut();
        self.places.close();
        self.link.end().await;
    }

    /// It is not ended for want of use any more: a task runs there, of whose end
    /// nobody need hear.
    pub(crate) fn keep(&self) {
        self.usage.keep();
    }

    /// Whether a task was begun there that would end with the process.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.link, Link::Command(_)) && self.usage.is_kept()
    }

    /// The era that the backend speaks.
    pub(crate) fn era(&self) -> Era {
        self.revision.era()
    }

    /// Asks something on mcpmux's own account; gives the result, JSON text.
    pub(crate) async fn query(
        &self,
        method: &str,
        params: serde_json::Value,
    ) -> Result<String, BackendError> {
        handshake::query(&self.link, self.revision, method, params).await
    }
}

impl Backend {
    /// A backend that is not connected to anything before [`supervise`](Self::supervise).
    /// Its requests carry what `login` gives, if there is one.
    pub(crate) fn new(settings: BackendSettings, login: Option<Arc<Login>>) -> Self {
        let way = Way::of(&settings, login);
        Self::reached(Arc::new(way), settings)
    }

    fn reached(way: Arc<Result<Way, String>>, settings: BackendSettings) -> Self {
        Self {
            name: settings.name.as_str().into(),
            way,
            client: None,
            settings: ArcSwap::from_pointee(settings),
            settled: Notify::new(),
            state: watch::Sender::new(State::starting()),
            up: ArcSwapOption::empty(),
            inventory: ArcSwap::default(),
            recalled: OnceLock::new(),
            doubted: AtomicBool::new(false),
            inherited: AtomicBool::new(false),
            service: watch::Sender::default(),
            told: Told::default(),
            keepers: TaskTracker::new(),
            retry: Notify::new(),
            stale: Notify::new(),
            needed: Notify::new(),
            orders: Orders::default(),
            tally: Tally::default(),
            tail: Arc::default(),
        }
    }

    /// The same backend, for `client` alone: a process or session of its own,
    /// with the same credential. It keeps no inventory.
    pub(crate) fn for_client(&self, client: Arc<Introduction>) -> Self {
        Self {
            client: Some(client),
            tail: Arc::clone(&self.tail),
            ..Self::reached(
                Arc::clone(&self.way),
                BackendSettings::clone(&self.settings()),
            )
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its login, if a person may have to consent.
    pub(crate) fn login(&self) -> Option<Arc<Login>> {
        let way = self.way.as_ref().as_ref().ok()?;
        way.credential()?.login().cloned()
    }

    /// Its settings as they are now, to be looked at and not to be kept.
    pub fn settings(&self) -> Guard<Arc<BackendSettings>> {
        self.settings.load()
    }

    /// What it is doing right now.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// From now on it is in `state`.
    fn turn(&self, state: State) {
        self.up.store(match &state {
            State::Up(connection, _) => Some(Arc::clone(connection)),
            _ => None,
        });
        self.state.send_replace(state);
    }

    /// Has `updates` told when its resources change; who is named first counts.
    pub(crate) fn tell(&self, updates: impl Updates + 'static) {
        let _ = self.told.set(Box::new(updates));
    }

    /// Follows what it is doing.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// What it offered last, whether it is up or not.
    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        self.inventory.load_full()
    }

    /// What it offered in an earlier run, and the era in which it did. Of use
    /// before it is supervised only.
    pub(crate) fn recall(&self, inventory: Inventory, era: Era) {
        self.inventory.store(Arc::new(inventory));
        let _ = self.recalled.set(era);
    }

    /// Whether `error` may come from an era that only an earlier run has seen;
    /// asked once.
    fn is_another(&self, error: &BackendError) -> bool {
        use BackendError::{Closed, Protocol, Refused, Status};
        let answered = matches!(
            error,
            Refused { .. } | Protocol(_) | Closed(_) | Status { .. }
        );
        answered
            && self.settings().era == EraSetting::Auto
            && !self.doubted.swap(true, Ordering::Relaxed)
    }

    /// Whether there is a way to it, as long as the configuration is as it is.
    pub(crate) fn is_possible(&self) -> bool {
        self.way.is_ok()
    }

    /// Has it started, if it was stopped.
    pub fn start(&self) {
        self.orders.run(false);
    }

    /// Has it ended, and not started again before it is told.
    pub fn stop(&self) {
        self.orders.stop();
    }

    /// Has it ended and started again.
    pub fn restart(&self) {
        self.orders.run(true);
    }

    /// What its processes wrote to stderr last.
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// How its calls went.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Has it tried again at once, if it is down.
    pub(crate) fn retry_now(&self) {
        self.retry.notify_one();
    }

    /// The tool `name` as its lists have it now: asked for anew, because what is
    /// known of it proved wrong. `None` if it is not there or cannot be read.
    pub(crate) async fn relisted(&self, name: &str) -> Option<Arc<Tool>> {
        let connection = self.connected()?;
        let tools = inventory::tools(self.name(), &connection.link, connection.revision)
            .await
            .ok()?;
        self.stale.notify_one();
        tools.into_iter().find(|tool| tool.name == name)
    }

    /// Its connection, if it is up.
    pub(crate) fn connected(&self) -> Option<Arc<Connection>> {
        self.up.load_full()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
