//! What stands around a document: a line that says what it is, of which version
//! and in which turn, and the hash by which damage shows.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Kind;

/// Who writes it.
const MARK: &str = "mcpmux";

/// The longest first line.
const MAX_LINE: usize = 200;

/// A document as it was kept.
pub(super) struct Envelope {
    /// Each is one more than the one before.
    pub(super) number: u64,
    /// What it says.
    pub(super) body: Vec<u8>,
}

impl Envelope {
    /// `body` as it is kept.
    pub(super) fn seal(kind: Kind, number: u64, body: &[u8]) -> Vec<u8> {
        let Kind { name, version, .. } = kind;
        let hash = hash(body);
        let mut content = format!("{MARK} {name} {version} {number} {hash}\n").into_bytes();
        content.extend_from_slice(body);
        content
    }

    /// Reads what was kept; the error says why it cannot be used.
    pub(super) fn open(kind: Kind, mut content: Vec<u8>) -> Result<Self, String> {
        if content.len() > kind.limit {
            return Err(format!("more than {} bytes", kind.limit));
        }
        let damaged = || "damaged".to_owned();
        let line = content
            .iter()
            .take(MAX_LINE)
            .position(|byte| *byte == b'\n');
        let end = line.ok_or_else(damaged)?;
        let line = str::from_utf8(&content[..end]).map_err(|_| damaged())?;
        let parts: Vec<_> = line.split(' ').collect();
        let [mark, name, version, number, expected] = parts[..] else {
            return Err(damaged());
        };
        if mark != MARK || name != kind.name {
            return Err(damaged());
        }
        if version != kind.version.to_string() {
            return Err("of another version of mcpmux".to_owned());
        }
        let number = number.parse().map_err(|_| damaged())?;
        let expected = expected.to_owned();
        content.drain(..=end);
        if hash(&content) != expected {
            return Err(damaged());
        }
        Ok(Self {
            number,
            body: content,
        })
    }
}

fn hash(body: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
