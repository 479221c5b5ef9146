//! The pauses between attempts to connect to a backend.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause after the first failed attempt; doubled with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The pause before attempt number `failures + 1`: exponential, with jitter, so
/// that backends that went down together do not come back together.
pub(super) fn before(failures: u32, max: Duration) -> Duration {
    let full = FIRST_DELAY
        .saturating_mul(1 << failures.saturating_sub(1).min(20))
        .min(max);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Waits until then; for ever if there is no such time.
pub(super) async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_jitter_up_to_the_longest() {
        let max = Duration::from_secs(60);
        for failures in 1..100 {
            let full = Duration::from_secs(1 << (failures - 1).min(10)).min(max);
            let pause = before(failures, max);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }
}
