//! What one holder, a caller or a backend, may use, and has used.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use governor::{
    DefaultDirectRateLimiter, RateLimiter,
    clock::{Clock, DefaultClock},
};

use super::Exhausted;
use crate::config::Quota;

/// When it is worth another try while all places are taken: nobody knows.
const SOON: Duration = Duration::from_secs(1);

const DAY: u64 = 24 * 60 * 60;

/// What a holder may use.
#[derive(Debug)]
pub struct Allowance {
    whose: String,
    quota: Quota,
    bucket: Option<DefaultDirectRateLimiter>,
    /// Shared with the one before it.
    used: Arc<Mutex<Used>>,
}

/// What is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    in_flight: u32,
    today: Day,
}

/// What was used in one day (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// Days after 1970-01-01.
    pub(super) number: u64,
    pub(super) calls: u64,
    pub(super) bytes: u64,
}

impl Allowance {
    /// All of `quota` is left to `whose`, as messages say.
    pub(super) fn new(whose: &str, quota: Quota) -> Self {
        Self {
            whose: whose.to_owned(),
            quota,
            bucket: quota.rate.map(|rate| {
                let burst = quota.burst.unwrap_or(rate);
                RateLimiter::direct(governor::Quota::per_second(rate).allow_burst(burst))
            }),
            used: Arc::default(),
        }
    }

    /// One of `quota` in place of this: what is used of this is used of that, calls
    /// in flight included.
    pub(super) fn turned_to(&self, quota: Quota) -> Self {
        Self {
            used: Arc::clone(&self.used),
            ..Self::new(&self.whose, quota)
        }
    }

    /// Whether this is what it allows.
    pub(super) fn is_of(&self, quota: Quota) -> bool {
        self.quota == quota
    }

    /// Takes one request from what the rate allows.
    pub fn request(&self) -> Result<(), Exhausted> {
        let Some(bucket) = &self.bucket else {
            return Ok(());
        };
        bucket.check().map_err(|not| {
            let rate = self.quota.rate.map_or(0, Into::into);
            let after = not.wait_time_from(DefaultClock::default().now());
            self.exhausted(&format!("may send {rate} requests a second"), after)
        })
    }

    /// Begins a call; it counts as one in flight until it is dropped, and as one
    /// of the day.
    pub fn call(self: &Arc<Self>) -> Result<Call, Exhausted> {
        let now = seconds();
        let mut used = self.used();
        used.today = used.today.at(now);
        let tomorrow = Duration::from_secs(DAY - now % DAY);
        if let Some(most) = self
            .quota
            .concurrency
            .filter(|most| used.in_flight >= *most)
        {
            let what = format!("may have {most} calls in flight");
            return Err(self.exhausted(&what, SOON));
        }
        if let Some(most) = self.quota.budget.filter(|most| used.today.calls >= *most) {
            let what = format!("may make {most} calls a day, and has");
            return Err(self.exhausted(&what, tomorrow));
        }
        if let Some(most) = self.quota.bytes.filter(|most| used.today.bytes >= *most) {
            let what = format!("may move {most} bytes a day, and has");
            return Err(self.exhausted(&what, tomorrow));
        }
        used.in_flight += 1;
        used.today.calls += 1;
        Ok(Call(Arc::clone(self)))
    }

    /// What was used today.
    pub(super) fn today(&self) -> Day {
        self.used().today.at(seconds())
    }

    /// That was used elsewhere of this day, beside what was used here.
    pub(super) fn add(&self, day: Day) {
        let now = seconds();
        let day = day.at(now);
        let mut used = self.used();
        used.today = used.today.at(now);
        used.today.calls += day.calls;
        used.today.bytes += day.bytes;
    }

    /// How much would be lost if it were forgotten: calls in flight, then calls of
    /// today.
    pub(super) fn weight(&self) -> (u32, u64) {
        let used = self.used();
        (used.in_flight, used.today.at(seconds()).calls)
    }

    fn exhausted(&self, what: &str, after: Duration) -> Exhausted {
        Exhausted {
            whose: self.whose.clone(),
            what: what.to_owned(),
            after,
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Day {
    /// Whether anything was used.
    pub(super) fn is_used(self) -> bool {
        self.calls > 0 || self.bytes > 0
    }

    /// The same at `now`, seconds after 1970: nothing if that is another day.
    fn at(self, now: u64) -> Self {
        let number = now / DAY;
        if self.number == number {
            return self;
        }
        Self {
            number,
            ..Self::default()
        }
    }
}

/// A call in flight.
#[derive(Debug)]
pub struct Call(Arc<Allowance>);

impl Call {
    /// It moved so many bytes.
    pub fn moved(&self, bytes: usize) {
        if self.0.quota.bytes.is_some() {
            self.0.used().today.bytes += bytes as u64;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.used().in_flight -= 1;
    }
}

/// The number of the day that it is.
pub(super) fn today() -> u64 {
    seconds() / DAY
}

fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn of(quota: Quota) -> Arc<Allowance> {
        Arc::new(Allowance::new("user:1", quota))
    }

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let one = NonZeroU32::new(1);
        let allowance = of(Quota {
            rate: one,
            burst: NonZeroU32::new(3),
            ..Quota::default()
        });
        for _ in 0..3 {
            allowance.request().unwrap();
        }
        let exhausted = allowance.request().unwrap_err();
        assert_eq!(exhausted.seconds(), 1);
        assert!(
            exhausted.to_string().contains("1 requests a second"),
            "{exhausted}"
        );
    }

    #[test]
    fn a_place_is_free_again_when_its_call_has_ended() {
        let allowance = of(Quota {
            concurrency: Some(2),
            ..Quota::default()
        });
        let first = allowance.call().unwrap();
        let _second = allowance.call().unwrap();
        assert!(allowance.call().is_err());
        drop(first);
        assert!(allowance.call().is_ok());
    }

    #[test]
    fn a_day_has_so_many_calls_and_bytes_and_the_next_one_again() {
        let calls = of(Quota {
            budget: Some(2),
            ..Quota::default()
        });
        drop((calls.call().unwrap(), calls.call().unwrap()));
        let exhausted = calls.call().unwrap_err();
        assert!(exhausted.seconds() <= DAY);
        let yesterday = Day {
            number: calls.today().number - 1,
            ..calls.today()
        };
        calls.used().today = yesterday;
        assert!(calls.call().is_ok());

        let bytes = of(Quota {
            bytes: Some(100),
            ..Quota::default()
        });
        bytes.call().unwrap().moved(100);
        assert!(bytes.call().is_err());
    }
}
