//! The key of a vault: 32 random bytes, written as one line of Base64. Where it
//! is kept is [`super::source`]'s to know.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::VaultError;
use crate::Secret;

/// The length of a key, in bytes.
pub(super) const LENGTH: usize = 32;

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key of a vault. Wiped when dropped; `Debug` shows its id.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; LENGTH]>);

/// Tells keys apart without saying anything else about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId([u8; 8]);

impl Key {
    /// A fresh key from the system's random numbers.
    pub(crate) fn generate() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(bytes.as_mut_slice())
            .map_err(|_| VaultError::System("the system gives no random numbers"))?;
        Ok(Self(bytes))
    }

    /// The key that one line of Base64 is; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err("it is empty");
        }
        // Decoding may need a little more room than what comes out of it.
        let mut buffer = Zeroizing::new([0; LENGTH + 8]);
        match BASE64.decode_slice(text, buffer.as_mut_slice()) {
            Ok(LENGTH) => {
                let mut key = Zeroizing::new([0; LENGTH]);
                key.copy_from_slice(&buffer[..LENGTH]);
                if key.iter().all(|byte| *byte == 0) {
                    return Err("it is all zeros");
                }
                Ok(Self(key))
            }
            _ => Err("it is not 32 bytes in Base64, as `mcpmux auth init-vault` makes them"),
        }
    }

    /// The key as one line of Base64, without the end of the line.
    pub(crate) fn to_text(&self) -> Secret {
        Secret::new(BASE64.encode(self.0.as_slice()))
    }

    /// What tells this key from others.
    pub(crate) fn id(&self) -> KeyId {
        let digest = Sha256::new()
            .chain_update(b"mcpmux vault key id\0")
            .chain_update(self.0.as_slice())
            .finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl KeyId {
    /// The id that 16 hexadecimal digits are.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = plain.then(|| u64::from_str_radix(text, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyId};

    #[test]
    fn a_key_is_one_line_of_text_and_shows_its_id_only() {
        let key = Key::generate().unwrap();
        let text = key.to_text();
        let again = Key::parse(&format!("{}\n", text.expose())).unwrap();
        assert_eq!(again.bytes(), key.bytes());
        assert!(Key::parse(text.expose().trim_end_matches('=')).is_ok());
        assert_eq!(KeyId::parse(&key.id().to_string()), Some(key.id()));
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        assert_ne!(Key::generate().unwrap().id(), key.id());
    }

    #[test]
    fn what_is_no_key_is_refused_unseen() {
        for text in ["", "\n", "s3cret", &"A".repeat(43), &"x".repeat(1000), "é"] {
            let what = Key::parse(text).unwrap_err();
            assert!(!what.contains("s3cret"), "{what}");
        }
    }
}
