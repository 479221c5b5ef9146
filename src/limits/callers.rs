//! The allowances of callers, by name: bounded, however many there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Allowance, allowance::Day};
use crate::config::Quota;

/// The most callers that are told apart. Beyond, one without calls in flight that
/// made the fewest calls today is forgotten, and begins anew if it comes back.
const MAX: usize = 10_000;

/// What every caller may use, and has used.
#[derive(Debug)]
pub(super) struct Callers {
    quota: Quota,
    table: Mutex<HashMap<String, Arc<Allowance>>>,
}

impl Callers {
    /// Each may use `quota`.
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            table: Mutex::default(),
        }
    }

    /// Those of now with `quota` for each; what they have used counts.
    pub(super) fn turned_to(&self, quota: Quota) -> Self {
        let table = self.table();
        let table = table.iter().map(|(name, allowance)| {
            let allowance = allowance.turned_to(quota);
            (name.clone(), Arc::new(allowance))
        });
        Self {
            quota,
            table: Mutex::new(table.collect()),
        }
    }

    /// Whether this is what each may use.
    pub(super) fn are_of(&self, quota: Quota) -> bool {
        self.quota == quota
    }

    /// The allowance of the caller `name`.
    pub(super) fn of(&self, name: &str) -> Arc<Allowance> {
        let mut table = self.table();
        if let Some(allowance) = table.get(name) {
            return Arc::clone(allowance);
        }
        if table.len() >= MAX {
            make_room(&mut table);
        }
        let allowance = Arc::new(Allowance::new(name, self.quota));
        table.insert(name.to_owned(), Arc::clone(&allowance));
        allowance
    }

    /// What each has used today, if anything.
    pub(super) fn today(&self) -> Vec<(String, Day)> {
        let table = self.table();
        let all = table
            .iter()
            .map(|(name, allowance)| (name.clone(), allowance.today()));
        all.filter(|(_, day)| day.calls > 0).collect()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Allowance>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a tenth at once, so that a flood of callers is not a search for each.
fn make_room(table: &mut HashMap<String, Arc<Allowance>>) {
    let mut weights: Vec<_> = table.values().map(|allowance| allowance.weight()).collect();
    let (_, limit, _) = weights.select_nth_unstable(MAX / 10);
    let limit = *limit;
    let mut left = MAX / 10;
    table.retain(|_, allowance| {
        let goes = left > 0 && allowance.weight() <= limit;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_who_used_most_is_remembered() {
        let callers = Callers::new(Quota {
            budget: Some(1),
            ..Quota::default()
        });
        let busy = callers.of("busy");
        let _call = busy.call().unwrap();
        for number in 0..2 * MAX {
            callers.of(&number.to_string());
        }
        assert!(callers.table().len() <= MAX);
        assert!(callers.of("busy").call().is_err());
    }
}
