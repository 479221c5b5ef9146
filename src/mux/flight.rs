//! A call in flight: counted, and with a hold of what it needs of the mux on its way.

use std::sync::Arc;

use super::{addressees::Addressees, instances::Instances, tasks::Tasks};

/// The most calls in flight at once, those included whose clients went away.
const MAX: usize = 10_000;

/// What calls share, held together so that one hold is enough.
pub(super) struct Commons {
    /// Backends of which each client has its own.
    pub(super) instances: Arc<Instances>,
    /// Who began which task where.
    pub(super) tasks: Tasks,
    /// Whom what backends tell of tasks and visits is for.
    pub(super) addressees: Arc<Addressees>,
}

/// One call; it is in flight until this is dropped.
pub(super) struct Flight(Arc<Commons>);

impl Commons {
    pub(super) fn new(instances: Arc<Instances>, addressees: Arc<Addressees>) -> Arc<Self> {
        Arc::new(Self {
            instances,
            tasks: Tasks::default(),
            addressees,
        })
    }

    /// How many calls are in flight: so many hold this beside its owner.
    pub(super) fn in_flight(self: &Arc<Self>) -> usize {
        Arc::strong_count(self) - 1
    }

    /// One more call; `None` if there are too many.
    pub(super) fn take_off(self: &Arc<Self>) -> Option<Flight> {
        let flight = Flight(Arc::clone(self));
        (self.in_flight() <= MAX).then_some(flight)
    }
}

impl std::ops::Deref for Flight {
    type Target = Commons;

    fn deref(&self) -> &Commons {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::config::ConnectRetry;

    #[test]
    fn calls_are_counted_and_too_many_refused() {
        let retry = ConnectRetry {
            enabled: false,
            max_delay: Duration::ZERO,
            attempt_timeout: Duration::ZERO,
        };
        let instances = Instances::new(retry, CancellationToken::new());
        let commons = Commons::new(instances, Arc::default());
        let mut flights: Vec<_> = (0..MAX).map(|_| commons.take_off()).collect();
        assert!(flights.iter().all(Option::is_some));
        assert!(commons.take_off().is_none());
        assert_eq!(commons.in_flight(), MAX);
        flights.pop();
        assert!(commons.take_off().is_some());
        drop(flights);
        assert_eq!(commons.in_flight(), 0);
    }
}
