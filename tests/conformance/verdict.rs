//! What the suite finds of one scenario, and how two findings differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

/// The checks of a scenario.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Vec<Check>);

#[derive(Clone)]
struct Check {
    id: String,
    status: String,
    message: String,
}

impl Verdict {
    /// Reads the suite's own record.
    pub(crate) fn read(checks: &[u8]) -> Self {
        let checks: Vec<Value> = serde_json::from_slice(checks).unwrap();
        let text = |check: &Value, member: &str| {
            let text = check[member].as_str().unwrap_or_default();
            text.replace('\n', " ")
        };
        Self(
            checks
                .iter()
                .map(|check| Check {
                    id: text(check, "id"),
                    status: text(check, "status"),
                    message: text(check, "errorMessage"),
                })
                .collect(),
        )
    }

    /// What failed, a line each.
    pub(crate) fn failures(&self) -> String {
        let failed = self.0.iter().filter(|check| check.status == "FAILURE");
        if self.0.is_empty() {
            return "  the suite gave up\n".to_owned();
        }
        failed.fold(String::new(), |mut lines, check| {
            let _ = writeln!(lines, "  {}: {}", check.id, check.message);
            lines
        })
    }

    /// The checks that come out otherwise in `other`, a line each: the check, its
    /// statuses here and there, and what the suite says to those there.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let (here, there) = (self.statuses(), other.statuses());
        let mut lines = String::new();
        let ids: BTreeSet<_> = here.keys().chain(there.keys()).collect();
        for id in ids {
            let here = here.get(id).map_or(&[][..], Vec::as_slice);
            let there = there.get(id).map_or(&[][..], Vec::as_slice);
            if here == there {
                continue;
            }
            let messages: Vec<_> = other
                .0
                .iter()
                .filter(|check| check.id == **id && !check.message.is_empty())
                .map(|check| check.message.as_str())
                .collect();
            let _ = writeln!(
                lines,
                "  {id} | directly {} | through mcpmux {} | {}",
                shown(here),
                shown(there),
                messages.join("; ")
            );
        }
        lines
    }

    /// Takes from `other` the checks that passed here and only inform there.
    pub(crate) fn forgive_what_informs(&mut self, other: &Self) {
        for check in &mut self.0 {
            let informs = |there: &&Check| there.id == check.id && there.status == "INFO";
            if check.status == "SUCCESS" && other.0.iter().any(|there| informs(&there)) {
                "INFO".clone_into(&mut check.status);
            }
        }
    }

    /// Each check's statuses, in order. Of what only informs, once is enough: how
    /// many events and requests there were depends on time.
    fn statuses(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut statuses = BTreeMap::<_, Vec<_>>::new();
        for check in &self.0 {
            let of_check = statuses.entry(check.id.as_str()).or_default();
            if check.status != "INFO" || !of_check.contains(&"INFO") {
                of_check.push(check.status.as_str());
            }
        }
        for of_check in statuses.values_mut() {
            of_check.sort_unstable();
        }
        statuses
    }
}

fn shown(statuses: &[&str]) -> String {
    if statuses.is_empty() {
        return "absent".to_owned();
    }
    statuses.join("+")
}
