//! Backends of which each client has its own (`session: client`): started when
//! a client first calls them, ended when it goes, bounded in number. A modern
//! client has no session, so each of its calls has one to itself while it lasts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio::{runtime::Handle, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::Caller;
use crate::{
    backend::{Backend, BackendError, Connection, Introduction, Lists, Observer},
    config::{ConnectRetry, SessionSetting},
    protocol::{Era, Message},
};

/// The most that one backend may have of its own at once.
const MAX: usize = 64;

/// How long one that served a modern client waits for the next call.
const IDLE: Duration = Duration::from_secs(60);

/// The backends that clients have of their own.
pub(super) struct Instances {
    retry: ConnectRetry,
    stopping: CancellationToken,
    /// Where mcpmux began.
    runtime: Option<Handle>,
    tasks: TaskTracker,
    table: Mutex<HashMap<Key, Instance>>,
}

/// Whose it is: of which backend, and of which client or call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    backend: Arc<str>,
    client: u64,
}

struct Instance {
    backend: Arc<Backend>,
    client: Arc<Introduction>,
    /// Since when no call of a modern client has it; `None` while one has, and
    /// where it is a legacy client's.
    free: Option<Instant>,
}

/// The use of a backend of one's own; dropped, a modern client's next call may
/// have it.
pub(super) struct Lease {
    instances: Weak<Instances>,
    key: Option<Key>,
}

/// Nobody is told what becomes of one: its lists are those of the shared one.
struct Nobody;

impl Observer for Nobody {
    fn offer_changed(&self, _backend: &Backend, _told: Lists) {}

    fn state_changed(&self) {}
}

impl Instances {
    /// None yet; all end with `stopping`.
    pub(super) fn new(retry: ConnectRetry, stopping: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            retry,
            stopping,
            runtime: Handle::try_current().ok(),
            tasks: TaskTracker::new(),
            table: Mutex::default(),
        })
    }

    /// The connection over which `caller` is to call `backend`: its own, where
    /// it has one. Waits up to `patience` for it to start.
    pub(super) async fn connect(
        self: &Arc<Self>,
        backend: &Arc<Backend>,
        caller: &Caller,
        request: &Message,
        patience: Duration,
    ) -> Result<(Arc<Connection>, Option<Lease>), BackendError> {
        let shared = backend.connection(patience).await?;
        if backend.settings().session == SessionSetting::Shared || shared.era() == Era::Modern {
            return Ok((shared, None));
        }
        let (own, key) = if let Some(client) = &caller.introduction {
            (self.of_client(backend, client)?, None)
        } else {
            let (own, key) = self.of_call(backend, request)?;
            (own, Some(key))
        };
        let lease = Lease {
            instances: Arc::downgrade(self),
            key,
        };
        Ok((own.connection(patience).await?, Some(lease)))
    }

    /// The one of a legacy client.
    fn of_client(
        self: &Arc<Self>,
        backend: &Arc<Backend>,
        client: &Arc<Introduction>,
    ) -> Result<Arc<Backend>, BackendError> {
        let key = Key {
            backend: backend.name().into(),
            client: client.number,
        };
        let mut table = self.table();
        if let Some(instance) = table.get(&key) {
            return Ok(Arc::clone(&instance.backend));
        }
        self.start(&mut table, key, backend, Arc::clone(client))
    }

    /// One that no other call has.
    fn of_call(
        self: &Arc<Self>,
        backend: &Arc<Backend>,
        request: &Message,
    ) -> Result<(Arc<Backend>, Key), BackendError> {
        let (info, abilities) = super::params::introduction(request);
        let mut table = self.table();
        let suits = |key: &Key, instance: &Instance| {
            instance.free.is_some()
                && *key.backend == *backend.name()
                && instance.client.abilities == abilities
                && instance.client.info.as_deref().map(RawValue::get)
                    == info.as_deref().map(RawValue::get)
        };
        let free = table
            .iter_mut()
            .find(|(key, instance)| suits(key, instance));
        if let Some((key, instance)) = free {
            instance.free = None;
            return Ok((Arc::clone(&instance.backend), key.clone()));
        }
        let client = Arc::new(Introduction::new(info, abilities, CancellationToken::new()));
        let key = Key {
            backend: backend.name().into(),
            client: client.number,
        };
        let own = self.start(&mut table, key.clone(), backend, client)?;
        Ok((own, key))
    }

    fn start(
        self: &Arc<Self>,
        table: &mut HashMap<Key, Instance>,
        key: Key,
        backend: &Arc<Backend>,
        client: Arc<Introduction>,
    ) -> Result<Arc<Backend>, BackendError> {
        let unavailable = |detail| BackendError::Unavailable {
            backend: backend.name().to_owned(),
            detail,
        };
        // Looked at under the table's lock: what is begun before is retired with it.
        if backend.is_retired() {
            return Err(unavailable("it is no longer configured".to_owned()));
        }
        let of_same = |other: &&Key| other.backend == key.backend;
        if table.keys().filter(of_same).count() >= MAX {
            // One that waits for a call makes room for one that is needed.
            let idle = table
                .iter()
                .find(|(other, instance)| of_same(other) && instance.free.is_some())
                .map(|(other, _)| other.clone());
            let Some(idle) = idle.and_then(|idle| table.remove(&idle)) else {
                return Err(unavailable(format!(
                    "{MAX} clients have one of their own already (session: client)"
                )));
            };
            idle.client.gone.cancel();
        }
        let own = Arc::new(backend.for_client(Arc::clone(&client)));
        debug!(
            backend = backend.name(),
            client = client.number,
            "a client gets its own"
        );
        let stop = self.stopping.child_token();
        let (instances, supervised) = (Arc::downgrade(self), Arc::clone(&own));
        let (gone, retry, ended) = (client.gone.clone(), self.retry, key.clone());
        let supervise = async move {
            let supervising = supervised.serve(retry, stop.clone(), &Nobody);
            tokio::pin!(supervising);
            tokio::select! {
                () = &mut supervising => return,
                () = Self::idle(instances.clone(), ended.clone()) => {}
                () = gone.cancelled() => {}
            }
            if let Some(instances) = instances.upgrade() {
                instances.table().remove(&ended);
            }
            stop.cancel();
            supervising.await;
        };
        // Where mcpmux began, not where the call came from: it outlives that.
        match &self.runtime {
            Some(runtime) => self.tasks.spawn_on(supervise, runtime),
            None => self.tasks.spawn(supervise),
        };
        let instance = Instance {
            backend: Arc::clone(&own),
            client,
            free: None,
        };
        table.insert(key, instance);
        Ok(own)
    }

    /// Retires those of `backend`: the next call of each client gets another one.
    /// Calls in flight have `drain` to finish.
    pub(super) fn retire(&self, backend: &str, drain: Duration) {
        self.table().retain(|key, instance| {
            let retires = *key.backend == *backend;
            if retires {
                instance.backend.retire(drain);
            }
            !retires
        });
    }

    /// Sends a notification of `client` to the backends that it has of its own.
    pub(super) fn tell(&self, client: &Introduction, notification: &Message) {
        let own: Vec<_> = self
            .table()
            .iter()
            .filter(|(key, _)| key.client == client.number)
            .map(|(_, instance)| Arc::clone(&instance.backend))
            .collect();
        for backend in own {
            if let Some(connection) = backend.connected() {
                connection.tell(notification.clone());
            }
        }
    }

    /// Takes the table's lock.
    pub(super) fn pulse(&self) {
        drop(self.table());
    }

    /// Waits until all have ended; they do once `stopping`.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The call that had it is over.
    fn release(&self, key: &Key) {
        if let Some(instance) = self.table().get_mut(key) {
            instance.free = Some(Instant::now());
        }
    }

    /// Waits until `key` has been free for long, and takes it out.
    async fn idle(instances: Weak<Self>, key: Key) {
        loop {
            sleep(IDLE).await;
            let Some(instances) = instances.upgrade() else {
                return;
            };
            let mut table = instances.table();
            let free = table.get(&key).and_then(|instance| instance.free);
            if free.is_some_and(|since| since.elapsed() >= IDLE) {
                table.remove(&key);
                return;
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Instance>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(key), Some(instances)) = (self.key.take(), self.instances.upgrade()) {
            instances.release(&key);
        }
    }
}
