//! A timer for what hardly ever takes too long: it is set anew for each thing that is
//! waited for, and the runtime hears of that only when it goes off too early.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer of one task, which waits for one thing at a time.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Mutex<Option<Pin<Box<Sleep>>>>);

impl Alarm {
    /// Ready once `deadline` has passed; wakes the task of `cx` then, and may wake it
    /// for an earlier deadline that it has asked for.
    pub(crate) fn poll(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let timer = kept.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// What `work` gives before `deadline`; `None` if that passes first.
    pub(crate) async fn within<W: Future>(&self, deadline: Instant, work: W) -> Option<W::Output> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(deadline, cx).map(|()| None),
        })
        .await
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
        let (alarm, start) = (Alarm::default(), Instant::now());
        for until in [5, 20, 8, 30] {
            let deadline = start + SECOND * until;
            // One that is far off is not waited for: the next is earlier than it.
            if until == 20 {
                assert_eq!(alarm.within(deadline, sleep(SECOND)).await, Some(()));
                continue;
            }
            assert_eq!(alarm.within(deadline, pending::<()>()).await, None);
            assert_eq!(start.elapsed(), SECOND * until);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_in_time_leaves_no_deadline() {
        let (alarm, start) = (Alarm::default(), Instant::now());
        let soon = alarm.within(start + SECOND, sleep(SECOND / 2)).await;
        assert_eq!(soon, Some(()));
        let later = alarm.within(start + SECOND * 9, sleep(SECOND * 5)).await;
        assert_eq!(later, Some(()));
        // What has passed has passed, but who is done at once is done.
        assert_eq!(alarm.within(start, ready(1)).await, Some(1));
        assert_eq!(alarm.within(start, pending::<()>()).await, None);
    }
}
