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
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{
        super::ring::{MAX_BYTES, MAX_EVENTS},
        *,
    };

    fn message(text: &str) -> Message {
        Message::notification(text, "{}")
    }

    fn put(outbox: &Outbox, message: &Message) {
        outbox.put(message.bytes().clone(), None);
    }

    /// Everything that can be read now: numbers and methods.
    fn drain(outbox: &Outbox, reader: &mut Reader) -> Vec<(u64, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut all = Vec::new();
            while let Ok(Some(sent)) =
                tokio::time::timeout(Duration::ZERO, outbox.next(reader)).await
            {
                let message = Message::parse(sent.message).unwrap();
                all.push((sent.id.number, message.method().unwrap().to_owned()));
            }
            all
        })
    }

    fn methods(outbox: &Outbox, reader: &mut Reader) -> Vec<String> {
        drain(outbox, reader).into_iter().map(|(_, m)| m).collect()
    }

    #[test]
    fn a_reader_that_comes_back_gets_what_followed_its_last_event() {
        let outbox = Outbox::default();
        for text in ["a", "b", "c"] {
            put(&outbox, &message(text));
        }
        let mut first = outbox.read(None);
        let had = drain(&outbox, &mut first);
        assert_eq!(had.len(), 3);
        put(&outbox, &message("d"));
        assert_eq!(
            methods(&outbox, &mut outbox.read(Some(had[0].0))),
            ["b", "c", "d"]
        );
        // What was sent once is not sent again to one that does not ask for it.
        assert!(methods(&outbox, &mut outbox.read(None)).is_empty());
        assert!(methods(&outbox, &mut outbox.read(Some(99))).is_empty());
        assert!(methods(&outbox, &mut first).is_empty(), "another one reads");
    }

    #[test]
    fn one_about_the_same_waits_once() {
        let outbox = Outbox::default();
        for (about, text) in [("x", "a"), ("y", "b"), ("x", "c")] {
            outbox.push_once(about, &message(text));
        }
        let mut reader = outbox.read(None);
        assert_eq!(methods(&outbox, &mut reader), ["a", "b"]);
        outbox.push_once("x", &message("d"));
        assert_eq!(methods(&outbox, &mut reader), ["d"]);
    }

    #[test]
    fn a_reader_can_go_on_from_its_priming_event() {
        let outbox = Outbox::default();
        let mut reader = outbox.read(None);
        let primed = outbox.prime(&mut reader).unwrap();
        put(&outbox, &message("a"));
        let had = drain(&outbox, &mut reader);
        assert_ne!(primed.id.number, had[0].0);
        let mut again = outbox.read(Some(primed.id.number));
        assert_eq!(
            outbox.prime(&mut again),
            None,
            "there is an event to begin with"
        );
        assert_eq!(methods(&outbox, &mut again), ["a"]);
        let mut last = outbox.read(Some(had[0].0));
        assert!(outbox.prime(&mut last).is_some());
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let outbox = Outbox::default();
        for n in 0..=MAX_EVENTS {
            put(&outbox, &message(&n.to_string()));
        }
        assert_eq!(methods(&outbox, &mut outbox.read(None))[0], "1");
        let large = message(&"x".repeat(MAX_BYTES));
        put(&outbox, &large);
        put(&outbox, &large);
        assert_eq!(methods(&outbox, &mut outbox.read(None)).len(), 1);
    }

    #[test]
    fn who_must_have_all_is_not_given_what_is_left() {
        let outbox = Outbox::of_call(1);
        let mut reader = outbox.read(None);
        let primed = outbox.prime(&mut reader).unwrap();
        assert_eq!(primed.id.to_string(), "post1-1");
        for n in 0..=MAX_EVENTS {
            put(&outbox, &message(&n.to_string()));
        }
        assert!(outbox.read_all(primed.id.number).is_none());
        assert!(outbox.is_read_by(&reader), "nobody takes over in vain");
        let mut other = outbox.read_all(primed.id.number + 1).unwrap();
        assert!(!outbox.is_read_by(&reader));
        outbox.close();
        assert_eq!(methods(&outbox, &mut other).len(), MAX_EVENTS);
        assert!(outbox.read_all(9999).is_none());
    }

    #[test]
    fn it_ends_with_the_session() {
        let outbox = Outbox::default();
        let mut reader = outbox.read(None);
        outbox.end();
        put(&outbox, &message("a"));
        assert!(drain(&outbox, &mut reader).is_empty());
    }

    proptest! {
        /// Cut wherever it is, a client that names its last event gets every
        /// message once and in order.
        #[test]
        fn cuts_lose_and_repeat_nothing(acts in prop::collection::vec(0..3_u8, 0..200)) {
            let outbox = Outbox::default();
            let mut reader = outbox.read(None);
            let mut last: Option<u64> = None;
            let mut had = Vec::new();
            let mut count = 0;
            for act in acts {
                match act {
                    0 => {
                        put(&outbox, &message(&count.to_string()));
                        count += 1;
                    }
                    1 => for (id, method) in drain(&outbox, &mut reader) {
                        had.push(method);
                        last = Some(id);
                    },
                    _ => {
                        reader = outbox.read(last);
                        if let Some(primed) = outbox.prime(&mut reader) {
                            last = Some(primed.id.number);
                        }
                    }
                }
            }
            had.extend(methods(&outbox, &mut reader));
            let expected: Vec<_> = (0..count).map(|n| n.to_string()).collect();
            prop_assert_eq!(had, expected);
        }
    }
}
