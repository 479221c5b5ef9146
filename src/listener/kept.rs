//! The calls' streams that are over and are kept for a while for clients that
//! did not get their end: bounded in number, bytes and age, over all sessions.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::call_stream::CallStream;

/// How long a stream is kept.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The most streams of one session that are kept, of each kind.
const MAX_OF_SESSION: usize = 16;

/// The most streams whose end a client was waiting for, and their bytes, the
/// newest left out.
const UNREAD: Limit = Limit {
    streams: 4096,
    bytes: 16 * 1024 * 1024,
};

/// The same of those whose end was sent: their client lost it only if its
/// connection broke off just then.
const READ: Limit = Limit {
    streams: 512,
    bytes: 2 * 1024 * 1024,
};

#[derive(Debug, Clone, Copy)]
struct Limit {
    streams: usize,
    bytes: usize,
}

/// The streams that are kept: those that were read to their end, and others.
#[derive(Debug, Default)]
pub(super) struct Kept {
    unread: Mutex<Shelf>,
    read: Mutex<Shelf>,
}

/// Streams in the order in which they ended.
#[derive(Debug, Default)]
struct Shelf {
    places: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Place {
    stream: Arc<CallStream>,
    bytes: usize,
    since: Instant,
}

impl Kept {
    /// Keeps `stream`, which is over; `sent` if its end was. Others make room
    /// for it.
    pub(super) fn keep(&self, stream: Arc<CallStream>, sent: bool) {
        let (kind, limit) = if sent {
            (&self.read, READ)
        } else {
            (&self.unread, UNREAD)
        };
        let evicted =
            kind.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .put(stream, limit, Instant::now());
        // What they hold is freed without the lock.
        drop(evicted);
    }
}

impl Shelf {
    /// Puts in `stream`; gives what made room for it.
    fn put(&mut self, stream: Arc<CallStream>, limit: Limit, now: Instant) -> Vec<Place> {
        let mut evicted = Vec::new();
        if stream.siblings() > MAX_OF_SESSION {
            let mut own = self
                .places
                .iter()
                .enumerate()
                .filter(|(_, place)| place.stream.is_sibling(&stream));
            let oldest = own.next().map(|(at, _)| at);
            if own.count() + 1 >= MAX_OF_SESSION {
                evicted.extend(oldest.and_then(|at| self.take(at)));
            }
        }
        while let Some(oldest) = self.places.front()
            && (self.places.len() >= limit.streams
                || self.bytes > limit.bytes
                || now.duration_since(oldest.since) > MAX_AGE)
        {
            evicted.extend(self.take(0));
        }
        let bytes = stream.bytes();
        self.bytes += bytes;
        self.places.push_back(Place {
            stream,
            bytes,
            since: now,
        });
        evicted
    }

    fn take(&mut self, at: usize) -> Option<Place> {
        let place = self.places.remove(at)?;
        self.bytes -= place.bytes;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        streams: 3,
        bytes: 100,
    };

    /// The numbers of the streams that are kept.
    fn numbers(shelf: &Shelf) -> Vec<u64> {
        let streams = shelf.places.iter().map(|place| &place.stream);
        streams.map(|stream| stream.number()).collect()
    }

    #[test]
    fn the_oldest_make_room_by_number_and_bytes() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        for number in 1..=4 {
            shelf.put(CallStream::over(number, 10), LIMIT, now);
        }
        assert_eq!(numbers(&shelf), [2, 3, 4]);
        // The newest is kept whatever its size, and makes room with the next.
        shelf.put(CallStream::over(5, 1000), LIMIT, now);
        assert_eq!(numbers(&shelf), [3, 4, 5]);
        shelf.put(CallStream::over(6, 10), LIMIT, now);
        assert_eq!((numbers(&shelf), shelf.bytes), (vec![6], 10));
    }

    #[test]
    fn nothing_is_kept_for_longer_than_is_said() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        shelf.put(CallStream::over(1, 10), LIMIT, now);
        shelf.put(CallStream::over(2, 10), LIMIT, now + MAX_AGE);
        assert_eq!(numbers(&shelf), [1, 2]);
        shelf.put(CallStream::over(3, 10), LIMIT, now + MAX_AGE * 2);
        assert_eq!(numbers(&shelf), [2, 3]);
    }
}
