//! Where one call waits for messages that others read for it: bounded, and never
//! in the way of the reader that fills it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{BackendError, exchange::Item};
use crate::protocol::Message;

/// How many notifications may wait for a slow client. What comes beyond is
/// dropped: the pipe is shared, so its reader must not wait for one of many.
const CAPACITY: usize = 1024;

/// The messages of one call, in order.
#[derive(Debug)]
pub(super) struct Mailbox {
    for_client: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    last: Option<Item>,
    dropped: usize,
    waker: Option<Waker>,
}

impl Mailbox {
    /// An empty one; `for_client` if the call is a client's, who can be asked.
    pub(super) fn new(for_client: bool) -> Self {
        Self {
            for_client,
            state: Mutex::default(),
        }
    }

    /// Whether the call is a client's.
    pub(super) fn is_for_client(&self) -> bool {
        self.for_client
    }

    /// Puts in a request; `false` if there was no room for it.
    pub(super) fn put(&self, message: Message) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some() || state.waiting.len() >= CAPACITY {
            return false;
        }
        state.waiting.push_back(message);
        wake(state);
        true
    }

    /// Puts in a notification; `false` if one was dropped for want of room, for
    /// the first time.
    pub(super) fn notify(&self, message: Message) -> bool {
        if self.put(message) {
            return true;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dropped += 1;
        state.dropped > 1
    }

    /// Puts in what ends the call.
    pub(super) fn finish(&self, item: Result<Message, BackendError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_none() {
            state.last = Some(item);
            wake(state);
        }
    }

    /// Takes the next message out.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Item> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = state.waiting.pop_front() {
            return Poll::Ready(Ok(message));
        }
        if let Some(item) = state.last.take() {
            return Poll::Ready(item);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

fn wake(mut state: std::sync::MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
