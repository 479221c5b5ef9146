//! A string that cannot be printed, logged or serialised by accident, and is
//! wiped from memory when dropped.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// A credential in memory. `Debug` shows `[secret]`; there is no `Display` and
/// no `Serialize`. Read it with [`Secret::expose`] at the one place that puts
/// it on the wire or in a child's environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `value`; the string's own buffer is wiped when the secret is dropped.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Never pass it to a log, an error or a format string.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value as that of an HTTP header, which no `Debug` shows and no HPACK
    /// table holds, and which is wiped when the last of its clones is dropped.
    /// Error: no header can hold it, for it has control characters.
    pub(crate) fn to_header(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let bytes = Zeroizing::new(self.0.as_bytes().to_vec());
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// This value after `start`, as a credential after its scheme.
    pub(crate) fn after(&self, start: &str) -> Self {
        // All the room at once: a buffer that was too small would not be wiped.
        let mut whole = String::with_capacity(start.len() + self.0.len());
        whole.push_str(start);
        whole.push_str(self.expose());
        Self::new(whole)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_is_a_header_that_does_not_print_itself_or_none() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let value = secret("hunter2").after("Bearer ").to_header().unwrap();
        assert_eq!(value, "Bearer hunter2");
        assert!(value.is_sensitive());
        assert_eq!(format!("{:?}", value.clone()), "Sensitive");
        for text in ["hunt\ner2", "hunt\u{7f}er2", "\0"] {
            secret(text).to_header().unwrap_err();
        }
        assert_eq!(secret("").to_header().unwrap(), "");
    }
}
