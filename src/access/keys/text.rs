//! What an API key looks like, and what is kept of one.
//!
//! A key is `mcpmux_` and 48 characters (base64url) of 32 random bytes and a
//! checksum of 4, by which a scanner for leaked secrets knows one and a mistyped
//! one is told from a wrong one. Having 256 random bits it cannot be guessed from
//! its hash, so that one round of SHA-256 with a salt keeps it as well as a slow
//! hash, which is for passwords, would.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::Secret;

/// What every key begins with.
pub(crate) const PREFIX: &str = "mcpmux_";

const RANDOM: usize = 32;
const CHECKSUM: usize = 4;

/// What is kept of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash {
    pub(super) salt: [u8; 16],
    pub(super) hash: [u8; 32],
}

/// Whether `text` claims to be a key of mcpmux's.
pub(in crate::access) fn is_claimed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// A new key. Error: the system has no random numbers.
pub(super) fn generate() -> Result<Secret, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; RANDOM + CHECKSUM]);
    getrandom::fill(&mut bytes[..RANDOM])?;
    let sum = checksum(&bytes[..RANDOM]);
    bytes[RANDOM..].copy_from_slice(&sum);
    let mut text = String::with_capacity(PREFIX.len() + 48);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(&bytes[..], &mut text);
    Ok(Secret::new(text))
}

/// Whether `text` may be a key at all.
pub(super) fn is_well_formed(text: &str) -> bool {
    let decoded = text
        .strip_prefix(PREFIX)
        .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
        .map(Zeroizing::new);
    decoded.is_some_and(|bytes| {
        bytes.len() == RANDOM + CHECKSUM && bytes[RANDOM..] == checksum(&bytes[..RANDOM])
    })
}

fn checksum(random: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new_with_prefix(PREFIX)
        .chain_update(random)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

impl Hash {
    /// Of a new key.
    pub(super) fn of(key: &Secret) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let hash = salted(salt, key.expose());
        Ok(Self { salt, hash })
    }

    /// Whether `text` is the key, in a time that does not depend on how much of
    /// it is right.
    pub(super) fn is_of(&self, text: &str) -> Choice {
        salted(self.salt, text).ct_eq(&self.hash)
    }
}

fn salted(salt: [u8; 16], text: &str) -> [u8; 32] {
    let hash = Sha256::new_with_prefix(salt).chain_update(text);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_look_and_its_hash() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        for key in [&one, &other] {
            assert!(is_claimed(key.expose()) && is_well_formed(key.expose()));
            assert_eq!(key.expose().len(), 55);
        }
        let hash = Hash::of(&one).unwrap();
        assert!(bool::from(hash.is_of(one.expose())));
        assert!(!bool::from(hash.is_of(other.expose())));
        assert_ne!(hash, Hash::of(&one).unwrap(), "each has a salt of its own");
    }

    #[test]
    fn a_mistyped_key_is_none() {
        let key = generate().unwrap();
        let text = key.expose();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(
                !is_well_formed(std::str::from_utf8(&bytes).unwrap()),
                "{at}"
            );
        }
        for wrong in ["", "mcpmux_", &text[1..], &text[..54], &format!("{text}A")] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
