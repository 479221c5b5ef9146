//! The id that names a request and its response.

use std::fmt;

use smol_str::SmolStr;

/// A request's id as it stands on the wire: a string or a number. Two ids are
/// the same if they are written the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(SmolStr);

impl Id {
    /// The id's JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes JSON text as an id; `None` unless it is a string or a number.
    pub fn from_json(text: &str) -> Option<Self> {
        matches!(text.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
            .then(|| Self(SmolStr::new(text)))
    }

    /// The number, if it is the plain spelling of one that mcpmux gave out.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(smol_str::format_smolstr!("{number}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::protocol::{Kind, Message};

    #[test]
    fn an_id_keeps_its_spelling() {
        let message = Message::parse(Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":"\u0061","method":"x"}"#,
        ))
        .unwrap();
        let Kind::Request { id, .. } = message.kind() else {
            panic!()
        };
        assert_eq!(id.as_str(), r#""\u0061""#);
    }
}
