//! The revisions of the specification, as clients and as backends speak them.

use std::fmt;

use crate::support::Era;

/// A revision, ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Revision(usize);

const DATES: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

impl Revision {
    /// The first one.
    pub(crate) const V2024_11_05: Self = Self(0);
    /// The one that brought elicitation and structured content.
    pub(crate) const V2025_06_18: Self = Self(2);
    /// The last one with sessions.
    pub(crate) const V2025_11_25: Self = Self(3);
    /// The stateless one.
    pub(crate) const V2026_07_28: Self = Self(4);

    /// All of them, oldest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..DATES.len()).map(Self)
    }

    /// Its date.
    pub(crate) fn date(self) -> &'static str {
        DATES[self.0]
    }

    /// Whether it is the stateless one.
    pub(crate) fn is_modern(self) -> bool {
        self == Self::V2026_07_28
    }

    /// As a client of the test speaks it.
    pub(crate) fn era(self) -> Era {
        if self.is_modern() {
            Era::Modern
        } else {
            Era::Legacy(self.date())
        }
    }

    /// All that a client of it can be asked.
    pub(crate) fn abilities(self) -> &'static str {
        if self.is_modern() {
            r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
        } else if self == Self::V2025_11_25 {
            r#"{"roots":{},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}"#
        } else if self >= Self::V2025_06_18 {
            r#"{"roots":{},"sampling":{},"elicitation":{}}"#
        } else {
            r#"{"roots":{},"sampling":{}}"#
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.date())
    }
}
