//! Threads by number: what several would get in each other's way with, each has for
//! itself, and finds by it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The number of this thread. No other has had it.
pub(crate) fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// How many there are of what each thread has: more threads share it.
pub(crate) const LANES: usize = 8;

/// Which of `lanes` of them is this thread's.
pub(crate) fn lane(lanes: usize) -> usize {
    number() % lanes.max(1)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_thread_has_one_number_and_no_other_has_it() {
        let here = number();
        let there = std::thread::spawn(number);
        assert_ne!(there.join().expect("a number"), here);
        assert_eq!(number(), here);
    }
}
