//! Many backends as one server: what clients are shown, and who answers them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::Guard;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod addressees;
mod bridge;
mod call;
mod caller;
mod catalog;
mod clock;
mod flight;
mod handle;
mod instances;
#[cfg(test)]
mod interleavings;
mod leg;
mod lists;
mod memory;
mod params;
mod parking;
mod pins;
mod questions;
mod relay;
mod reload;
mod roster;
mod rounds;
mod serving;
mod status;
mod subscription;
mod target;
mod tasks;
mod version;
mod views;
mod visits;
mod voice;
mod watching;

pub use caller::Caller;
pub(crate) use catalog::Catalog;
pub use catalog::{Kind, Misfit, Shortened, Shown};
pub use memory::Memory;
pub use pins::{BackendChanges, Matter, MemberChange, Pins, ToolChange};
pub use reload::Difference;
pub(crate) use version::{Changed, Versions};
pub use voice::Voice;
pub(crate) use watching::{Held, Subscriber};
pub use watching::{Sink, Watcher};

use crate::{
    audit::Audit,
    backend::{Backend, Exchange, Introduction, Inventory, Lists, Observer, State},
    config::{Config, ConnectRetry, PolicySettings},
    credential::Logins,
    limits::Limits,
    protocol::{Era, Message, RpcError, method},
};
use addressees::Addressees;
use catalog::Share;
use flight::Commons;
use instances::Instances;
use parking::Parking;
use roster::Roster;
pub(crate) use serving::given_up;
pub use status::BackendStatus;
pub(crate) use target::named_by;
pub(crate) use views::View;
use views::Views;
use visits::Visits;
use watching::Watching;

/// How long after the start a list waits for backends that have neither come up
/// nor failed. Whatever comes later is told by a notification.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// Many backends as one server.
pub struct Mux {
    roster: Roster,
    retry: ConnectRetry,
    watching: Arc<Watching>,
    views: Views,
    /// Tools as they were approved.
    pins: Arc<Pins>,
    activity: watch::Sender<()>,
    started: Instant,
    settled: AtomicBool,
    /// Streams of notifications end.
    closing: CancellationToken,
    /// Calls that are still in flight end, see [`Mux::give_up`].
    given_up: AtomicBool,
    /// What is recorded of each call.
    audit: Arc<Audit>,
    /// How much callers may ask, and backends are asked.
    limits: Arc<Limits>,
    /// Streams of `subscriptions/listen`, each of which has a token.
    listening: TaskTracker,
    /// Calls that wait for their clients' answers.
    parking: Parking,
    /// What calls need, and how many are in flight.
    commons: Arc<Commons>,
    /// Clients that were sent to a login.
    visits: Visits,
    /// What outlives this process has changed of a legacy client.
    clients_noted: Notify,
    /// Backends end.
    stopping: CancellationToken,
    supervisors: Mutex<JoinSet<()>>,
}

impl Mux {
    /// Starts every enabled backend of `config`, with its login of `logins` if it
    /// needs one; does not wait for any.
    ///
    /// Must be called within a Tokio runtime.
    pub fn start(config: &Config, logins: &Logins) -> Arc<Self> {
        let limits = Arc::new(Limits::new(config));
        let audit = Audit::new(&config.audit);
        Self::start_with(config, logins, &Memory::default(), limits, audit)
    }

    /// The same, with what `memory` knows of the backends: clients are shown that
    /// until the backends have come up; and with what is left of `limits`;
    /// `audit` records the calls.
    pub fn start_with(
        config: &Config,
        logins: &Logins,
        memory: &Memory,
        limits: Arc<Limits>,
        audit: Arc<Audit>,
    ) -> Arc<Self> {
        let enabled = config.backends.iter().filter(|settings| settings.enabled);
        let backends = enabled.map(|settings| reload::new(settings, logins, memory));
        let mux = Arc::new(Self::of(
            backends.collect(),
            config.connect_retry,
            audit,
            limits,
            &config.policy,
            memory.pins(),
        ));
        mux.roster.disable(config);
        let mut supervisors = mux
            .supervisors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for backend in mux.backends().iter() {
            mux.serve(&mut supervisors, Arc::clone(backend), None);
        }
        drop(supervisors);
        mux
    }

    /// In front of `backends`, which are not supervised yet.
    fn of(
        backends: Vec<Arc<Backend>>,
        retry: ConnectRetry,
        audit: Arc<Audit>,
        limits: Arc<Limits>,
        policy: &PolicySettings,
        pins: Arc<Pins>,
    ) -> Self {
        let stopping = CancellationToken::new();
        let shares = backends.iter().map(|backend| Share::of(backend, &pins));
        let shares: Vec<_> = shares.collect();
        let addressees = Arc::<Addressees>::default();
        let roster = Roster::of(backends);
        Self {
            views: Views::new(policy, &shares),
            pins,
            watching: Watching::new(&roster, &addressees),
            roster,
            retry,
            activity: watch::Sender::new(()),
            started: Instant::now(),
            settled: AtomicBool::new(false),
            closing: CancellationToken::new(),
            given_up: AtomicBool::new(false),
            audit,
            limits,
            listening: TaskTracker::new(),
            parking: Parking::new(),
            visits: Visits::default(),
            clients_noted: Notify::new(),
            commons: Commons::new(Instances::new(retry, stopping.clone()), addressees),
            stopping,
            supervisors: Mutex::default(),
        }
    }

    /// The enabled backends, in the order of the configuration.
    pub fn backends(&self) -> Arc<Vec<Arc<Backend>>> {
        self.roster.now()
    }

    /// Where is recorded who called what, and who was refused.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// How much callers may ask, and backends are asked.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// What is there for `role`.
    pub(crate) fn view(&self, role: &str) -> Arc<View> {
        self.views.of(role)
    }

    /// Everything that is there for anybody.
    fn catalog(&self) -> Guard<Arc<Catalog>> {
        self.views.whole().catalog()
    }

    /// Everything of this kind that clients of `role` are shown now, or clients who
    /// may use everything, in the order of the list.
    pub fn shown(&self, role: Option<&str>, kind: Kind) -> Vec<Shown> {
        let view = role.map_or_else(|| self.views.whole(), |role| self.view(role));
        view.catalog().shown(kind)
    }

    /// Names that were too long for clients, and what they became.
    pub fn shortened(&self) -> Vec<Shortened> {
        self.catalog().shortened().cloned().collect()
    }

    /// What the configuration says of tools and fits none.
    pub fn misfits(&self) -> Vec<Misfit> {
        self.catalog().misfits().to_vec()
    }

    /// A client without subscriptions, which end with it.
    pub fn watcher(&self) -> Watcher {
        self.watching.watcher()
    }

    /// Says that of a legacy client that has changed which outlives this process.
    pub(crate) fn note_clients(&self) {
        self.clients_noted.notify_one();
    }

    /// Waits until that was said. One waits.
    pub(crate) async fn clients_noted(&self) {
        self.clients_noted.notified().await;
    }

    /// How many calls are under way, those included that wait for their clients.
    pub fn calls(&self) -> usize {
        self.commons.in_flight()
    }

    /// How many streams of `subscriptions/listen` are open.
    pub fn listeners(&self) -> usize {
        self.listening.len()
    }

    /// Whether any call is under way or waits for its client, or a task may run in
    /// a process that would end with mcpmux.
    pub fn is_busy(&self) -> bool {
        let runs_a_task = |backend: &Arc<Backend>| {
            let connection = backend.connected();
            connection.is_some_and(|connection| connection.is_kept())
        };
        self.calls() > 0 || !self.parking.is_empty() || self.backends().iter().any(runs_a_task)
    }

    /// Builds the catalogs anew and, if clients see another one now or a backend, the
    /// `teller`, has `told` of changes, tells them.
    fn rebuild(&self, teller: Option<&Backend>, told: Lists) {
        self.views.rebuild(&self.roster, &self.pins, teller, told);
    }

    /// Says whenever a backend's state or inventory may be another one.
    pub(crate) fn activity(&self) -> watch::Receiver<()> {
        self.activity.subscribe()
    }

    /// Waits until every backend of which nothing is known has come up or failed
    /// once, but not long.
    pub(crate) async fn settled(&self) {
        if self.settled.load(Ordering::Relaxed) {
            return;
        }
        let deadline = self.started + FIRST_LIST;
        for backend in self.backends().iter() {
            if backend.inventory().offers.is_some() {
                continue;
            }
            let mut states = backend.watch();
            let up_or_down = states.wait_for(|state| !matches!(state, State::Starting(_)));
            if timeout_at(deadline, up_or_down).await.is_err() {
                break;
            }
        }
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Passes on a notification of a client in `role`: to the backends that are its own, if
    /// it is a legacy one; one of an extension to the one backend that it can
    /// belong to as well. Others could not tell whose it is.
    pub(crate) fn tell(&self, role: &str, client: Option<&Introduction>, notification: &Message) {
        if let Some(client) = client {
            self.commons.instances.tell(client, notification);
        }
        let method = notification.method().unwrap_or_default();
        if method::is_own_notification(method) {
            return;
        }
        let subject = method.strip_prefix("notifications/").unwrap_or(method);
        let owner = self.sole_backend(&self.view(role), subject);
        if let Some(connection) = owner.and_then(|owner| owner.connected()) {
            connection.tell(bridge::notification(connection.era(), notification));
        }
    }

    /// Answers the request `message` of `caller`.
    pub fn request(self: &Arc<Self>, caller: Caller, message: Message) -> Exchange {
        let Some(id) = message.id().cloned() else {
            return Exchange::ready(Err(crate::backend::BackendError::NoResponse));
        };
        let role = caller.principal.role();
        match (message.method().unwrap_or_default(), caller.era()) {
            (method::DISCOVER, Era::Modern) => self.discover(role, &id),
            (method::LISTEN, Era::Modern) => self.listen(&caller.principal, &message),
            (method::SUBSCRIBE, Era::Legacy) => self.subscribe(caller, message),
            (method::UNSUBSCRIBE, Era::Legacy) => self.unsubscribe(&caller, &message),
            (method::PING, Era::Legacy) => Exchange::ready(Ok(Message::success(&id, "{}"))),
            (method::TASKS_LIST, Era::Legacy) if self.has_tasks(&self.view(role)) => {
                self.list_tasks(&caller, id)
            }
            (relayed, _) if !method::is_own(relayed) => self.relay(caller, message),
            (own, era) => match lists::list(own) {
                Some(list) => self.list(list, era, id, &caller.principal, &message),
                None => Exchange::ready(Ok(Message::failure(
                    Some(&id),
                    &RpcError::method_not_found(own),
                ))),
            },
        }
    }
}

impl Observer for Weak<Mux> {
    async fn offers(&self, backend: &Backend, inventory: &Arc<Inventory>) {
        let pins = self.upgrade().map(|mux| Arc::clone(&mux.pins));
        if let Some(pins) = pins {
            pins.meet(backend, inventory).await;
        }
    }

    fn offer_changed(&self, backend: &Backend, told: Lists) {
        if let Some(mux) = self.upgrade() {
            mux.rebuild(Some(backend), told);
        }
    }

    fn state_changed(&self) {
        if let Some(mux) = self.upgrade() {
            mux.activity.send_replace(());
        }
    }

    fn session_began(&self, backend: &Backend) {
        if let Some(mux) = self.upgrade() {
            mux.watching.session_began(backend);
        }
    }
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mux")
            .field("backends", &self.roster)
            .finish_non_exhaustive()
    }
}
