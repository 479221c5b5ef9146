//! The soak: a mcpmux that is used in every way at once, for as long as is
//! asked, and looked at once a second. Clients of both eras come and go
//! ([`clients`]), backends are stopped and started and broken ones called
//! ([`deeds`]), and what mcpmux holds must not grow meanwhile ([`record`]).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::bail;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{binaries::Binaries, faults::Trouble, stage::Stage};

mod clients;
mod deeds;
mod record;

pub use record::{Record, Row, Sample};

/// How many clients there are at any time, each for a short life.
const CLIENTS: usize = 12;

/// What happened meanwhile.
#[derive(Debug, Default)]
pub struct Tally {
    /// Clients that came and went.
    pub lives: AtomicU64,
    /// Calls of good backends that were answered.
    pub calls: AtomicU64,
    /// Calls that were cancelled, or left by a client that went.
    pub left: AtomicU64,
    /// What was done to backends.
    pub deeds: AtomicU64,
    failures: AtomicU64,
    problems: Mutex<Vec<String>>,
}

/// How many problems are quoted.
const QUOTED: usize = 10;

impl Tally {
    /// Something that must not happen has happened.
    fn failed(&self, problem: String) {
        self.failures.fetch_add(1, Relaxed);
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < QUOTED {
            problems.push(problem);
        }
    }

    /// How much went wrong that must not, and the first few of it.
    pub fn failures(&self) -> (u64, Vec<String>) {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        (self.failures.load(Relaxed), problems.clone())
    }
}

/// Uses mcpmux for `duration`; `every` is told of each sample.
pub async fn run(
    binaries: Binaries,
    duration: Duration,
    mut every: impl FnMut(Duration, &Sample),
) -> anyhow::Result<(Record, Arc<Tally>)> {
    let mcpmux = binaries.mcpmux.clone();
    let mut stage = Stage::open(binaries)?;
    let (place, home) = stage.soaked().await?;
    let [pid] = place.pids[..] else {
        bail!("there is no mcpmux");
    };
    let tally = Arc::new(Tally::default());
    let mut busy = JoinSet::new();
    let endpoint = Arc::new(place.endpoint.clone());
    for number in 0..CLIENTS {
        busy.spawn(clients::come_and_go(
            Arc::clone(&endpoint),
            number,
            Arc::clone(&tally),
        ));
    }
    busy.spawn(deeds::repeat(mcpmux, home, Arc::clone(&tally)));
    let _trouble = Trouble::begin(&place.endpoint, &place.broken);
    let mut record = Record::new(stage.dir());
    let start = Instant::now();
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let elapsed = start.elapsed();
        every(elapsed, record.take(pid)?);
        // They end only where there is something wrong.
        if let Some(ended) = busy.try_join_next() {
            ended?;
            bail!("a part of the load has ended");
        }
        if elapsed >= duration {
            return Ok((record, tally));
        }
    }
}
