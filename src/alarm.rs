//! A timer for what hardly ever takes too long. A task that waits for one such thing
//! after the other, or for one within another, has one for all: it is set anew for
//! each, and the runtime hears of that only when it goes off too early.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

tokio::task_local! {
    /// The one of the task.
    static SHARED: RefCell<Timer>;
}

/// `work` with one timer for all that waits in it, each wait polled by the task's own
/// waker: none of it may be woken by itself.
pub(crate) fn shared<W: Future>(work: W) -> impl Future<Output = W::Output> {
    SHARED.scope(RefCell::default(), work)
}

/// What `work` gives before `deadline`; `None` if that passes first.
pub(crate) async fn within<W: Future>(deadline: Instant, work: W) -> Option<W::Output> {
    let (mut work, mut alarm) = (pin!(work), Alarm::default());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => alarm.poll(deadline, cx).map(|()| None),
    })
    .await
}

/// What ends a wait: the task's timer, or one of its own where that has none.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Timer);

#[derive(Debug, Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Alarm {
    /// Ready once `deadline` has passed; wakes the task of `cx` then, and may wake it
    /// earlier.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        SHARED
            .try_with(|timer| timer.borrow_mut().poll(deadline, cx))
            .unwrap_or_else(|_| self.0.poll(deadline, cx))
    }
}

impl Timer {
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
            self.waker = None;
        }
        let heard = |waker: &Waker| waker.will_wake(cx.waker());
        if self.waker.as_ref().is_some_and(heard) && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        // Whatever the task has done in this turn: it must be heard.
        while pin!(unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                self.waker = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        time::Duration,
    };

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_its_own_deadline() {
        let waits = async || {
            let start = Instant::now();
            for until in [5, 20, 8, 30] {
                let deadline = start + SECOND * until;
                // One that is far off is not waited for: the next is earlier than it.
                if until == 20 {
                    assert_eq!(within(deadline, sleep(SECOND)).await, Some(()));
                    continue;
                }
                assert_eq!(within(deadline, pending::<()>()).await, None);
                assert_eq!(start.elapsed(), SECOND * until);
            }
        };
        waits().await;
        shared(waits()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_in_time_leaves_no_deadline() {
        let start = Instant::now();
        shared(async {
            let soon = within(start + SECOND, sleep(SECOND / 2)).await;
            assert_eq!(soon, Some(()));
            let later = within(start + SECOND * 9, sleep(SECOND * 5)).await;
            assert_eq!(later, Some(()));
            // What has passed has passed, but who is done at once is done.
            assert_eq!(within(start, ready(1)).await, Some(1));
            assert_eq!(within(start, pending::<()>()).await, None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_waits_within_each_other_each_has_its_end() {
        let start = Instant::now();
        shared(async {
            let inner = within(start + SECOND * 2, pending::<()>());
            let outer = within(start + SECOND * 9, async {
                assert_eq!(inner.await, None);
                assert_eq!(start.elapsed(), SECOND * 2);
                pending::<()>().await;
            });
            assert_eq!(outer.await, None);
            assert_eq!(start.elapsed(), SECOND * 9);
            let long = within(start + SECOND * 30, pending::<()>());
            assert_eq!(within(start + SECOND * 20, long).await, None);
            assert_eq!(start.elapsed(), SECOND * 20);
        })
        .await;
    }
}
