//! The newest events of one stream, bounded, with numbers that grow.

use std::{collections::VecDeque, fmt};

use bytes::Bytes;

/// The most events that are kept.
pub(super) const MAX_EVENTS: usize = 1024;

/// The most bytes that their messages take, the newest left out.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// The id of an event: the stream that it is on, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    /// The number of the call's stream in its session; `None` for the session's own.
    pub(super) call: Option<u64>,
    /// The event's number in its stream.
    pub(super) number: u64,
}

/// The events of a stream, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    newest: u64,
    lost: u64,
}

/// One event with its message.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) message: Bytes,
    /// What it says, if saying it once is enough.
    pub(super) about: Option<Box<str>>,
}

impl Ring {
    /// One whose events have numbers above `number`, after others that are lost.
    pub(super) fn above(number: u64) -> Self {
        Self {
            newest: number,
            lost: number,
            ..Self::default()
        }
    }

    /// Puts in an event; the oldest make room for it.
    pub(super) fn push(&mut self, message: Bytes, about: Option<&str>) {
        self.newest += 1;
        let kept = MAX_BYTES + message.len();
        self.bytes += message.len();
        self.events.push_back(Event {
            number: self.newest,
            message,
            about: about.map(Into::into),
        });
        while self.events.len() > MAX_EVENTS || self.bytes > kept {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.message.len();
            self.lost = oldest.number;
        }
    }

    /// Gives an event without a message its number. It is not kept.
    pub(super) fn number(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    /// The number of the newest event, with or without a message.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The oldest event that follows `number` and is kept.
    pub(super) fn after(&self, number: u64) -> Option<&Event> {
        let at = self.events.partition_point(|event| event.number <= number);
        self.events.get(at)
    }

    /// Whether all that follows `number` is kept, and there was such an event.
    pub(super) fn has_all_after(&self, number: u64) -> bool {
        (self.lost..=self.newest).contains(&number)
    }

    /// Whether an event about `what` follows `number`.
    pub(super) fn says(&self, what: &str, number: u64) -> bool {
        let newer = self.events.iter().rev();
        newer
            .take_while(|event| event.number > number)
            .any(|event| event.about.as_deref() == Some(what))
    }

    /// The bytes of what is kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl EventId {
    /// Reads what a client names; `None` if no event is called so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stream, number) = text.split_once('-')?;
        let call = match stream.strip_prefix("post") {
            Some(call) => Some(call.parse().ok()?),
            None if stream == "get" => None,
            None => return None,
        };
        let number = number.parse().ok()?;
        Some(Self { call, number })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call {
            Some(call) => write!(f, "post{call}-{}", self.number),
            None => write!(f, "get-{}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_it_has_lost() {
        let mut ring = Ring::default();
        let first = ring.number();
        assert!(ring.has_all_after(first) && ring.after(first).is_none());
        for _ in 0..MAX_EVENTS {
            ring.push(Bytes::from_static(b"x"), None);
        }
        assert!(ring.has_all_after(first));
        ring.push(Bytes::from_static(b"x"), None);
        assert!(!ring.has_all_after(first));
        assert!(ring.has_all_after(first + 1));
        assert!(!ring.has_all_after(ring.newest() + 1));
        assert_eq!(ring.after(0).unwrap().number, first + 2);
    }

    #[test]
    fn the_newest_may_be_of_any_size_and_drives_no_other_out() {
        let mut ring = Ring::default();
        ring.push(Bytes::from_static(b"x"), None);
        let large = Bytes::from(vec![b'x'; MAX_BYTES + 1]);
        ring.push(large.clone(), None);
        assert!(ring.has_all_after(0));
        ring.push(large, None);
        assert_eq!(ring.after(0).unwrap().number, 3);
        assert_eq!(ring.bytes(), MAX_BYTES + 1);
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for (text, call) in [("get-7", None), ("post12-7", Some(12))] {
            let id = EventId { call, number: 7 };
            assert_eq!(id.to_string(), text);
            assert_eq!(EventId::parse(text), Some(id));
        }
        for text in [
            "", "get", "get-", "get-x", "post-1", "postx-1", "other-1", "get--1",
        ] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
