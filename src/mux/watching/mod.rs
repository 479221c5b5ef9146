//! Subscriptions to resources, counted: a backend is subscribed to with a
//! resource's first subscriber and unsubscribed from with its last, and its
//! updates go to exactly its subscribers.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{runtime::Handle, sync::oneshot};
use tracing::{debug, warn};

mod grant;
mod inbox;
mod recall;
mod request;
mod table;
mod update;

use super::{addressees::Addressees, roster::Roster};
use crate::{
    backend::{Backend, BackendError, Refused, Updates},
    protocol::Message,
};
pub(super) use grant::{RESOURCES as RESOURCE_SUBSCRIPTIONS, named};
use inbox::Inbox;
pub(crate) use recall::Held;
pub(crate) use table::Subscriber;
use table::{Alias, Full, Outcome, Place, Step, Table};
use update::Update;
pub(super) use update::tagged;

/// Where a client's updates go. Must not block.
pub trait Sink: Send + Sync + fmt::Debug {
    /// The resource that the client knows as `uri` has changed; `message` says so.
    fn updated(&self, uri: &str, message: &Message);
}

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Watching {
    roster: Roster,
    addressees: Arc<Addressees>,
    table: Mutex<Table>,
    clients: AtomicU64,
}

/// A client's subscriptions, which end with this.
#[derive(Debug)]
pub struct Watcher {
    watching: Arc<Watching>,
    client: u64,
}

/// Why a client is not subscribed.
#[derive(Debug)]
pub(super) enum Unwatched {
    /// The backend does not do it.
    Refused(Refused),
    /// There are too many subscriptions.
    Full(Full),
}

impl Watching {
    /// No subscriptions at the backends of `roster`, which tell of their updates
    /// from now on, and `addressees` of what clients have begun there.
    pub(super) fn new(roster: &Roster, addressees: &Arc<Addressees>) -> Arc<Self> {
        let watching = Arc::new(Self {
            roster: roster.clone(),
            addressees: Arc::clone(addressees),
            table: Mutex::default(),
            clients: AtomicU64::new(0),
        });
        for backend in roster.now().iter() {
            watching.follow(backend);
        }
        watching
    }

    /// `backend` tells of its updates from now on. Whoever is subscribed at its
    /// name is subscribed at it once it is up.
    pub(super) fn follow(self: &Arc<Self>, backend: &Backend) {
        backend.tell(Teller {
            watching: Arc::downgrade(self),
            addressees: Arc::clone(&self.addressees),
            backend: backend.name().into(),
        });
    }

    /// A client without subscriptions.
    pub(super) fn watcher(self: &Arc<Self>) -> Watcher {
        Watcher {
            watching: Arc::clone(self),
            client: self.clients.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The session with a backend is a new one: subscribes anew.
    pub(super) fn session_began(self: &Arc<Self>, backend: &Backend) {
        if !self.is_there(backend) {
            return;
        }
        let places = self.table().at(backend.name());
        for place in places {
            self.drive(&place);
        }
    }

    /// Subscribes to `uri` of `backend`, which the subscriber knows with `alias`
    /// before it; gives what the backend answered. With `lasting` a backend
    /// that cannot be asked is asked once it can.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        subscriber: &Subscriber,
        backend: &Arc<Backend>,
        uri: &str,
        alias: &str,
        lasting: bool,
    ) -> Result<(), Unwatched> {
        let place = Place {
            backend: backend.name().into(),
            uri: uri.into(),
        };
        let alias: Alias = alias.into();
        let new = self.table().join(&place, &alias, subscriber);
        // Whoever stops waiting for the answer is not subscribed.
        let joined = Joined {
            watching: self,
            place: &place,
            alias: &alias,
            client: subscriber.client,
            keep: !new.map_err(Unwatched::Full)?,
        };
        if let Err(error) = backend.connection(backend.settings().timeout).await {
            return joined.outcome(Err(Refused::Failed(error)), lasting);
        }
        let (teller, told) = oneshot::channel();
        if self.claim(&place, teller) {
            // In step already.
            return joined.outcome(Ok(()), lasting);
        }
        let outcome = told.await.unwrap_or_else(|_| {
            let error = BackendError::Closed("mcpmux is stopping".into());
            Err(Refused::Failed(error))
        });
        joined.outcome(outcome, lasting)
    }

    /// Ends a subscription, wherever `uri` is subscribed to as what the client
    /// knows it.
    fn unsubscribe(self: &Arc<Self>, client: u64, uri: &str) {
        let held = self.table().of(client);
        for (place, alias) in held {
            if uri.strip_prefix(&*alias) == Some(&*place.uri) {
                self.leave(&place, &alias, client);
            }
        }
    }

    /// Ends the subscriptions of those whose role `may` not have them: it is asked
    /// with the role, the backend and the URI.
    pub(super) fn end_beyond(self: &Arc<Self>, may: impl Fn(&str, &str, &str) -> bool) {
        let beyond = self.table().beyond(may);
        for (client, place, alias) in beyond {
            self.leave(&place, &alias, client);
        }
    }

    fn leave(self: &Arc<Self>, place: &Place, alias: &Alias, client: u64) {
        if self.table().leave(place, alias, client) {
            self.drive(place);
        }
    }

    /// Has `teller` told what becomes of `place`; `true` if there is nothing to
    /// wait for.
    fn claim(self: &Arc<Self>, place: &Place, teller: oneshot::Sender<Outcome>) -> bool {
        let session = self.session(&place.backend);
        let mut table = self.table();
        match table.claim(place, session) {
            None => return true,
            Some(ours) => {
                table.wait(place, teller);
                drop(table);
                if ours {
                    self.spawn(place);
                }
            }
        }
        false
    }

    /// Gets `place` in step with its backend, if nobody does.
    fn drive(self: &Arc<Self>, place: &Place) {
        let session = self.session(&place.backend);
        let ours = self.table().claim(place, session);
        if ours == Some(true) {
            self.spawn(place);
        }
    }

    fn spawn(self: &Arc<Self>, place: &Place) {
        if let Ok(runtime) = Handle::try_current() {
            let (watching, place) = (Arc::clone(self), place.clone());
            runtime.spawn(async move { watching.take_steps(&place).await });
        }
    }

    async fn take_steps(&self, place: &Place) {
        loop {
            let backend = self.roster.named(&place.backend);
            let limit = backend.as_ref().map(|backend| backend.settings().timeout);
            let limit = limit.unwrap_or_default();
            let connection = backend.and_then(|backend| backend.connected());
            let session = connection.as_ref().map(|connection| connection.session());
            let step = self.table().step(place, session);
            match (step, connection) {
                (Step::Subscribe, Some(connection)) => {
                    let outcome = connection.subscribe(&place.uri, limit).await;
                    let done = outcome.is_ok();
                    let (waiting, again) = self.table().subscribed(place, session, done);
                    match &outcome {
                        // What happened since it was last subscribed to was not said.
                        Ok(()) if again => self.tell(&place.backend, &Update::of(&place.uri)),
                        Err(refused) if waiting.is_empty() => {
                            warn!(
                                backend = &*place.backend,
                                uri = &*place.uri,
                                "it does not tell of updates any more: {refused:?}"
                            );
                        }
                        _ => {}
                    }
                    for teller in waiting {
                        let _ = teller.send(outcome.clone());
                    }
                }
                (Step::Unsubscribe, Some(connection)) => {
                    if let Err(refused) = connection.unsubscribe(&place.uri, limit).await {
                        debug!(
                            backend = &*place.backend,
                            uri = &*place.uri,
                            "cannot unsubscribe: {refused:?}"
                        );
                    }
                    self.table().unsubscribed(place);
                }
                (Step::Rest(waiting, known), _) => {
                    for teller in waiting {
                        let outcome = if known {
                            Ok(())
                        } else {
                            let error = BackendError::Closed("it was lost meanwhile".into());
                            Err(Refused::Failed(error))
                        };
                        let _ = teller.send(outcome);
                    }
                    // A session that began meanwhile found somebody at work.
                    let now = self.session(&place.backend);
                    if now == session || self.table().claim(place, now) != Some(true) {
                        return;
                    }
                }
                // Steps are asked for only of a backend that is up.
                (_, None) => return,
            }
        }
    }

    fn tell(&self, backend: &str, update: &Update) {
        let subscribers = self.table().subscribers(backend, &update.uri);
        for (sink, alias) in subscribers {
            let (uri, message) = update.known_as(&alias);
            sink.updated(&uri, &message);
        }
    }

    /// The session with the backend of this name.
    fn session(&self, backend: &str) -> Option<(u64, u64)> {
        Some(self.roster.named(backend)?.connected()?.session())
    }

    /// Whether `backend` is the one that has its name.
    fn is_there(&self, backend: &Backend) -> bool {
        let there = self.roster.named(backend.name());
        there.is_some_and(|there| std::ptr::eq(Arc::as_ptr(&there), backend))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// A watcher of nothing.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Watching::new(&Roster::default(), &Arc::default()).watcher()
    }

    /// The client, which has `role`, as a subscriber that takes its updates at `sink`.
    pub(crate) fn subscriber(&self, role: &str, sink: Weak<dyn Sink>) -> Subscriber {
        Subscriber {
            client: self.client,
            role: role.into(),
            sink,
        }
    }

    /// Ends every subscription of the client.
    pub(crate) fn end(&self) {
        let held = self.watching.table().of(self.client);
        for (place, alias) in held {
            self.watching.leave(&place, &alias, self.client);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

/// A subscriber that was counted in, but has not heard from the backend.
struct Joined<'a> {
    watching: &'a Arc<Watching>,
    place: &'a Place,
    alias: &'a Alias,
    client: u64,
    keep: bool,
}

impl Joined<'_> {
    fn outcome(mut self, outcome: Outcome, lasting: bool) -> Result<(), Unwatched> {
        let waits = lasting && matches!(outcome, Err(Refused::Failed(_)));
        self.keep |= outcome.is_ok() || waits;
        outcome.or_else(|refused| {
            if waits {
                Ok(())
            } else {
                Err(Unwatched::Refused(refused))
            }
        })
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.watching.leave(self.place, self.alias, self.client);
        }
    }
}

/// Hands on what one backend tells.
struct Teller {
    watching: Weak<Watching>,
    addressees: Arc<Addressees>,
    backend: Arc<str>,
}

impl Updates for Teller {
    fn updated(&self, message: &Message) {
        let Some(watching) = self.watching.upgrade() else {
            return;
        };
        if let Some(update) = Update::read(message) {
            watching.tell(&self.backend, &update);
        } else {
            debug!("an update that names no resource");
        }
    }

    fn addressed(&self, message: &Message) {
        self.addressees.tell(message);
    }

    fn missed(&self) {
        let Some(watching) = self.watching.upgrade() else {
            return;
        };
        let places = watching.table().at(&self.backend);
        for place in places {
            watching.tell(&self.backend, &Update::of(&place.uri));
        }
    }
}
