//! Where a part of a message stands in its text. In half the room of a range: a
//! message is moved often.

use std::ops::Range;

/// The longest text that parts are found in: one that is made of a few others has its
/// places in a [`Span`] as well.
pub(super) const MAX: usize = 1 << 30;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        let at = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self {
            start: at(range.start),
            end: at(range.end),
        }
    }
}

impl Span {
    /// The same, to take the part.
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
