//! What programs cost, as the kernel tells it in `/proc` (`proc(5)`): CPU time,
//! and resident memory now and at its peak.

use std::{fs, time::Duration};

use anyhow::Context;

/// The cost of one or more processes, summed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time since the start, threads included.
    pub cpu: Duration,
    /// Resident memory now (`VmRSS`), in KiB.
    pub resident: u64,
    /// The most resident memory (`VmHWM`) since the last [`reset_peak`], in KiB.
    pub peak: u64,
}

/// Reads the usage of `pids`.
pub fn read(pids: &[u32]) -> anyhow::Result<Usage> {
    let tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second())?;
    let mut sum = Usage::default();
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        sum.cpu += tick
            * cpu_ticks(&stat).with_context(|| format!("/proc/{pid}/stat is not understood"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        sum.resident += kibibytes(&status, "VmRSS:");
        sum.peak += kibibytes(&status, "VmHWM:");
    }
    Ok(sum)
}

/// Lets the peak of `pids` start again from what is resident now.
pub fn reset_peak(pids: &[u32]) {
    for pid in pids {
        // Where this is not permitted the peak is that of the whole run.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// `parent` and its children.
pub fn family(parent: u32) -> Vec<u32> {
    let children =
        fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    std::iter::once(parent)
        .chain(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok()),
        )
        .collect()
}

/// `utime` and `stime`, fields 14 and 15; the name in field 2 may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kibibytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 12 30 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(42));
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = read(&[std::process::id()]).expect("proc is mounted");
        assert!(usage.resident > 0 && usage.peak >= usage.resident);
    }
}
