//! The last lines that a backend's processes wrote to stderr, for where no journal
//! keeps them: bounded in lines and bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most lines that are kept.
const LINES: usize = 1000;

/// The most bytes of them.
const BYTES: usize = 256 * 1024;

/// The last lines of a backend.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    /// How many lines there were so far.
    written: u64,
    /// How many of them before its process was launched.
    before: u64,
}

impl Tail {
    /// Takes the next line.
    pub(super) fn put(&self, line: &str) {
        let mut last = self.lock();
        last.written += 1;
        last.bytes += line.len();
        last.lines.push_back(line.into());
        while last.lines.len() > LINES || last.bytes > BYTES {
            let Some(first) = last.lines.pop_front() else {
                break;
            };
            last.bytes -= first.len();
        }
    }

    /// A process is launched: what follows is its.
    pub(super) fn begin(&self) {
        let mut last = self.lock();
        last.before = last.written;
    }

    /// The last lines, `most` of them at most, of the process that was launched last.
    pub(crate) fn latest(&self, most: usize) -> Vec<String> {
        let before = self.lock().before;
        self.after(before, most).0
    }

    /// The last lines, `most` of them at most, of those that came after the first
    /// `seen`; and how many there were so far.
    pub(crate) fn after(&self, seen: u64, most: usize) -> (Vec<String>, u64) {
        let last = self.lock();
        let news = usize::try_from(last.written.saturating_sub(seen)).unwrap_or(usize::MAX);
        let count = news.min(most).min(last.lines.len());
        let lines = last.lines.range(last.lines.len() - count..);
        (lines.map(ToString::to_string).collect(), last.written)
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_what_was_seen_is_not_given_again() {
        let tail = Tail::default();
        assert_eq!(tail.after(0, 10), (vec![], 0));
        for line in ["a", "b", "c"] {
            tail.put(line);
        }
        assert_eq!(tail.after(0, 2), (vec!["b".to_owned(), "c".to_owned()], 3));
        tail.put("d");
        assert_eq!(tail.after(3, 10), (vec!["d".to_owned()], 4));
        // Of another run of mcpmux more was seen than this one has had.
        assert_eq!(tail.after(99, 10), (vec![], 4));
    }

    #[test]
    fn the_latest_are_of_the_process_that_was_launched_last() {
        let tail = Tail::default();
        tail.put("a");
        assert_eq!(tail.latest(9), ["a"]);
        tail.begin();
        assert!(tail.latest(9).is_empty());
        tail.put("b");
        tail.put("c");
        assert_eq!(tail.latest(9), ["b", "c"]);
        assert_eq!(tail.latest(1), ["c"]);
    }

    #[test]
    fn they_are_bounded_in_number_and_bytes() {
        let tail = Tail::default();
        for n in 0..=LINES {
            tail.put(&n.to_string());
        }
        let (lines, written) = tail.after(0, usize::MAX);
        assert_eq!((lines.len(), written), (LINES, LINES as u64 + 1));
        assert_eq!(lines[0], "1");
        tail.put(&"x".repeat(BYTES));
        assert_eq!(tail.after(0, usize::MAX).0.len(), 1);
        tail.put("y");
        assert_eq!(tail.after(0, usize::MAX).0, ["y"]);
    }
}
