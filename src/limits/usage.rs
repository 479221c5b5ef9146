//! What was used of a day, from one run of mcpmux to the next: else a restart
//! would be a new day. Those that have one state directory share it: each adds
//! what it has used to what is kept, and counts what the others have.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Allowance, Limits,
    allowance::{Day, today},
};
use crate::store::{Kind, Store};

/// How often it is kept, at most, and what others have used is counted. As much may be
/// forgotten when mcpmux is killed.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// The most callers that are kept of a day: those who used most.
const MAX: usize = 20_000;

const USAGE: Kind = Kind {
    name: "usage",
    version: 1,
    limit: 4 * 1024 * 1024,
};

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Usage {
    store: Store,
    /// What was kept when it was looked at last; it counts here as well.
    shared: Mutex<Record>,
}

/// Calls and bytes of each, by name.
type Uses = BTreeMap<String, (u64, u64)>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Days after 1970-01-01, UTC.
    day: u64,
    callers: Uses,
    backends: Uses,
}

impl Usage {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            store: Store::new(USAGE, Some(file)),
            shared: Mutex::default(),
        }
    }

    /// Takes what was kept into `limits`. Blocks.
    pub(super) fn load(&self, limits: &Limits) {
        let Some(kept) = self.store.load(&[]).map(|text| Record::read(Some(text))) else {
            return;
        };
        kept.count_in(limits, &Record::default());
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// Adds what `limits` say was used here since to what is kept, and takes into them
    /// what others have added. Blocks.
    pub(super) fn share(&self, limits: &Limits) {
        let here = Record::of(limits);
        if here.callers.is_empty() && here.backends.is_empty() {
            return;
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = None;
        let kept = self.store.update(|text| {
            let before = Record::read(text);
            let mut after = before.clone();
            after.add(&here, &shared);
            let changed = (after != before).then(|| serde_json::to_vec(&after).ok());
            all = Some(after);
            changed.flatten()
        });
        if let Some(all) = all.filter(|_| kept) {
            all.count_in(limits, &here);
            *shared = all;
        }
    }
}

impl Record {
    /// What was kept, if it is of today.
    fn read(text: Option<Vec<u8>>) -> Self {
        let kept = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let kept = kept.filter(|kept| kept.day == today());
        kept.unwrap_or_else(|| Self {
            day: today(),
            ..Self::default()
        })
    }

    /// What `limits` count now.
    fn of(limits: &Limits) -> Self {
        let used = |day: &Day| (day.calls, day.bytes);
        let callers = limits.callers.load();
        let callers = callers.as_ref().map(|callers| callers.today());
        let callers = callers.unwrap_or_default().into_iter();
        let backends = limits.backends.load();
        Self {
            day: today(),
            callers: callers.map(|(name, day)| (name, used(&day))).collect(),
            backends: backends
                .iter()
                .map(|(name, allowance)| (name.clone(), used(&allowance.today())))
                .collect(),
        }
    }

    /// Adds what was used `here` beyond what is `shared` already.
    fn add(&mut self, here: &Self, shared: &Self) {
        if here.day != self.day {
            return;
        }
        let none = Self::default();
        let shared = if shared.day == here.day {
            shared
        } else {
            &none
        };
        add(&mut self.callers, &here.callers, &shared.callers);
        add(&mut self.backends, &here.backends, &shared.backends);
        if self.callers.len() > MAX {
            let mut most: Vec<u64> = self.callers.values().map(|(calls, _)| *calls).collect();
            let (_, least, _) = most.select_nth_unstable_by(MAX / 2, |a, b| b.cmp(a));
            let least = *least;
            self.callers.retain(|_, (calls, _)| *calls > least);
        }
    }

    /// Has `limits`, which say what was used `here`, count all of this.
    fn count_in(&self, limits: &Limits, here: &Self) {
        let more = |uses: &Uses, name: &str, (calls, bytes): (u64, u64)| {
            let (own_calls, own_bytes) = uses.get(name).copied().unwrap_or_default();
            Day {
                number: self.day,
                calls: calls.saturating_sub(own_calls),
                bytes: bytes.saturating_sub(own_bytes),
            }
        };
        let count = |allowance: Option<Arc<Allowance>>, day: Day| {
            if let Some(allowance) = allowance {
                allowance.add(day);
            }
        };
        for (name, used) in &self.callers {
            let day = more(&here.callers, name, *used);
            if day.is_used() {
                count(limits.caller(name), day);
            }
        }
        for (name, used) in &self.backends {
            let day = more(&here.backends, name, *used);
            if day.is_used() {
                count(limits.backend(name), day);
            }
        }
    }
}

/// Adds to `uses` what is `here` beyond what is `shared`. One that counts less than that
/// was forgotten here and has begun anew.
fn add(uses: &mut Uses, here: &Uses, shared: &Uses) {
    for (name, now) in here {
        let before = shared.get(name).copied().unwrap_or_default();
        let before = if now.0 < before.0 { (0, 0) } else { before };
        let (calls, bytes) = (now.0 - before.0, now.1.saturating_sub(before.1));
        if calls > 0 || bytes > 0 {
            let all = uses.entry(name.clone()).or_default();
            *all = (all.0 + calls, all.1 + bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    /// The limits of a process in `folder`, and how it shares them.
    fn process(folder: &tempfile::TempDir) -> (Limits, Usage) {
        let text = "limits: { budget: 1000 }\nbackends:\n  - name: b\n    transport: command\n    \
                    command: [true]\n    limits: { budget: 1000 }\n";
        let config = Config::parse(text, "m.yaml", &Environment::default()).unwrap();
        let (limits, usage) = (
            Limits::new(&config),
            Usage::new(folder.path().join("usage")),
        );
        usage.load(&limits);
        (limits, usage)
    }

    fn call(limits: &Limits, caller: &str, times: u64) {
        for _ in 0..times {
            limits.caller(caller).unwrap().call().unwrap();
            limits.backend("b").unwrap().call().unwrap();
        }
    }

    fn used(limits: &Limits, caller: &str) -> (u64, u64) {
        let of = |allowance: Arc<Allowance>| allowance.today().calls;
        (
            of(limits.caller(caller).unwrap()),
            of(limits.backend("b").unwrap()),
        )
    }

    #[test]
    fn what_several_use_adds_up_for_each_of_them_and_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let ((one, of_one), (two, of_two)) = (process(&folder), process(&folder));
        call(&one, "a", 3);
        call(&two, "a", 4);
        call(&two, "z", 1);
        of_one.share(&one);
        of_two.share(&two);
        assert_eq!(used(&two, "a"), (7, 8));
        call(&one, "a", 10);
        of_one.share(&one);
        of_one.share(&one);
        of_two.share(&two);
        for limits in [&one, &two, &process(&folder).0] {
            assert_eq!(used(limits, "a"), (17, 18));
            assert_eq!(used(limits, "z").0, 1);
        }
    }

    #[test]
    fn another_day_is_not_counted_and_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let yesterday = Record {
            day: today() - 1,
            callers: [("a".to_owned(), (9, 0))].into(),
            backends: Uses::new(),
        };
        let usage = Usage::new(folder.path().join("usage"));
        usage.store.save(|| serde_json::to_vec(&yesterday).unwrap());
        let (limits, usage) = process(&folder);
        assert_eq!(used(&limits, "a"), (0, 0));
        call(&limits, "a", 2);
        usage.share(&limits);
        assert_eq!(used(&process(&folder).0, "a"), (2, 2));
    }
}
