//! What goes to a legacy client on one stream, its session's or a call's, and
//! who reads it: a client that lost its stream takes up again where it left off
//! (2025-11-25, `basic/transports`, Resumability and Redelivery). One that was
//! never used takes no memory of its own.

use std::{
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::ring::{EventId, Ring};
use crate::protocol::Message;

/// One stream's outbox.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Option<Box<State>>>);

type Slot<'a> = MutexGuard<'a, Option<Box<State>>>;

#[derive(Debug, Default)]
struct State {
    /// The call whose stream it is for, if not its session's.
    call: Option<u64>,
    ring: Ring,
    /// The number of the newest event that was ever sent.
    sent: u64,
    /// How many readers there were; the last one reads.
    readers: u64,
    waker: Option<Waker>,
    /// Nothing more comes.
    ended: bool,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The event's id.
    pub(super) id: EventId,
    /// The message; empty for an event that only carries its id.
    pub(super) message: Bytes,
}

/// Who reads an outbox, until another one does.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    number: u64,
    /// The number of the last event that it had.
    had: u64,
}

impl Outbox {
    /// The outbox of a session's call.
    pub(super) fn of_call(number: u64) -> Self {
        Self(Mutex::new(Some(Box::new(State {
            call: Some(number),
            ..State::default()
        }))))
    }

    /// The outbox of a session of an earlier run, whose events had numbers up to
    /// `number` at most: one that a client still names is of that run.
    pub(super) fn above(number: u64) -> Self {
        Self(Mutex::new(Some(Box::new(State {
            ring: Ring::above(number),
            sent: number,
            ..State::default()
        }))))
    }

    /// Puts in a message.
    pub(super) fn push(&self, message: &Message) {
        self.put(message.bytes().clone(), None);
    }

    /// Puts in a message about `what`, unless one about the same waits already.
    pub(super) fn push_once(&self, what: &str, message: &Message) {
        self.put(message.bytes().clone(), Some(what));
    }

    fn put(&self, message: Bytes, about: Option<&str>) {
        let mut slot = self.slot();
        let state = slot.get_or_insert_default();
        let waits = about.is_some_and(|what| state.ring.says(what, state.sent));
        if !state.ended && !waits {
            state.ring.push(message, about);
            wake(slot);
        }
    }

    /// Puts in a message on its way to `reader`, who has had all before it.
    pub(super) fn pass(&self, reader: &mut Reader, message: Bytes) -> Sent {
        let mut slot = self.slot();
        let state = slot.get_or_insert_default();
        state.ring.push(message.clone(), None);
        reader.had = state.ring.newest();
        state.sent = reader.had;
        Sent {
            id: state.id(reader.had),
            message,
        }
    }

    /// Takes over the reading: what follows the event `last`, if there was such
    /// a one, else what was never sent.
    pub(super) fn read(&self, last: Option<u64>) -> Reader {
        let mut slot = self.slot();
        let state = slot.get_or_insert_default();
        let last = last.filter(|last| *last <= state.ring.newest());
        let had = last.unwrap_or(state.sent);
        take_over(slot, had)
    }

    /// Takes over the reading, of all that follows the event `last`; `None` if
    /// there was no such event or not all is kept.
    pub(super) fn read_all(&self, last: u64) -> Option<Reader> {
        let slot = self.slot();
        let all = slot.as_ref()?.ring.has_all_after(last);
        all.then(|| take_over(slot, last))
    }

    /// Whether `reader` still reads.
    pub(super) fn is_read_by(&self, reader: &Reader) -> bool {
        let slot = self.slot();
        slot.as_ref()
            .is_some_and(|state| state.readers == reader.number)
    }

    /// An event without a message, from whose id the reader can go on; `None`
    /// if the next event does as well.
    pub(super) fn prime(&self, reader: &mut Reader) -> Option<Sent> {
        let mut slot = self.slot();
        let state = slot.as_mut()?;
        if reader.number != state.readers || state.ring.after(reader.had).is_some() {
            return None;
        }
        reader.had = state.ring.number();
        state.sent = reader.had;
        Some(Sent {
            id: state.id(reader.had),
            message: Bytes::new(),
        })
    }

    /// The reader's next event; `None` once another one reads or nothing more
    /// comes.
    pub(super) async fn next(&self, reader: &mut Reader) -> Option<Sent> {
        poll_fn(|cx| self.poll_next(reader, cx)).await
    }

    /// See [`next`](Self::next).
    pub(super) fn poll_next(
        &self,
        reader: &mut Reader,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Sent>> {
        let mut slot = self.slot();
        let Some(state) = slot.as_mut() else {
            return Poll::Ready(None);
        };
        if reader.number != state.readers {
            return Poll::Ready(None);
        }
        let Some(event) = state.ring.after(reader.had) else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        reader.had = event.number;
        let message = event.message.clone();
        state.sent = state.sent.max(reader.had);
        Poll::Ready(Some(Sent {
            id: state.id(reader.had),
            message,
        }))
    }

    /// Nothing more comes; what is kept can still be read.
    pub(super) fn close(&self) {
        let mut slot = self.slot();
        slot.get_or_insert_default().ended = true;
        wake(slot);
    }

    /// The session is over: nothing is kept any more.
    pub(super) fn end(&self) {
        let mut slot = self.slot();
        let state = slot.get_or_insert_default();
        state.ended = true;
        state.ring = Ring::default();
        wake(slot);
    }

    /// The bytes of what is kept.
    pub(super) fn bytes(&self) -> usize {
        self.slot().as_ref().map_or(0, |state| state.ring.bytes())
    }

    fn slot(&self) -> Slot<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn id(&self, number: u64) -> EventId {
        EventId {
            call: self.call,
            number,
        }
    }
}

/// Makes the next reader the one that reads.
fn take_over(mut slot: Slot<'_>, had: u64) -> Reader {
    let state = slot.get_or_insert_default();
    state.readers += 1;
    let number = state.readers;
    wake(slot);
    Reader { number, had }
}

fn wake(mut slot: Slot<'_>) {
    let waker = slot.as_mut().and_then(|state| state.waker.take());
    drop(slot);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
