//! The end of a backend that the configuration does not name any more, or not so:
//! no new call finds it, those in flight finish, then it ends.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Backend, Down, Inventory, Observer, State, command::Kept, link::Way};
use crate::config::{BackendSettings, ConnectRetry, Start};

/// Whether a backend is one of the configuration's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Service {
    /// It is.
    #[default]
    Serving,
    /// It is not: its calls have until then.
    Retiring(Instant),
    /// All of it is gone.
    Ended,
}

impl Backend {
    /// Keeps the backend connected until `stop`, or until it is
    /// [retired](Self::retire) and its calls are over; then ends it, and returns
    /// when every process of it is gone.
    pub(crate) async fn serve(
        &self,
        retry: ConnectRetry,
        stop: CancellationToken,
        observer: &impl Observer,
    ) {
        let supervising = self.supervise(retry, stop.clone(), observer);
        tokio::pin!(supervising);
        let mut service = self.service.subscribe();
        let retiring = tokio::select! {
            biased;
            deadline = deadline(&mut service) => Some(deadline),
            () = &mut supervising => None,
        };
        if let Some(deadline) = retiring {
            let drained = tokio::select! {
                _ = timeout_at(deadline, self.drained()) => true,
                () = &mut supervising => false,
            };
            if drained {
                stop.cancel();
                self.close(observer);
                supervising.await;
            }
            info!(backend = self.name(), "no longer configured, it has ended");
        }
        self.service.send_replace(Service::Ended);
    }

    /// The configuration does not name it any more. Its calls in flight have
    /// `drain` to finish.
    pub(crate) fn retire(&self, drain: Duration) {
        self.service.send_if_modified(|service| {
            let news = *service == Service::Serving;
            if news {
                *service = Service::Retiring(Instant::now() + drain);
            }
            news
        });
    }

    /// Whether the configuration does not name it any more.
    pub(crate) fn is_retired(&self) -> bool {
        *self.service.borrow() != Service::Serving
    }

    /// Waits until all of it is gone.
    pub(crate) async fn ended(&self) {
        let mut service = self.service.subscribe();
        // As long as this is here, so is the other end.
        let _ = service.wait_for(|service| *service == Service::Ended).await;
    }

    /// Whether another one of its name can be started only once it has ended: a
    /// unit of systemd's has its name for itself.
    pub(crate) fn keeps_its_name(&self) -> bool {
        let is_command = matches!(&*self.way, Ok(Way::Command(_)));
        let in_group = |up: &super::Connection| matches!(up.link.kept(), Some(Kept::Group(_)));
        is_command && !self.connected().is_some_and(|up| in_group(&up))
    }

    /// Takes these settings, under which its connection
    /// [stays](BackendSettings::connects_like) as it is.
    pub(crate) fn settle(&self, settings: BackendSettings) {
        let before = self.settings.swap(Arc::new(settings));
        self.settled.notify_waiters();
        let is_eager = self.settings().start == Start::Eager;
        if is_eager && before.start == Start::Lazy && matches!(self.state(), State::Idle(_)) {
            self.needed.notify_one();
        }
    }

    /// Takes the place of `before`. Until it is up it is taken to offer the same;
    /// if `alike`, it is reached as that was, and speaks its era. What a person
    /// has stopped stays so. Of use before it is served only.
    pub(crate) fn succeed(&self, before: &Self, alike: bool) {
        if !before.orders.wants_run() {
            self.orders.stop();
        }
        let inventory = Inventory::clone(&before.inventory());
        let era = before.connected().map(|up| up.era());
        match era.or_else(|| before.recalled.get().copied()) {
            Some(era) if alike && !before.has_inherited() => self.recall(inventory, era),
            _ => {
                self.inventory.store(Arc::new(inventory));
                self.inherited.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether what it offers is not known of itself.
    pub(super) fn has_inherited(&self) -> bool {
        self.inherited.load(Ordering::Relaxed) && !self.tally.has_started()
    }

    /// Waits until no call uses its connection; nobody can begin to, then.
    async fn drained(&self) {
        if let Some(connection) = self.connected() {
            connection.usage.drained().await;
        }
    }

    /// Who calls it from now on is told that it is gone.
    fn close(&self, observer: &impl Observer) {
        if let Some(connection) = self.connected() {
            connection.usage.shut();
        }
        let down = Down {
            reason: "it is no longer configured".into(),
            since: Instant::now(),
            next: None,
        };
        self.set(State::Down(down), observer);
    }
}

/// Waits until it is to end, and says when that must be.
async fn deadline(service: &mut watch::Receiver<Service>) -> Instant {
    loop {
        if let Service::Retiring(deadline) = *service.borrow_and_update() {
            return deadline;
        }
        if service.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
