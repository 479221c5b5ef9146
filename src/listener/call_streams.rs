//! The streams of one session's calls by their numbers, as long as anything
//! holds them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::call_stream::{CallStream, Reading};

/// The table, which takes no memory of its own before the first stream.
#[derive(Debug, Default)]
pub(super) struct CallStreams(Mutex<Option<Box<Table>>>);

#[derive(Debug, Default)]
struct Table {
    opened: u64,
    streams: BTreeMap<u64, Weak<CallStream>>,
}

impl CallStreams {
    /// Streams with numbers above `number`: an earlier run had those before.
    pub(super) fn above(number: u64) -> Self {
        Self(Mutex::new(Some(Box::new(Table {
            opened: number,
            streams: BTreeMap::new(),
        }))))
    }

    /// Enters the stream that `open` makes for the number it is given.
    pub(super) fn enter(&self, open: impl FnOnce(u64) -> CallStream) -> Arc<CallStream> {
        let mut slot = self.slot();
        let table = slot.get_or_insert_default();
        table.opened += 1;
        let stream = Arc::new(open(table.opened));
        table.streams.insert(table.opened, Arc::downgrade(&stream));
        stream
    }

    /// Takes over the stream `number`, behind its event `last`; `None` if the
    /// session has no such stream any more, or not all that followed.
    pub(super) fn resume(&self, number: u64, last: u64) -> Option<Reading> {
        let stream = self.slot().as_ref()?.streams.get(&number)?.upgrade();
        stream?.resume(last)
    }

    /// The session is over: streams that are over as well are of no more use.
    pub(super) fn end(&self) {
        let table = self.slot().take();
        let streams = table.iter().flat_map(|table| table.streams.values());
        for stream in streams.filter_map(Weak::upgrade) {
            stream.free();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slot().as_ref().map_or(0, |table| table.streams.len())
    }

    /// Nothing holds the stream `number` any more.
    pub(super) fn remove(&self, number: u64) {
        if let Some(table) = self.slot().as_mut() {
            table.streams.remove(&number);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Box<Table>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
