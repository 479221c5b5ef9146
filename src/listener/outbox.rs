//! What goes to a legacy client on the stream of its session: a bounded ring of
//! events with ids, from which a client that lost its stream takes up again
//! where it left off (2025-11-25, `basic/transports`, Resumability and
//! Redelivery). One that was never used takes no memory of its own.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use bytes::Bytes;

use crate::protocol::Message;

/// The most events that are kept, sent ones included.
const MAX_EVENTS: usize = 1024;

/// The most bytes that their messages take; one message may be larger.
const MAX_BYTES: usize = 256 * 1024;

/// What stands before the number in the id of an event: a session has one stream.
const STREAM: &str = "get-";

/// A session's outbox.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Option<Box<Ring>>>);

/// The events.
#[derive(Debug, Default)]
struct Ring {
    /// The oldest first; numbers grow.
    events: VecDeque<Event>,
    bytes: usize,
    /// The number of the newest event.
    newest: u64,
    /// The number of the newest event that was ever sent.
    sent: u64,
    /// How many readers there were; the last one reads.
    readers: u64,
    waker: Option<Waker>,
    ended: bool,
}

#[derive(Debug)]
struct Event {
    number: u64,
    message: Bytes,
    /// What it says, if saying it once is enough.
    about: Option<Box<str>>,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The event's id.
    pub(super) id: String,
    /// The message; empty for an event that only carries its id.
    pub(super) message: Bytes,
}

/// Who reads an outbox, until another one does.
#[derive(Debug)]
pub(super) struct Reader {
    number: u64,
    /// The number of the last event that it had.
    had: u64,
}

impl Outbox {
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
        let ring = slot.get_or_insert_default();
        if ring.ended {
            return;
        }
        let mut unsent = ring.events.iter().rev();
        let mut waits = || {
            unsent
                .by_ref()
                .take_while(|event| event.number > ring.sent)
                .any(|event| event.about.as_deref() == about)
        };
        if about.is_some() && waits() {
            return;
        }
        ring.newest += 1;
        ring.bytes += message.len();
        ring.events.push_back(Event {
            number: ring.newest,
            message,
            about: about.map(Into::into),
        });
        while ring.events.len() > MAX_EVENTS || (ring.bytes > MAX_BYTES && ring.events.len() > 1) {
            if let Some(oldest) = ring.events.pop_front() {
                ring.bytes -= oldest.message.len();
            }
        }
        let waker = ring.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes over the reading: what follows the event `last_id`, if that is one
    /// of this outbox, else what was never sent.
    pub(super) fn read(&self, last_id: Option<&str>) -> Reader {
        let mut slot = self.slot();
        let ring = slot.get_or_insert_default();
        let last = last_id
            .and_then(|id| id.strip_prefix(STREAM)?.parse().ok())
            .filter(|last| *last <= ring.newest);
        ring.readers += 1;
        let reader = Reader {
            number: ring.readers,
            had: last.unwrap_or(ring.sent),
        };
        let waker = ring.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
        reader
    }

    /// An event without a message, from whose id the reader can go on; `None`
    /// if the next event does as well.
    pub(super) fn prime(&self, reader: &mut Reader) -> Option<Sent> {
        let mut slot = self.slot();
        let ring = slot.as_mut()?;
        if reader.number != ring.readers || reader.had < ring.newest_event() {
            return None;
        }
        ring.newest += 1;
        ring.sent = ring.newest;
        reader.had = ring.newest;
        Some(Sent {
            id: format!("{STREAM}{}", ring.newest),
            message: Bytes::new(),
        })
    }

    /// The reader's next event; `None` once another one reads or the session is
    /// over.
    pub(super) async fn next(&self, reader: &mut Reader) -> Option<Sent> {
        poll_fn(|cx| {
            let mut slot = self.slot();
            let Some(ring) = slot.as_mut() else {
                return Poll::Ready(None);
            };
            if ring.ended || reader.number != ring.readers {
                return Poll::Ready(None);
            }
            let at = ring
                .events
                .partition_point(|event| event.number <= reader.had);
            let Some(event) = ring.events.get(at) else {
                ring.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            reader.had = event.number;
            ring.sent = ring.sent.max(event.number);
            Poll::Ready(Some(Sent {
                id: format!("{STREAM}{}", event.number),
                message: event.message.clone(),
            }))
        })
        .await
    }

    /// The session is over: nothing is kept any more.
    pub(super) fn end(&self) {
        let mut slot = self.slot();
        let ring = slot.get_or_insert_default();
        let waker = ring.waker.take();
        **ring = Ring {
            ended: true,
            ..Ring::default()
        };
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Box<Ring>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn newest_event(&self) -> u64 {
        self.events.back().map_or(0, |event| event.number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Message {
        Message::notification(text, "{}")
    }

    /// Everything that can be read now: ids and methods.
    fn drain(outbox: &Outbox, reader: &mut Reader) -> Vec<(String, String)> {
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
                all.push((sent.id, message.method().unwrap().to_owned()));
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
            outbox.push(&message(text));
        }
        let mut first = outbox.read(None);
        let had = drain(&outbox, &mut first);
        assert_eq!(had.len(), 3);
        outbox.push(&message("d"));
        assert_eq!(
            methods(&outbox, &mut outbox.read(Some(&had[0].0))),
            ["b", "c", "d"]
        );
        // What was sent once is not sent again to one that does not ask for it.
        assert!(methods(&outbox, &mut outbox.read(None)).is_empty());
        assert!(methods(&outbox, &mut outbox.read(Some("get-99"))).is_empty());
        assert!(methods(&outbox, &mut outbox.read(Some("other"))).is_empty());
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
        outbox.push(&message("a"));
        let had = drain(&outbox, &mut reader);
        assert_ne!(primed.id, had[0].0);
        let mut again = outbox.read(Some(&primed.id));
        assert_eq!(
            outbox.prime(&mut again),
            None,
            "there is an event to begin with"
        );
        assert_eq!(methods(&outbox, &mut again), ["a"]);
        let mut last = outbox.read(Some(&had[0].0));
        assert!(outbox.prime(&mut last).is_some());
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let outbox = Outbox::default();
        for n in 0..=MAX_EVENTS {
            outbox.push(&message(&n.to_string()));
        }
        assert_eq!(methods(&outbox, &mut outbox.read(None))[0], "1");
        let large = message(&"x".repeat(MAX_BYTES));
        outbox.push(&large);
        outbox.push(&large);
        assert_eq!(methods(&outbox, &mut outbox.read(None)).len(), 1);
    }

    #[test]
    fn it_ends_with_the_session() {
        let outbox = Outbox::default();
        let mut reader = outbox.read(None);
        outbox.end();
        outbox.push(&message("a"));
        assert!(drain(&outbox, &mut reader).is_empty());
    }

    proptest! {
        /// Cut wherever it is, a client that names its last event gets every
        /// message once and in order.
        #[test]
        fn cuts_lose_and_repeat_nothing(acts in prop::collection::vec(0..3_u8, 0..200)) {
            let outbox = Outbox::default();
            let mut reader = outbox.read(None);
            let mut last: Option<String> = None;
            let mut had = Vec::new();
            let mut count = 0;
            for act in acts {
                match act {
                    0 => {
                        outbox.push(&message(&count.to_string()));
                        count += 1;
                    }
                    1 => for (id, method) in drain(&outbox, &mut reader) {
                        had.push(method);
                        last = Some(id);
                    },
                    _ => {
                        reader = outbox.read(last.as_deref());
                        if let Some(primed) = outbox.prime(&mut reader) {
                            last = Some(primed.id);
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
