//! Calls that fail on the way one after the other, although the backend answers
//! pings: what follows fails at once, until the one call that tries it is answered.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{BackendError, Down, pause};

/// So many calls that fail on the way, one after the other, open it.
const FAILED: u32 = 5;

/// So many subjects of calls that fail, and none is spared: before that, only calls of
/// the same subjects fail at once, so that one bad tool does not block the others.
const SUBJECTS: usize = 3;

/// The longest pause between two trials.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The circuit of one connection; closed at first.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// A call has failed since the last answer. Every message comes by here, and looks
    /// no further as long as all is well.
    troubled: AtomicBool,
    trouble: Mutex<Trouble>,
    /// It was opened, opened again, or closed.
    changed: Notify,
}

/// What is known since the last answer.
#[derive(Debug, Default)]
struct Trouble {
    /// Calls that failed on the way.
    failed: u32,
    /// What they were about.
    subjects: Vec<Box<str>>,
    /// It is open.
    open: Option<Open>,
    /// The number of the trial before; no other has the same.
    trials: u64,
}

#[derive(Debug)]
struct Open {
    reason: Arc<str>,
    since: Instant,
    /// When a call is let through.
    next: Instant,
    /// How often it was opened, without an answer between.
    times: u32,
    /// The call that was let through and has not ended.
    trial: Option<u64>,
}

impl Circuit {
    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has answered a call, whatever it said.
    pub(super) fn answered(&self) {
        if !self.troubled.load(Ordering::Acquire) {
            return;
        }
        let mut trouble = self.lock();
        self.troubled.store(false, Ordering::Release);
        trouble.failed = 0;
        trouble.subjects.clear();
        if trouble.open.take().is_some() {
            self.changed.notify_one();
        }
    }

    /// A call about `subject` failed on the way, which was `trial` if it was one.
    pub(super) fn failed(&self, subject: &str, trial: Option<u64>, error: &BackendError) {
        let mut trouble = self.lock();
        let trouble = &mut *trouble;
        self.troubled.store(true, Ordering::Release);
        trouble.failed = trouble.failed.saturating_add(1);
        let known = trouble.subjects.iter().any(|known| **known == *subject);
        if !known && trouble.subjects.len() < SUBJECTS {
            trouble.subjects.push(subject.into());
        }
        let (since, times) = match &trouble.open {
            // One that was sent before says nothing new.
            Some(open) if trial.is_none() || open.trial != trial => return,
            Some(open) => (open.since, open.times.saturating_add(1)),
            None if trouble.failed < FAILED => return,
            None => (Instant::now(), 1),
        };
        let failed = trouble.failed;
        trouble.open = Some(Open {
            reason: format!("{failed} calls in a row had no answer, the last one: {error}").into(),
            since,
            next: Instant::now() + pause::before(times, LONGEST_PAUSE),
            times,
            trial: None,
        });
        self.changed.notify_one();
    }

    /// Lets a call about `subject` through; as a trial, if it gives a number. Error: why
    /// not.
    pub(super) fn admit(&self, subject: &str) -> Result<Option<u64>, Down> {
        self.look(subject, true)
    }

    /// Whether a call about `subject` would be let through now. Error: why not.
    pub(super) fn check(&self, subject: &str) -> Result<(), Down> {
        self.look(subject, false).map(drop)
    }

    fn look(&self, subject: &str, enters: bool) -> Result<Option<u64>, Down> {
        if !self.troubled.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut trouble = self.lock();
        let trouble = &mut *trouble;
        let spared = trouble.subjects.len() < SUBJECTS
            && !trouble.subjects.iter().any(|known| **known == *subject);
        let Some(open) = trouble.open.as_mut().filter(|_| !spared) else {
            return Ok(None);
        };
        if open.trial.is_some() || Instant::now() < open.next {
            return Err(open.down());
        }
        if enters {
            trouble.trials += 1;
            open.trial = Some(trouble.trials);
        }
        Ok(open.trial)
    }

    /// The call that was `trial` has ended; if nothing came of it, the next one is
    /// another.
    pub(super) fn release(&self, trial: u64) {
        if let Some(open) = &mut self.lock().open {
            open.trial.take_if(|own| *own == trial);
        }
    }

    /// Why calls fail at once, if they do.
    pub(super) fn down(&self) -> Option<Down> {
        self.lock().open.as_ref().map(Open::down)
    }

    /// Waits until it is opened, opened again, or closed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Open {
    fn down(&self) -> Down {
        Down {
            reason: Arc::clone(&self.reason),
            since: self.since,
            next: Some(self.next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: BackendError = BackendError::NoResponse;

    fn fail(circuit: &Circuit, subjects: &[&str]) {
        for subject in subjects {
            circuit.failed(subject, None, &ERROR);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_after_growing_pauses_opens_or_closes_it() {
        let circuit = Circuit::default();
        fail(&circuit, &["t"; 4]);
        circuit.answered();
        fail(&circuit, &["t"; 4]);
        assert_eq!(circuit.admit("t").ok(), Some(None));
        fail(&circuit, &["t"]);
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            let down = circuit.admit("t").expect_err("it is open");
            let next = down.next.expect("a trial");
            let pause = next - Instant::now();
            assert!(pause <= LONGEST_PAUSE, "{pause:?}");
            longest = longest.max(pause);
            tokio::time::advance(pause).await;
            assert!(circuit.check("t").is_ok());
            let trial = circuit.admit("t").expect("a trial");
            assert!(circuit.admit("t").is_err() && circuit.check("t").is_err());
            // One that is given up is followed by another, and ends no other's.
            circuit.release(trial.expect("a number"));
            let second = circuit.admit("t").expect("a trial");
            circuit.release(trial.expect("a number"));
            circuit.failed("t", trial, &ERROR);
            assert!(circuit.admit("t").is_err());
            circuit.failed("t", second, &ERROR);
        }
        assert!(longest >= LONGEST_PAUSE / 2, "{longest:?}");
        circuit.answered();
        assert!(circuit.admit("t").is_ok() && circuit.down().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_not_failed_goes_through_until_too_much_has() {
        let circuit = Circuit::default();
        fail(&circuit, &["bad"; 9]);
        assert!(circuit.admit("bad").is_err());
        assert_eq!(circuit.admit("good").ok(), Some(None));
        fail(&circuit, &["worse", "worst"]);
        assert!(circuit.admit("good").is_err());
    }
}
