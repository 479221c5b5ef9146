//! Who uses a connection, so that one without use can be ended without a call
//! that has just begun being cut off.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Set once nobody may begin to use it any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The use of one connection.
#[derive(Debug)]
pub(crate) struct Usage {
    /// How many use it now.
    users: AtomicUsize,
    /// It is in use for good.
    kept: AtomicBool,
    /// What somebody is subscribed to.
    uris: Mutex<HashSet<Box<str>>>,
    /// When the last one left.
    left: Mutex<Instant>,
    /// Somebody has left.
    leaving: Notify,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            users: AtomicUsize::new(0),
            kept: AtomicBool::new(false),
            uris: Mutex::default(),
            left: Mutex::new(Instant::now()),
            leaving: Notify::new(),
        }
    }
}

/// One use; it lasts until dropped.
#[derive(Debug)]
pub(crate) struct Use(Arc<Usage>);

impl Usage {
    /// Begins to use it; `None` if it is about to be ended.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Use> {
        self.pin().then(|| Use(Arc::clone(self)))
    }

    /// Whether it may still be used.
    pub(super) fn is_open(&self) -> bool {
        self.users.load(Ordering::Acquire) & CLOSED == 0
    }

    /// It is in use for as long as somebody is subscribed to `uri`.
    pub(super) fn subscribed(&self, uri: &str) {
        let mut uris = self.uris.lock().unwrap_or_else(PoisonError::into_inner);
        if !uris.contains(uri) && self.pin() {
            uris.insert(uri.into());
        }
    }

    /// Nobody is subscribed to `uri` any more.
    pub(super) fn unsubscribed(&self, uri: &str) {
        let mut uris = self.uris.lock().unwrap_or_else(PoisonError::into_inner);
        if uris.remove(uri) {
            self.unpin();
        }
    }

    /// It is in use from now on.
    pub(super) fn keep(&self) {
        if !self.kept.swap(true, Ordering::AcqRel) {
            self.pin();
        }
    }

    /// Whether it is in use for good.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    /// One more uses it; false if it is about to be ended.
    fn pin(&self) -> bool {
        let more = |users| (users & CLOSED == 0).then_some(users + 1);
        self.users
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// One that used it has left.
    fn unpin(&self) {
        let fewer = |users: usize| (users & !CLOSED > 0).then(|| users - 1);
        let before = self
            .users
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        if before.is_ok_and(|users| users & !CLOSED == 1) {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            self.leaving.notify_waiters();
        }
    }

    /// Waits until nobody has used it for `time`, and closes it to new users.
    pub(super) async fn idle(&self, time: Duration) {
        loop {
            let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
            sleep_until(left + time).await;
            let leaving = self.leaving.notified();
            let now = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
            if self.users.load(Ordering::Acquire) > 0 {
                leaving.await;
            } else if now == left && self.close() {
                return;
            }
        }
    }

    /// Waits until nobody uses it, subscriptions aside, and closes it to new users.
    pub(super) async fn drained(&self) {
        while self.is_open() {
            let leaving = self.leaving.notified();
            let uris =
                std::mem::take(&mut *self.uris.lock().unwrap_or_else(PoisonError::into_inner));
            for _ in &uris {
                self.unpin();
            }
            if self.close() {
                return;
            }
            leaving.await;
        }
    }

    /// Nobody may begin to use it any more, whoever uses it now.
    pub(super) fn shut(&self) {
        self.users.fetch_or(CLOSED, Ordering::AcqRel);
    }

    fn close(&self) -> bool {
        self.users
            .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.unpin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(60);

    async fn is_idle(usage: &Arc<Usage>, within: Duration) -> bool {
        tokio::time::timeout(within, usage.idle(TIME)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_idle_after_a_time_and_then_closed() {
        let usage = Arc::<Usage>::default();
        assert!(!is_idle(&usage, Duration::from_secs(59)).await);
        assert!(usage.enter().is_some());
        // The time begins anew with the last that leaves.
        assert!(!is_idle(&usage, Duration::from_secs(59)).await);
        assert!(is_idle(&usage, Duration::from_secs(2)).await);
        assert!(usage.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_is_a_use_until_it_ends() {
        let usage = Arc::<Usage>::default();
        usage.subscribed("a");
        usage.subscribed("a");
        usage.unsubscribed("b");
        assert!(!is_idle(&usage, TIME * 10).await);
        usage.unsubscribed("a");
        assert!(is_idle(&usage, TIME * 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_never_idle() {
        let usage = Arc::<Usage>::default();
        usage.keep();
        usage.keep();
        drop(usage.enter());
        assert!(!is_idle(&usage, TIME * 10).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_drained_waits_for_calls_and_not_for_subscriptions() {
        let usage = Arc::<Usage>::default();
        usage.subscribed("a");
        let call = usage.enter();
        let drained = tokio::spawn({
            let usage = Arc::clone(&usage);
            async move { usage.drained().await }
        });
        assert!(!is_idle(&usage, TIME * 10).await);
        assert!(!drained.is_finished() && usage.is_open());
        usage.unsubscribed("a");
        drop(call);
        drained.await.unwrap();
        assert!(usage.enter().is_none());
        usage.subscribed("b");
        usage.unsubscribed("b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_is_not_idle_however_long_that_takes() {
        let usage = Arc::<Usage>::default();
        let (first, second) = (usage.enter(), usage.enter());
        drop(first);
        assert!(!is_idle(&usage, TIME * 10).await);
        drop(second);
        assert!(is_idle(&usage, TIME * 2).await);
    }
}
