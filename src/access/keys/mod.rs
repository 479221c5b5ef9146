//! `access.keys`: API keys, made and taken away by `mcpmux keys` while mcpmux runs.

use std::{path::PathBuf, sync::Arc};

use arc_swap::Guard;
use tracing::warn;

mod book;
mod text;

pub(super) use book::Book;
pub use book::{Key, KeyError, add, list, place, revoke};
pub(super) use text::is_claimed;

use super::fresh::Fresh;

/// The keys as they are in their file now.
#[derive(Debug)]
pub(super) struct Keys(Fresh<Book>);

impl Keys {
    /// Those in the file at `path`. Blocks.
    pub(super) fn open(path: PathBuf) -> Self {
        let files = vec![path.clone()];
        Self(Fresh::always(files, move || {
            Book::read(&path).unwrap_or_else(|error| {
                warn!("{error}: no key lets in anybody");
                Book::unusable()
            })
        }))
    }

    /// The same, if they were looked at within the last second.
    pub(super) fn seen(&self) -> Option<Guard<Arc<Book>>> {
        self.0.seen()
    }

    /// All of them, as they were within the last second.
    pub(super) async fn now(&self) -> Arc<Book> {
        self.0.now().await
    }
}
