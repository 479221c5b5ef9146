//! Units that mcpmux has its service manager start and keep: transient
//! services, each with a control group of its own that ends as a whole.
//!
//! The manager is asked over D-Bus. A connection that is lost, as when the
//! manager executes itself anew, is made again; the units do not notice.

mod bus;
mod hardening;
mod name;
mod service;
mod standing;

use std::{path::Path, sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tracing::{debug, warn};
use zbus::MessageStream;

pub use bus::UnitError;
use bus::{Bus, value};
pub use service::{SLICE, Service};
use standing::{Phase, SERVICE, Standing, Table, UNIT};

use crate::config::{CommandLimits, Environment};

/// How long a connection that was lost may take to come back before who needs
/// it is told so.
const WITHOUT: Duration = Duration::from_secs(5);

/// The pauses before a lost connection is tried again: from and to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long a start may take, the manager's own limit included.
const TO_START: Duration = Duration::from_secs(15);

/// How long a unit of the same name may take to end.
const TO_FREE: Duration = Duration::from_secs(10);

/// The unit of `backend` where mcpmux is the service `own`.
pub fn backend_unit(own: &str, backend: &str) -> String {
    name::unit(&name::prefix(own), backend, None)
}

/// A service manager that starts units for mcpmux.
#[derive(Debug)]
pub struct Units {
    address: String,
    /// The service that mcpmux itself is, if it is one.
    own: Option<String>,
    prefix: String,
    bus: watch::Sender<Option<Bus>>,
    table: Table,
}

impl Units {
    /// The manager that this process is a service of, else any that can be
    /// reached. What an earlier run of the same service left is ended.
    ///
    /// Call it within a Tokio runtime that lasts as long as the value is used.
    pub async fn find(environment: &Environment) -> Result<Arc<Self>, UnitError> {
        let is_root = rustix::process::geteuid().is_root();
        let mut found = None;
        let mut trouble = UnitError::Unreachable("there is no message bus".to_owned());
        for address in bus::addresses(environment, is_root) {
            match Bus::connect(&address).await {
                Ok((bus, signals)) => {
                    let own = bus.own_service().await;
                    let is_own = own.is_some();
                    if is_own || found.is_none() {
                        found = Some((address, own, bus, signals));
                    }
                    if is_own {
                        break;
                    }
                }
                Err(error) => trouble = error,
            }
        }
        let (address, own, bus, signals) = found.ok_or(trouble)?;
        let prefix = match &own {
            Some(own) => name::prefix(own),
            // Units of a run in a terminal beside a service's.
            None => name::prefix(&format!("mcpmux-{}", std::process::id())),
        };
        if own.is_some() {
            end_leftovers(&bus, &prefix).await;
        }
        let units = Arc::new(Self {
            address,
            own,
            prefix,
            bus: watch::Sender::new(Some(bus)),
            table: Table::default(),
        });
        tokio::spawn(Arc::clone(&units).listen(signals));
        Ok(units)
    }

    /// The service that mcpmux itself is, if it is one of this manager.
    pub fn own(&self) -> Option<&str> {
        self.own.as_deref()
    }

    /// What matches the units of all backends, for `systemctl` and `journalctl`.
    pub fn pattern(&self) -> String {
        format!("{}*", self.prefix)
    }

    /// Starts `service` for `backend`, or for one client's `instance` of it.
    /// Waits until its program runs, and for a unit of the same name to end. A
    /// start that has not begun by the time that it is `given_up` is called off.
    pub async fn start(
        self: &Arc<Self>,
        backend: &str,
        instance: Option<u64>,
        service: &Service<'_>,
        given_up: impl Future<Output = ()>,
    ) -> Result<Unit, UnitError> {
        let name = name::unit(&self.prefix, backend, instance);
        let privileged = rustix::process::geteuid().is_root();
        let properties = service
            .properties(self.own.as_deref(), privileged)
            .map_err(UnitError::Refused)?;
        let bus = self.bus().await?;
        // Units are started without what they depend on (see `Bus::start`).
        bus.start_known(service::SLICE).await?;
        if let Some(mut before) = self.table.find(&name) {
            let _ = timeout(TO_FREE, before.wait_for(|unit| unit.phase == Phase::Gone)).await;
        }
        let mut unit = self.enter(name.clone());
        let job = match bus.start(&name, &properties).await {
            Err(UnitError::Exists(_)) => {
                // Nobody keeps it: another run's, or one that is just going.
                let _ = bus.stop(&name).await;
                unit.wait_until(Phase::Gone, TO_FREE).await;
                unit = self.enter(name.clone());
                bus.start(&name, &properties).await
            }
            done => done,
        }?;
        let begun = tokio::select! {
            begun = unit.begun(&job) => begun,
            () = given_up => {
                let _ = bus.cancel(&job).await;
                unit.begun(&job).await
            }
        };
        if begun.result_of(&job) == Some("done") {
            return Ok(unit);
        }
        let _ = bus.kill(&name, Signal::KILL).await;
        Err(UnitError::Failed(begun.said()))
    }

    /// The memory that the unit `name` uses, in bytes; `None` where systemd does not
    /// know, as without the controller.
    pub async fn memory(&self, name: &str) -> Option<u64> {
        let bus = self.bus().await.ok()?;
        let service = bus.properties(&name::object(name), SERVICE).await.ok()?;
        let memory = u64::try_from(service.get("MemoryCurrent")?).ok()?;
        (memory != u64::MAX).then_some(memory)
    }

    fn enter(self: &Arc<Self>, name: String) -> Unit {
        Unit {
            standing: self.table.enter(&name),
            units: Arc::clone(self),
            name,
        }
    }

    /// The connection, or why there is none.
    async fn bus(&self) -> Result<Bus, UnitError> {
        let mut bus = self.bus.subscribe();
        let there = timeout(WITHOUT, bus.wait_for(Option::is_some)).await;
        match there {
            Ok(Ok(bus)) => bus.clone().ok_or_else(gone),
            _ => Err(gone()),
        }
    }

    /// Reads the manager's signals, and connects anew when they end.
    async fn listen(self: Arc<Self>, mut signals: MessageStream) {
        loop {
            while let Some(Ok(signal)) = signals.next().await {
                self.table.hear(&signal);
                let reloading = signal
                    .header()
                    .member()
                    .is_some_and(|it| *it == "Reloading");
                let bus = self.bus.borrow().clone();
                if let (true, Some(bus)) = (reloading, bus) {
                    // It was silent meanwhile.
                    self.look(&bus).await;
                }
            }
            self.bus.send_replace(None);
            debug!("the connection to systemd is lost");
            let mut pause = PAUSES.0;
            signals = loop {
                sleep(pause).await;
                match Bus::connect(&self.address).await {
                    Ok((bus, signals)) => {
                        self.look(&bus).await;
                        self.bus.send_replace(Some(bus));
                        break signals;
                    }
                    Err(error) => debug!("{error}"),
                }
                pause = (pause * 2).min(PAUSES.1);
            };
        }
    }

    /// Looks at every unit, after signals that nobody heard.
    async fn look(&self, bus: &Bus) {
        for object in self.table.objects() {
            let service = bus.properties(&object, SERVICE).await.unwrap_or_default();
            let unit = bus.properties(&object, UNIT).await.unwrap_or_default();
            self.table.tell(&object, |standing| {
                standing.take(SERVICE, |name| value(&service, name));
                standing.take(UNIT, |name| value(&unit, name));
                let loaded = value(&unit, "LoadState");
                if standing.phase == Phase::Ended || loaded.is_none() {
                    standing.phase = Phase::Gone;
                }
            });
        }
    }
}

/// Ends units of an earlier run that was killed before it could.
async fn end_leftovers(bus: &Bus, prefix: &str) {
    let left = bus.matching(&format!("{prefix}*.service")).await;
    for name in left.unwrap_or_default() {
        debug!("{name} was left by an earlier run");
        let _ = bus.stop(&name).await;
    }
}

fn gone() -> UnitError {
    UnitError::Unreachable("the connection is lost".to_owned())
}

/// A unit that was started and is followed until this is dropped.
#[derive(Debug)]
pub struct Unit {
    units: Arc<Units>,
    name: String,
    standing: watch::Receiver<Standing>,
}

impl Unit {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the end of the `job` that starts it, and says how it is then.
    async fn begun(&mut self, job: &str) -> Standing {
        // It is "inactive" before it starts as well: only the job says more.
        let ended = self
            .standing
            .wait_for(|standing| standing.result_of(job).is_some());
        match timeout(TO_START, ended).await {
            Ok(Ok(standing)) => standing.clone(),
            _ => Standing::default(),
        }
    }

    /// Waits until its main process has ended, and says how.
    pub async fn exited(&mut self) -> String {
        let ending = |standing: &Standing| standing.phase >= Phase::Ending;
        let said = self.standing.wait_for(ending).await;
        let said = said.map(|standing| standing.said()).ok();
        match said {
            Some(said) => said,
            // The table keeps the other end as long as this is there.
            None => std::future::pending().await,
        }
    }

    /// Waits until none of its processes is left and its name is free; `false`
    /// if that takes longer than `patience`.
    pub async fn gone_within(&mut self, patience: Duration) -> bool {
        self.wait_until(Phase::Gone, patience).await
    }

    /// Sends a signal to each of its processes.
    pub async fn kill(&self, signal: Signal) {
        let killed = match self.units.bus().await {
            Ok(bus) => bus.kill(&self.name, signal).await,
            Err(error) => Err(error),
        };
        match killed {
            // It has ended meanwhile.
            Ok(()) | Err(UnitError::Refused(_)) => {}
            Err(error) => warn!("{} cannot be ended: {error}", self.name),
        }
    }

    /// Those of `limits` that cannot hold, for want of the controller that
    /// would have to be delegated to the manager; none where that is not known.
    pub async fn without_effect(&self, limits: CommandLimits) -> Vec<&'static str> {
        let wanted = [
            ("memory", "memory", limits.memory),
            ("tasks", "pids", limits.tasks),
            ("cpu", "cpu", limits.cpu),
        ];
        let Some(there) = self.controllers().await else {
            return Vec::new();
        };
        let missing = wanted.into_iter().filter(|(_, controller, limit)| {
            limit.is_some() && !there.split_whitespace().any(|one| one == *controller)
        });
        missing.map(|(limit, ..)| limit).collect()
    }

    /// The controllers of its control group.
    async fn controllers(&self) -> Option<String> {
        let bus = self.units.bus().await.ok()?;
        let object = name::object(&self.name);
        let service = bus.properties(&object, SERVICE).await.ok()?;
        let group = <&str>::try_from(service.get("ControlGroup")?).ok()?;
        let group = group.trim_start_matches('/').to_owned();
        let file = Path::new("/sys/fs/cgroup")
            .join(group)
            .join("cgroup.controllers");
        tokio::task::spawn_blocking(move || std::fs::read_to_string(file).ok())
            .await
            .ok()?
    }

    async fn wait_until(&mut self, phase: Phase, patience: Duration) -> bool {
        let there = self.standing.wait_for(|standing| standing.phase >= phase);
        timeout(patience, there).await.is_ok()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.units.table.leave(&self.name, &self.standing);
    }
}
