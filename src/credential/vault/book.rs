//! What a store holds: a record for each backend and issuer, and how all of
//! them are written as bytes. What protects the bytes is [`super::sealed`]'s.
//!
//! The bytes are a count and, for each record, backend, issuer and record, each
//! after its length; numbers are 32 bits, big-endian. Their number is known
//! before they are written, so no buffer with a secret in it is left behind
//! where it was too small.

use std::collections::BTreeMap;

use super::{Entry, VaultError};
use crate::{Secret, config::BackendName};

/// The longest record, in bytes: a few tokens and what is known of their server.
pub(super) const MAX_RECORD: usize = 256 * 1024;

/// The longest issuer, in bytes.
const MAX_ISSUER: usize = 8 * 1024;

/// All records together, in bytes.
pub(super) const MAX_BOOK: usize = 8 * 1024 * 1024;

/// Records by backend and issuer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Book(BTreeMap<(String, String), Secret>);

impl Book {
    /// The records of one backend.
    pub(super) fn of(&self, backend: &BackendName) -> Vec<Entry> {
        self.0
            .iter()
            .filter(|((name, _), _)| name == backend.as_str())
            .map(|((_, issuer), record)| Entry {
                issuer: issuer.clone(),
                record: record.clone(),
            })
            .collect()
    }

    /// Sets a record, unless it or all of them would be too large.
    pub(super) fn set(
        &mut self,
        backend: &BackendName,
        issuer: &str,
        record: &Secret,
    ) -> Result<(), VaultError> {
        check(backend, issuer, record)?;
        let key = (backend.as_str().to_owned(), issuer.to_owned());
        let before = self.0.insert(key.clone(), record.clone());
        let all = within("the sum of all records", self.size(), MAX_BOOK);
        if all.is_err() {
            match before {
                Some(before) => self.0.insert(key, before),
                None => self.0.remove(&key),
            };
        }
        all
    }

    /// Removes a record; whether it was there.
    pub(super) fn remove(&mut self, backend: &BackendName, issuer: &str) -> bool {
        let key = (backend.as_str().to_owned(), issuer.to_owned());
        self.0.remove(&key).is_some()
    }

    /// How many bytes [`Self::append_to`] appends.
    pub(super) fn size(&self) -> usize {
        let records = self.0.iter().map(|((backend, issuer), record)| {
            12 + backend.len() + issuer.len() + record.expose().len()
        });
        4 + records.sum::<usize>()
    }

    /// Appends all records. Room for [`Self::size`] must be reserved.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        bytes.extend_from_slice(&number(self.0.len()));
        for ((backend, issuer), record) in &self.0 {
            for text in [backend, issuer, record.expose()] {
                bytes.extend_from_slice(&number(text.len()));
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// The records that `bytes` are; none if they are not whole.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut book = BTreeMap::new();
        for _ in 0..number(&mut bytes)? {
            let mut text = || {
                let length = number(&mut bytes)?;
                let (text, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                std::str::from_utf8(text).ok()
            };
            let (backend, issuer, record) = (text()?, text()?, text()?);
            let key = (backend.to_owned(), issuer.to_owned());
            book.insert(key, Secret::new(record.to_owned()));
        }
        bytes.is_empty().then_some(Self(book))
    }

    /// The bytes of all records.
    #[cfg(test)]
    pub(super) fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(self.size()));
        self.append_to(&mut bytes);
        bytes
    }
}

/// Whether one record is of a size that any store takes.
pub(super) fn check(
    backend: &BackendName,
    issuer: &str,
    record: &Secret,
) -> Result<(), VaultError> {
    let issuer_of = format!("the issuer of {backend}");
    within(&issuer_of, issuer.len(), MAX_ISSUER)?;
    let record_of = format!("the record of {backend}");
    within(&record_of, record.expose().len(), MAX_RECORD)
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_be_bytes(*number)).ok()
}

fn within(what: &str, size: usize, limit: usize) -> Result<(), VaultError> {
    if size <= limit {
        return Ok(());
    }
    Err(VaultError::TooLarge {
        what: what.to_owned(),
        size,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BackendName, Book, MAX_BOOK, MAX_RECORD, Secret};

    fn name(name: &str) -> BackendName {
        BackendName::new(name).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn what_is_written_is_read() {
        let mut book = Book::default();
        book.set(&name("a"), "https://issuer", &secret("{\"é\":1}"))
            .unwrap();
        book.set(&name("a"), "", &secret("")).unwrap();
        book.set(&name("b"), "https://issuer", &secret("b"))
            .unwrap();
        let bytes = book.to_bytes();
        assert_eq!((bytes.len(), bytes.capacity()), (book.size(), book.size()));
        assert_eq!(Book::parse(&bytes).unwrap(), book);
        assert_eq!(book.of(&name("a")).len(), 2);
        assert!(book.remove(&name("a"), ""));
        assert!(!book.remove(&name("a"), ""));
        assert_eq!(book.of(&name("a"))[0].record.expose(), "{\"é\":1}");
    }

    #[test]
    fn what_is_too_large_is_refused_and_the_rest_stays() {
        let mut book = Book::default();
        let large = secret(&"x".repeat(MAX_RECORD));
        book.set(&name("a"), "i", &secret("before")).unwrap();
        let error = book
            .set(&name("a"), "i", &secret(&"s3cret".repeat(MAX_RECORD)))
            .unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let full =
            (0..100).find(|number| book.set(&name("b"), &number.to_string(), &large).is_err());
        assert!(full.is_some_and(|number| number > 16));
        book.set(&name("a"), "i", &large).unwrap_err();
        assert_eq!(book.of(&name("a"))[0].record.expose(), "before");
        assert!(book.size() <= MAX_BOOK);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_book_or_none(bytes: Vec<u8>) {
            if let Some(book) = Book::parse(&bytes) {
                prop_assert_eq!(Book::parse(&book.to_bytes()), Some(book));
            }
        }

        #[test]
        fn a_book_that_is_cut_is_none(record: String, cut in 1_usize..40) {
            let mut book = Book::default();
            book.set(&name("a"), "https://issuer", &secret(&record)).unwrap();
            let bytes = book.to_bytes();
            prop_assert_eq!(Book::parse(&bytes[..bytes.len().saturating_sub(cut)]), None);
        }
    }
}
