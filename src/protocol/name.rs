//! Names of tools as clients see them: `server__tool`, and what is done with
//! one that a client could not use.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Stands between a backend's name and its tool's.
pub const SEPARATOR: &str = "__";

/// The longest name shown to a client, in bytes. The specification says at most
/// 128 (`server/tools`), but widespread clients allow 64 for
/// `mcp__<server>__<tool>`, and this server is `mcpmux` to them.
pub const MAX: usize = 64 - "mcp__mcpmux__".len();

/// Hex digits of the hash that ends a shortened name.
const HASH: usize = 8;

/// `server__tool`.
pub fn join(server: &str, tool: &str) -> String {
    [server, SEPARATOR, tool].concat()
}

/// Splits `server__tool` at the first separator.
pub fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR)
}

/// A name of at most [`MAX`] bytes for `name`: a readable head and a hash of
/// the whole, always the same for the same name. `None` if it is short enough.
pub fn shorten(name: &str) -> Option<String> {
    if name.len() <= MAX {
        return None;
    }
    let digest = Sha256::digest(name.as_bytes());
    let mut hash = String::with_capacity(HASH);
    for byte in digest.iter().take(HASH / 2) {
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let mut end = MAX - HASH - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    Some(format!("{}_{hash}", &name[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_splits_at_the_first_separator() {
        assert_eq!(split("a__b__c"), Some(("a", "b__c")));
        assert_eq!(split("a___b"), Some(("a", "_b")));
        assert_eq!(split("plain"), None);
    }

    #[test]
    fn a_long_name_keeps_its_head_and_gets_a_hash() {
        let long = format!("files__{}", "x".repeat(60));
        let short = shorten(&long).unwrap();
        assert_eq!(short.len(), MAX);
        assert!(short.starts_with("files__xxx"));
        assert_eq!(shorten(&long), Some(short.clone()));
        assert_ne!(shorten(&format!("{long}y")), Some(short));
        assert_eq!(shorten(&"x".repeat(MAX)), None);
    }

    #[test]
    fn a_name_is_never_cut_inside_a_character() {
        assert!(shorten(&"ü".repeat(40)).unwrap().len() <= MAX);
    }
}
