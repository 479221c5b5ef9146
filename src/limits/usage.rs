//! What was used of a day, from one run of mcpmux to the next: else a restart
//! would be a new day.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Limits, allowance::Day};
use crate::store::{Kind, Store};

/// How often it is kept, at most. As much may be forgotten when mcpmux is killed.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

const USAGE: Kind = Kind {
    name: "usage",
    version: 1,
    limit: 4 * 1024 * 1024,
};

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Usage {
    store: Store,
    kept: Mutex<Vec<u8>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    /// Days after 1970-01-01, UTC.
    day: u64,
    /// Calls and bytes of each.
    callers: BTreeMap<String, (u64, u64)>,
    backends: BTreeMap<String, (u64, u64)>,
}

impl Usage {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            store: Store::new(USAGE, Some(file)),
            kept: Mutex::default(),
        }
    }

    /// Takes what was kept into `limits`. Blocks.
    pub(super) fn load(&self, limits: &Limits) {
        let record = self.store.load(&[]);
        let Some(record) = record.and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        else {
            return;
        };
        let day = |(calls, bytes)| Day {
            number: record.day,
            calls,
            bytes,
        };
        for (name, used) in record.callers {
            if let Some(allowance) = limits.caller(&name) {
                allowance.recall(day(used));
            }
        }
        for (name, used) in record.backends {
            if let Some(allowance) = limits.backend(&name) {
                allowance.recall(day(used));
            }
        }
    }

    /// Keeps what `limits` says is used up, if that is not what is kept. Blocks.
    pub(super) fn save(&self, limits: &Limits) {
        let used = |day: &Day| (day.calls, day.bytes);
        let callers = limits
            .callers
            .as_ref()
            .map(super::callers::Callers::today)
            .unwrap_or_default();
        let backends = limits.backends.load();
        let backends = backends
            .iter()
            .map(|(name, allowance)| (name, allowance.today()));
        let mut record = Record::default();
        for (name, day) in callers {
            record.day = day.number;
            record.callers.insert(name, used(&day));
        }
        for (name, day) in backends {
            record.day = day.number;
            record.backends.insert(name.clone(), used(&day));
        }
        if record.callers.is_empty() && record.backends.is_empty() {
            return;
        }
        let text = serde_json::to_vec(&record).unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept != text && self.store.save(|| text.clone()) {
            *kept = text;
        }
    }
}
