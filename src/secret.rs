//! A string that cannot be printed, logged or serialised by accident, and is
//! wiped from memory when dropped.

use std::fmt;

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
}
