//! The levels of log messages (RFC 5424, section 6.2.1; `server/utilities/logging`).

use super::{Message, RawObject, meta};

/// How grave a log message is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Of use to who debugs.
    Debug,
    /// What happens normally.
    Info,
    /// Normal but significant.
    Notice,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// A critical condition.
    Critical,
    /// Action must be taken at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

impl Level {
    /// Every level, least first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level of a `notifications/message`, or the one that a
    /// `logging/setLevel` asks for.
    pub fn of(message: &Message) -> Option<Self> {
        let params = RawObject::parse(message.payload()?).ok()?;
        Self::parse(&params.get_str("level").ok()??)
    }

    /// The level that a modern request asks for in its `_meta`.
    pub fn wanted(params: &RawObject<'_>) -> Option<Self> {
        let meta = RawObject::parse(params.get("_meta").ok()??).ok()?;
        Self::parse(&meta.get_str(meta::LOG_LEVEL).ok()??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_know_their_names() {
        for pair in Level::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
        let message =
            Message::notification("notifications/message", r#"{"level":"alert","data":1}"#);
        assert_eq!(Level::of(&message), Some(Level::Alert));
    }
}
