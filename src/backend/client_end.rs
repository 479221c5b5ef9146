//! What the two ends of a request tell each other beside its messages: the
//! client why it cancels it, the backend that it goes on later.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// The client's end of a request, which travels with it to the backend. The
/// default one carries nothing.
#[derive(Debug, Clone, Default)]
pub struct ClientEnd(Option<Arc<State>>);

#[derive(Debug, Default)]
struct State {
    reason: OnceLock<String>,
    /// 0: none. 1: one without a time. Beyond: 2 more than the time.
    pause: AtomicU64,
    withdrawn: Mutex<Withdrawn>,
}

/// Whether the client no longer wants the response, and who is to hear of it.
#[derive(Debug)]
enum Withdrawn {
    Not(Option<Waker>),
    Yes,
}

impl Default for Withdrawn {
    fn default() -> Self {
        Self::Not(None)
    }
}

/// The backend has ended its stream in the course of the request, which goes on
/// once it is asked for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// How long it wants one to wait before that, in milliseconds.
    pub retry: Option<u64>,
}

impl ClientEnd {
    /// One that carries what is said.
    pub fn open() -> Self {
        Self(Some(Arc::default()))
    }

    /// Gives the `reason`, JSON text, why the request is cancelled; the exchange
    /// is to be dropped after that. What is said first counts.
    pub fn cancel(&self, reason: &str) {
        if let Some(state) = &self.0 {
            let _ = state.reason.set(reason.to_owned());
        }
    }

    /// The client no longer wants the response; the exchange is to be dropped.
    pub fn withdraw(&self) {
        if let Some(state) = &self.0 {
            let before = std::mem::replace(&mut *state.withdrawn(), Withdrawn::Yes);
            if let Withdrawn::Not(Some(waker)) = before {
                waker.wake();
            }
        }
    }

    /// Ready once the client no longer wants the response. Who looked last is woken then.
    pub fn poll_withdrawn(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(state) = &self.0 else {
            return Poll::Pending;
        };
        match &mut *state.withdrawn() {
            Withdrawn::Yes => Poll::Ready(()),
            Withdrawn::Not(waker) => {
                if !waker
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(cx.waker()))
                {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The pause that the backend has begun since this was asked last. It is
    /// said while the exchange is being polled, after all that came before it.
    pub fn take_pause(&self) -> Option<Pause> {
        let state = self.0.as_ref()?;
        if state.pause.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let said = state.pause.swap(0, Ordering::Relaxed);
        (said > 0).then(|| Pause {
            retry: said.checked_sub(2),
        })
    }

    /// Says that the backend pauses.
    pub(super) fn pause(&self, pause: Pause) {
        if let Some(state) = &self.0 {
            let said = pause.retry.map_or(1, |retry| retry.saturating_add(2));
            state.pause.store(said, Ordering::Relaxed);
        }
    }

    /// The parameters of a `notifications/cancelled` for the request `id`.
    pub(super) fn cancelled(&self, id: u64) -> String {
        let reason = self.0.as_ref().and_then(|state| state.reason.get());
        let reason = reason.map_or("\"no longer wanted\"", String::as_str);
        format!("{{\"requestId\":{id},\"reason\":{reason}}}")
    }
}

impl State {
    fn withdrawn(&self) -> MutexGuard<'_, Withdrawn> {
        self.withdrawn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looked_last_hears_that_a_request_is_withdrawn() {
        let client = ClientEnd::open();
        let mut looking = std::pin::pin!(std::future::poll_fn(|cx| client.poll_withdrawn(cx)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(looking.as_mut().poll(&mut cx).is_pending());
        client.clone().withdraw();
        assert!(looking.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn a_pause_is_told_once() {
        let client = ClientEnd::open();
        assert_eq!(client.take_pause(), None);
        for retry in [None, Some(0), Some(1000)] {
            client.pause(Pause { retry });
            assert_eq!(client.take_pause(), Some(Pause { retry }));
            assert_eq!(client.take_pause(), None);
        }
        let deaf = ClientEnd::default();
        deaf.pause(Pause { retry: None });
        assert_eq!(deaf.take_pause(), None);
    }
}
