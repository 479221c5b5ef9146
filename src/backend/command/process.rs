//! The process of a command backend, whoever keeps it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::{
    child::Child,
    keeper::{self, Keeper, Kept},
    launch::Ours,
    service::Service,
};
use crate::{
    backend::{BackendError, Tail},
    config::CommandSettings,
};

/// A running command.
#[derive(Debug)]
pub(super) enum Process {
    /// A child of mcpmux's.
    Group(Child),
    /// A service of systemd's.
    Unit(Service),
}

impl Process {
    /// Launches the command, or one client's `instance` of it; gives the ends
    /// of its stdin and stdout as well. Where this is given up half-way, what
    /// was started ends among `keepers`.
    pub(super) async fn launch(
        backend: Arc<str>,
        settings: &CommandSettings,
        instance: Option<u64>,
        keepers: &TaskTracker,
        tail: &Arc<Tail>,
    ) -> Result<(Self, Ours), BackendError> {
        let units = match keeper::choose(&backend, settings).await? {
            Keeper::Group => {
                let (child, ours) = Child::launch(backend, settings, tail)?;
                return Ok((Self::Group(child), ours));
            }
            Keeper::Units(units) => units,
        };
        let (mut done, launched) = oneshot::channel();
        let (settings, tail) = (settings.clone(), Arc::clone(tail));
        keepers.spawn(async move {
            let launched =
                Service::launch(units, backend, settings, instance, &tail, done.closed()).await;
            if let Err(Ok((service, ours))) = done.send(launched) {
                drop(ours);
                service.end().await;
            }
        });
        let gone = |_| BackendError::Launch("mcpmux is stopping".to_owned());
        let (service, ours) = launched.await.map_err(gone)??;
        Ok((Self::Unit(service), ours))
    }

    /// Who keeps it.
    pub(super) fn kept(&self) -> Kept {
        match self {
            Self::Group(child) => Kept::Group(child.group()),
            Self::Unit(service) => Kept::Unit(service.name().into()),
        }
    }

    /// Waits for the main process to end, and says how it did.
    pub(super) async fn exited(&mut self) -> String {
        match self {
            Self::Group(child) => child.exited().await,
            Self::Unit(service) => service.exited().await,
        }
    }

    /// Ends it and all that it has started; its stdin has been closed by the
    /// caller.
    pub(super) async fn end(self) {
        match self {
            Self::Group(child) => child.end().await,
            Self::Unit(service) => service.end().await,
        }
    }
}
