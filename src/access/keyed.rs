//! The key that a connection showed last, and whose it was found to be: most
//! requests of a connection show the same one, and looking it up costs hashes.

use std::{sync::Arc, time::SystemTime};

use subtle::{Choice, ConstantTimeEq};

use super::{
    Principal,
    keys::{Book, Key},
};
use crate::Secret;

/// What was found of a key.
#[derive(Debug)]
pub(super) struct Keyed {
    /// The number of the terms by which it was.
    terms: u64,
    /// Where it was found.
    book: Arc<Book>,
    text: Secret,
    pub(super) key: Arc<Key>,
    /// Its holder.
    pub(super) who: Principal,
}

impl Keyed {
    /// `text` was found to be `key` in `book`, and its holder by `terms` is `who`.
    pub(super) fn new(
        terms: u64,
        book: Arc<Book>,
        text: &str,
        key: Arc<Key>,
        who: Principal,
    ) -> Self {
        Self {
            terms,
            book,
            text: Secret::new(text.to_owned()),
            key,
            who,
        }
    }

    /// Whether the same would be found of `text` now; in a time that does not depend on
    /// how much of it is right.
    pub(super) fn is(&self, terms: u64, book: &Arc<Book>, text: &str) -> bool {
        self.terms == terms
            && Arc::ptr_eq(&self.book, book)
            && are_equal(self.text.expose().as_bytes(), text.as_bytes())
            && !(self.key.expires.is_some() && self.key.has_expired(SystemTime::now()))
    }
}

/// Compares eight bytes at a time: byte by byte it would cost what a hash does.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_ne_bytes(word)
    };
    let words = one.chunks(8).zip(other.chunks(8));
    let same = words.fold(Choice::from(1), |same, (one, other)| {
        same & word(one).ct_eq(&word(other))
    });
    one.len() == other.len() && bool::from(same)
}

#[cfg(test)]
mod tests {
    use super::are_equal;

    #[test]
    fn texts_are_equal_in_every_byte_and_in_length() {
        let text = b"mcpmux_0123456789";
        assert!(are_equal(text, text) && are_equal(b"", b""));
        for length in 0..text.len() {
            assert!(!are_equal(text, &text[..length]), "{length}");
            let mut other = *text;
            other[length] ^= 1;
            assert!(!are_equal(text, &other), "{length}");
        }
    }
}
