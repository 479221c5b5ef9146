//! How much memory the processes of a backend use: of a unit systemd says it, of a
//! process group the kernel, process by process.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::keeper;

/// How long the processes of groups may take to be read.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much memory processes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// In bytes.
    pub(crate) bytes: u64,
    /// What was counted.
    pub(crate) measure: Measure,
}

/// What is counted of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// All that is charged to the unit's control group, its files in the page cache
    /// included (`memory.current`).
    Cgroup,
    /// The sum of the proportional set sizes of a group's processes: what several
    /// share counts once among them (proc(5), `smaps_rollup`).
    Pss,
    /// The sum of their resident set sizes, where the kernel does not give the
    /// others: what they share counts for each (proc(5), `VmRSS`).
    Rss,
}

/// That of `unit`, as far as systemd knows.
pub(crate) async fn of_unit(unit: &str) -> Option<Memory> {
    let bytes = keeper::units().await.ok()?.memory(unit).await?;
    Some(Memory {
        bytes,
        measure: Measure::Cgroup,
    })
}

/// That of each of these process groups, in their order; `None` where it has no
/// process, or there are too many to read in a second.
pub(crate) async fn of_groups(numbers: Vec<i32>) -> Vec<Option<Memory>> {
    let none = vec![None; numbers.len()];
    if numbers.is_empty() {
        return none;
    }
    let weighed = spawn_blocking(move || weigh(&numbers, Instant::now() + PATIENCE));
    weighed.await.ok().flatten().unwrap_or(none)
}

/// `None` if that is not done by the `deadline`. Blocks.
fn weigh(numbers: &[i32], deadline: Instant) -> Option<Vec<Option<Memory>>> {
    let mut groups: Vec<Option<Memory>> = vec![None; numbers.len()];
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        if Instant::now() > deadline {
            return None;
        }
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended meanwhile, here and below.
        let group = group_of(pid);
        let Some(index) = numbers.iter().position(|number| Some(*number) == group) else {
            continue;
        };
        if let Some(memory) = of_process(pid) {
            let sum = groups[index].get_or_insert(Memory {
                bytes: 0,
                measure: Measure::Pss,
            });
            sum.bytes += memory.bytes;
            sum.measure = sum.measure.max(memory.measure);
        }
    }
    Some(groups)
}

/// The process group of a process (proc(5), `/proc/PID/stat`). By system call it takes
/// more care: the kernel's own threads have one of the number 0.
fn group_of(pid: u32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let name = stat.iter().rposition(|byte| *byte == b')')?;
    let behind = str::from_utf8(&stat[name + 1..]).ok()?;
    behind.split_ascii_whitespace().nth(2)?.parse().ok()
}

fn of_process(pid: u32) -> Option<Memory> {
    let read = |file: &str, key, measure| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let bytes = kibibytes(&text, key)?.checked_mul(1024)?;
        Some(Memory { bytes, measure })
    };
    read("smaps_rollup", "Pss:", Measure::Pss).or_else(|| read("status", "VmRSS:", Measure::Rss))
}

/// The number behind `key`, at the start of a line, as in `Pss:    123 kB`.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_key() {
        let text = "55d-7ff [rollup]\nRss:   900 kB\nPss_Dirty:  7 kB\nPss:      123 kB\n";
        assert_eq!(kibibytes(text, "Pss:"), Some(123));
        assert_eq!(kibibytes(text, "VmRSS:"), None);
        assert_eq!(kibibytes("VmRSS:\tmuch", "VmRSS:"), None);
    }

    #[tokio::test]
    async fn a_group_that_is_gone_uses_none_and_this_one_some() {
        let own = group_of(std::process::id()).unwrap();
        let weighed = of_groups(vec![i32::MAX, own]).await;
        assert_eq!(weighed[0], None);
        let own = weighed[1].unwrap();
        assert!(own.bytes > 100 * 1024, "{own:?}");
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let past = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(weigh(&[1], past).is_none());
    }
}
