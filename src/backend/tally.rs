//! How often a backend was called, with what outcome, and how long it took.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

/// Steps to each doubling of time: a quantile is right within an eighth.
const STEPS: u32 = 4;

/// Microseconds up to 2^40, which is twelve days.
const BUCKETS: usize = 40 * STEPS as usize;

/// The calls of one backend since mcpmux began.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Calls that could not be made.
    refused: AtomicU64,
    failed: AtomicU64,
    starts: AtomicU64,
    times: Box<[AtomicU32; BUCKETS]>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            refused: AtomicU64::default(),
            failed: AtomicU64::default(),
            starts: AtomicU64::default(),
            times: Box::new([const { AtomicU32::new(0) }; BUCKETS]),
        }
    }
}

impl Tally {
    /// A call has ended after `time`.
    pub(crate) fn called(&self, time: Duration, failed: bool) {
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.times[bucket(time)].fetch_add(1, Ordering::Relaxed);
    }

    /// A call could not even be made.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was made.
    pub(super) fn started(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it was ever connected.
    pub(super) fn has_started(&self) -> bool {
        self.starts.load(Ordering::Relaxed) > 0
    }

    /// How many calls have ended.
    pub(crate) fn calls(&self) -> u64 {
        self.times().iter().sum::<u64>() + self.refused.load(Ordering::Relaxed)
    }

    /// How many of them with an error.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often it was connected after the first time.
    pub(crate) fn restarts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// The time within which `share` (0 to 1) of the calls have ended; `None` if
    /// there were none.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let times = self.times();
        let all: u64 = times.iter().sum();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of calls"
        )]
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let index = times.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        index.map(upper)
    }

    fn times(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|index| self.times[index].load(Ordering::Relaxed).into())
    }
}

/// The bucket of a time.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < u64::from(STEPS) {
        return usize::try_from(micros).unwrap_or(0);
    }
    let doublings = micros.ilog2();
    let step = (micros >> (doublings - STEPS.ilog2())) & u64::from(STEPS - 1);
    let index = (doublings - STEPS.ilog2() + 1) * STEPS;
    (index as usize + usize::try_from(step).unwrap_or(0)).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper(index: usize) -> Duration {
    let (doublings, step) = (index / STEPS as usize, index as u64 % u64::from(STEPS));
    let micros = if doublings == 0 {
        step
    } else {
        ((u64::from(STEPS) + step + 1) << (doublings - 1)) - 1
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_times_that_are_nearly_the_same() {
        for micros in (0..10_000).chain([123_456, 7_654_321, 9_876_543_210]) {
            let time = Duration::from_micros(micros);
            let upper = upper(bucket(time));
            assert!(
                upper >= time && upper <= time + time / 4,
                "{time:?}: {upper:?}"
            );
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn half_of_the_calls_are_faster_than_the_median() {
        let tally = Tally::default();
        assert_eq!(tally.quantile(0.5), None);
        for millis in 1..=100 {
            tally.called(Duration::from_millis(millis), millis > 98);
        }
        let within = |share, low, high| {
            let time = tally.quantile(share).expect("calls").as_millis();
            assert!((low..=high).contains(&time), "{share}: {time}");
        };
        within(0.5, 50, 63);
        within(0.95, 95, 119);
        assert_eq!((tally.calls(), tally.failed()), (100, 2));
    }
}
