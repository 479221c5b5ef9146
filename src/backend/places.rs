//! How many calls may be in flight over one connection (`limits.concurrency`):
//! those beyond wait in the order in which they came, and not too many of them.
//! What a backend asks in the course of a call needs no place.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// The most calls that wait for a place at one connection.
pub(super) const MAX_WAITING: usize = 256;

/// The places of one connection.
#[derive(Debug)]
pub(crate) struct Places(Option<Limit>);

#[derive(Debug)]
struct Limit {
    most: u32,
    /// Hands its permits out in the order in which they were asked for.
    free: Arc<Semaphore>,
    waiting: Semaphore,
}

/// A call's place; it is free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why a call got no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// So many are in flight, and as many wait already as may.
    Crowded(u32),
    /// So many are in flight, and none has ended in time.
    Late(u32),
    /// The connection is gone: there may be another one.
    Gone,
}

impl Places {
    /// So many, or as many as anybody wants.
    pub(super) fn new(most: Option<u32>) -> Self {
        Self(most.map(|most| Limit {
            most,
            free: Arc::new(Semaphore::new(most as usize)),
            waiting: Semaphore::new(MAX_WAITING),
        }))
    }

    /// A place, if one is free and nobody waits for it.
    pub(crate) fn free(&self) -> Option<Place> {
        let Some(limit) = &self.0 else {
            return Some(Place { _permit: None });
        };
        let permit = Arc::clone(&limit.free).try_acquire_owned().ok()?;
        Some(Place {
            _permit: Some(permit),
        })
    }

    /// A place for a call, which waits for one until `deadline`.
    pub(super) async fn take(&self, deadline: Instant) -> Result<Place, NoPlace> {
        if let Some(place) = self.free() {
            return Ok(place);
        }
        let Some(limit) = &self.0 else {
            return Err(NoPlace::Gone);
        };
        let Ok(_waiting) = limit.waiting.try_acquire() else {
            return Err(NoPlace::Crowded(limit.most));
        };
        match timeout_at(deadline, Arc::clone(&limit.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place {
                _permit: Some(permit),
            }),
            Ok(Err(_)) => Err(NoPlace::Gone),
            Err(_) => Err(NoPlace::Late(limit.most)),
        }
    }

    /// How many calls wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        let limit = self.0.as_ref();
        limit.map_or(0, |limit| MAX_WAITING - limit.waiting.available_permits())
    }

    /// Sends away who waits: the connection is gone.
    pub(super) fn close(&self) {
        if let Some(limit) = &self.0 {
            limit.free.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn places_go_to_those_who_came_first() {
        let places = Places::new(Some(1));
        let held = places.take(soon()).await.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = Box::pin(places.take(soon()));
        let mut gone = Box::pin(places.take(soon()));
        let mut last = Box::pin(places.take(soon()));
        for waiting in [&mut first, &mut gone, &mut last] {
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(places.waiting(), 3);
        drop(held);
        // Nobody overtakes who waits.
        let mut late = pin!(places.take(soon()));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert!(last.as_mut().poll(&mut cx).is_pending());
        drop(gone);
        let Poll::Ready(Ok(held)) = first.as_mut().poll(&mut cx) else {
            panic!("the first has no place");
        };
        drop(held);
        let Poll::Ready(Ok(_held)) = last.as_mut().poll(&mut cx) else {
            panic!("the last has no place");
        };
        assert_eq!(late.await.unwrap_err(), NoPlace::Late(1));
        assert_eq!(places.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let places = Arc::new(Places::new(Some(2)));
        let _held = [places.take(soon()).await, places.take(soon()).await];
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| Box::pin(places.take(soon())))
            .collect();
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(places.take(soon()).await.unwrap_err(), NoPlace::Crowded(2));
        drop(waiting.pop());
        let mut next = pin!(places.take(soon()));
        assert!(next.as_mut().poll(&mut cx).is_pending());
        places.close();
        assert_eq!(next.await.unwrap_err(), NoPlace::Gone);
    }

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let places = Places::new(None);
        let past = Instant::now();
        let all: Vec<_> = [places.take(past).await, places.take(past).await].into();
        places.close();
        assert!(all.iter().all(Result::is_ok) && places.take(past).await.is_ok());
    }
}
