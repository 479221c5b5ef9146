//! The content of a store's file. A vault's is a line of text that says what it
//! is and which key it needs, a nonce, and the records, sealed with
//! XChaCha20-Poly1305 (RFC 8439, and draft-irtf-cfrg-xchacha for the longer
//! nonce, which may be drawn at random for every write); the line is sealed
//! with them as associated data. A file of the runtime directory has a line and
//! the records as they are.

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{
    VaultError,
    book::{self, Book},
    key::{Key, KeyId},
};

/// The first line of a vault: version 1, and the id of its key.
const VAULT: &str = "mcpmux-vault 1 ";

/// The first line of a file of the runtime directory.
const PLAIN: &str = "mcpmux-tokens 1\n";

/// The first words of any version.
const NAMES: [&str; 2] = ["mcpmux-vault ", "mcpmux-tokens "];

const NONCE: usize = 24;
const TAG: usize = 16;

/// The longest first line, with its end.
pub(super) const MAX_HEADER: usize = 64;

/// The longest file.
pub(super) const MAX_FILE: usize = MAX_HEADER + NONCE + book::MAX_BOOK + TAG;

/// Why a content is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It was sealed with another key.
    Key(KeyId),
    /// It is not what was written.
    Damaged(&'static str),
}

/// The content of a file that holds `book`, sealed if there is a key.
pub(super) fn seal(book: &Book, key: Option<&Key>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let room = MAX_HEADER + NONCE + book.size() + TAG;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    let Some(key) = key else {
        content.extend_from_slice(PLAIN.as_bytes());
        book.append_to(&mut content);
        return Ok(content);
    };
    let header = format!("{VAULT}{}\n", key.id());
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce)
        .map_err(|_| VaultError::System("the system gives no random numbers"))?;
    content.extend_from_slice(header.as_bytes());
    content.extend_from_slice(&nonce);
    let from = content.len();
    book.append_to(&mut content);
    let tag = cipher(key)
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            header.as_bytes(),
            content[from..].as_mut().into(),
        )
        .map_err(|_| VaultError::System("the records cannot be sealed"))?;
    content.extend_from_slice(&tag);
    Ok(content)
}

/// The records in `content`, which was read from a file.
pub(super) fn open(mut content: Zeroizing<Vec<u8>>, key: Option<&Key>) -> Result<Book, Flaw> {
    const SHORT: Flaw = Flaw::Damaged("it is cut short");
    let header = header(&content)?;
    let from = header.length;
    match (key, header.key) {
        (None, None) => Book::parse(&content[from..]).ok_or(SHORT),
        (None, Some(_)) => Err(Flaw::Damaged("it is a vault, where plain records belong")),
        (Some(_), None) => Err(Flaw::Damaged("it is not sealed, as a vault must be")),
        (Some(key), Some(needed)) => {
            if key.id() != needed {
                return Err(Flaw::Key(needed));
            }
            let (header, rest) = content.split_at_mut(from);
            let (nonce, rest) = rest.split_first_chunk_mut::<NONCE>().ok_or(SHORT)?;
            let (records, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(SHORT)?;
            cipher(key)
                .decrypt_inout_detached(
                    &XNonce::from(*nonce),
                    header,
                    (&mut *records).into(),
                    &Tag::from(*tag),
                )
                .map_err(|_| Flaw::Damaged("it is not what was sealed with this key"))?;
            Book::parse(records).ok_or(SHORT)
        }
    }
}

/// The first line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The key that it needs; none if it is not sealed.
    pub(super) key: Option<KeyId>,
    /// The length of the line, with its end.
    length: usize,
}

/// The first line of `content`, of which the first [`MAX_HEADER`] bytes are enough.
pub(super) fn header(content: &[u8]) -> Result<Header, Flaw> {
    const NO_HEADER: Flaw = Flaw::Damaged("it does not begin as one");
    let start = &content[..content.len().min(MAX_HEADER)];
    let length = 1 + memchr::memchr(b'\n', start).ok_or(NO_HEADER)?;
    let line = std::str::from_utf8(&start[..length]).map_err(|_| NO_HEADER)?;
    if line == PLAIN {
        return Ok(Header { key: None, length });
    }
    if let Some(id) = line.strip_prefix(VAULT) {
        let key = KeyId::parse(id.trim_end_matches('\n')).ok_or(NO_HEADER)?;
        return Ok(Header {
            key: Some(key),
            length,
        });
    }
    if NAMES.iter().any(|name| line.starts_with(name)) {
        return Err(Flaw::Damaged("a newer mcpmux wrote it"));
    }
    Err(NO_HEADER)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{Book, Flaw, Key, NONCE, TAG, header, open, seal};
    use crate::{Secret, config::BackendName};

    fn book() -> Book {
        let mut book = Book::default();
        let name = BackendName::new("linear").unwrap();
        book.set(&name, "https://issuer", &Secret::new("s3cret".to_owned()))
            .unwrap();
        book
    }

    fn with(content: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(content.to_vec())
    }

    #[test]
    fn what_is_sealed_is_opened_with_its_key_and_no_other() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let content = seal(&book(), Some(&key)).unwrap();
        let text = String::from_utf8_lossy(&content).into_owned();
        for part in ["s3cret", "linear", "issuer"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
        assert_eq!(header(&content).unwrap().key, Some(key.id()));
        assert_eq!(open(with(&content), Some(&key)).unwrap(), book());
        assert_eq!(
            open(with(&content), Some(&other)).unwrap_err(),
            Flaw::Key(key.id())
        );
    }

    #[test]
    fn nothing_is_sealed_twice_alike() {
        let key = Key::generate().unwrap();
        let seal = || seal(&book(), Some(&key)).unwrap();
        assert_ne!(*seal(), *seal());
    }

    #[test]
    fn any_bit_that_changes_and_any_byte_that_is_missing_is_noticed() {
        let key = Key::generate().unwrap();
        let content = seal(&book(), Some(&key)).unwrap();
        for at in 0..content.len() {
            let mut changed = with(&content);
            changed[at] ^= 0x04;
            assert!(open(changed, Some(&key)).is_err(), "byte {at}");
            assert!(
                open(with(&content[..at]), Some(&key)).is_err(),
                "{at} bytes"
            );
        }
        let longer = [&content[..], b"\0"].concat();
        assert!(open(with(&longer), Some(&key)).is_err());
    }

    #[test]
    fn another_key_cannot_be_written_into_the_first_line() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let content = seal(&book(), Some(&key)).unwrap();
        let rest = &content[header(&content).unwrap().length..];
        let forged = [format!("mcpmux-vault 1 {}\n", other.id()).as_bytes(), rest].concat();
        assert!(matches!(
            open(with(&forged), Some(&other)),
            Err(Flaw::Damaged(_))
        ));
    }

    #[test]
    fn a_plain_file_never_passes_for_a_vault_nor_a_vault_for_a_plain_file() {
        let key = Key::generate().unwrap();
        let plain = seal(&book(), None).unwrap();
        assert_eq!(open(with(&plain), None).unwrap(), book());
        assert!(open(with(&plain), Some(&key)).is_err());
        assert!(open(seal(&book(), Some(&key)).unwrap(), None).is_err());
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let newer = b"mcpmux-vault 2 something\nrest";
        assert_eq!(
            header(newer).unwrap_err(),
            Flaw::Damaged("a newer mcpmux wrote it")
        );
        assert!(header(&[b'x'; 200]).is_err());
        assert!(header(b"").is_err());
    }

    #[test]
    fn the_buffer_of_a_sealed_book_is_never_moved() {
        let key = Key::generate().unwrap();
        let content = seal(&book(), Some(&key)).unwrap();
        let header = header(&content).unwrap().length;
        assert_eq!(content.len(), header + NONCE + book().size() + TAG);
    }
}
