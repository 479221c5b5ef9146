//! A store in this process's memory, which is lost with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::book::Book;

/// Records that no file has.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Book>);

impl Memory {
    /// The records. No change of them is left half done by a panic.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
