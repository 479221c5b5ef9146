//! Who uses a connection, so that one without use can be ended without a call
//! that has just begun being cut off.

use std::{
    collections::HashSet,
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::Connection;

/// Set once nobody may begin to use it any more.
const CLOSED: u64 = 1 << 63;

/// A user of any kind: counted in the lower half.
const USER: u64 = 1;

/// A call, which is a user: counted in the upper half as well.
const CALL: u64 = 1 << 32 | USER;

/// The use of one connection.
#[derive(Debug)]
pub(super) struct Usage {
    /// How many use it now, as [`USER`] and [`CALL`] have it.
    users: AtomicU64,
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
            users: AtomicU64::new(0),
            kept: AtomicBool::new(false),
            uris: Mutex::default(),
            left: Mutex::new(Instant::now()),
            leaving: Notify::new(),
        }
    }
}

/// One use of a connection for a call; it lasts until dropped.
#[derive(Debug)]
pub(crate) struct Use {
    connection: Arc<Connection>,
    counted: bool,
}

impl Use {
    /// Begins to use `connection`, whether it is about to be ended or not.
    pub(crate) fn of(connection: Arc<Connection>) -> Self {
        Self {
            counted: connection.usage.enter(CALL),
            connection,
        }
    }

    /// Whether what is used is not ended before the use is.
    pub(crate) fn is_safe(&self) -> bool {
        self.counted
    }
}

impl Deref for Use {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.counted {
            self.connection.usage.leave(CALL);
        }
    }
}

impl Usage {
    /// Whether it may still be used.
    pub(super) fn is_open(&self) -> bool {
        self.users.load(Ordering::Acquire) & CLOSED == 0
    }

    /// It is in use for as long as somebody is subscribed to `uri`.
    pub(super) fn subscribed(&self, uri: &str) {
        let mut uris = self.uris.lock().unwrap_or_else(PoisonError::into_inner);
        if !uris.contains(uri) && self.enter(USER) {
            uris.insert(uri.into());
        }
    }

    /// Nobody is subscribed to `uri` any more.
    pub(super) fn unsubscribed(&self, uri: &str) {
        let mut uris = self.uris.lock().unwrap_or_else(PoisonError::into_inner);
        if uris.remove(uri) {
            self.leave(USER);
        }
    }

    /// It is in use from now on.
    pub(super) fn keep(&self) {
        if !self.kept.swap(true, Ordering::AcqRel) {
            self.enter(USER);
        }
    }

    /// Whether it is in use for good.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    /// How many calls use it.
    pub(super) fn calls(&self) -> u64 {
        (self.users.load(Ordering::Acquire) & !CLOSED) >> 32
    }

    /// One more `user` uses it; false if it is about to be ended.
    fn enter(&self, user: u64) -> bool {
        // Not looked at first: others change it all the time.
        let is_open = self.users.fetch_add(user, Ordering::AcqRel) & CLOSED == 0;
        if !is_open {
            self.users.fetch_sub(user, Ordering::AcqRel);
        }
        is_open
    }

    /// A `user` has left.
    fn leave(&self, user: u64) {
        if self.users.fetch_sub(user, Ordering::AcqRel) & !CLOSED == user {
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
                self.leave(USER);
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
        assert!(usage.enter(CALL));
        usage.leave(CALL);
        // The time begins anew with the last that leaves.
        assert!(!is_idle(&usage, Duration::from_secs(59)).await);
        assert!(is_idle(&usage, Duration::from_secs(2)).await);
        assert!(!usage.enter(CALL));
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
        assert!(usage.enter(CALL));
        usage.leave(CALL);
        assert!(!is_idle(&usage, TIME * 10).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_drained_waits_for_calls_and_not_for_subscriptions() {
        let usage = Arc::<Usage>::default();
        usage.subscribed("a");
        assert!(usage.enter(CALL));
        let drained = tokio::spawn({
            let usage = Arc::clone(&usage);
            async move { usage.drained().await }
        });
        assert!(!is_idle(&usage, TIME * 10).await);
        assert!(!drained.is_finished() && usage.is_open());
        usage.unsubscribed("a");
        usage.leave(CALL);
        drained.await.unwrap();
        assert!(!usage.enter(CALL));
        usage.subscribed("b");
        usage.unsubscribed("b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_is_not_idle_however_long_that_takes() {
        let usage = Arc::<Usage>::default();
        assert!(usage.enter(CALL) && usage.enter(USER) && usage.enter(CALL));
        assert_eq!(usage.calls(), 2);
        usage.leave(CALL);
        usage.leave(USER);
        assert_eq!(usage.calls(), 1);
        assert!(!is_idle(&usage, TIME * 10).await);
        usage.leave(CALL);
        assert!(is_idle(&usage, TIME * 2).await);
    }
}
