//! What mcpmux holds, second by second, and whether that grows.

use std::{
    fmt, fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::rounds::median;

/// What was there at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// File descriptors of mcpmux, where they may be counted (`proc_pid_fd(5)`).
    pub descriptors: Option<f64>,
    /// Its memory that is no file's (`RssAnon`), in MiB.
    pub anonymous: f64,
    /// All that it has resident (`VmRSS`), in MiB.
    pub resident: f64,
    /// Its threads.
    pub threads: f64,
    /// Processes of the run: mcpmux, its guard, its backends and what those
    /// started.
    pub processes: f64,
}

/// All samples of a run.
#[derive(Debug)]
pub struct Record {
    dir: PathBuf,
    samples: Vec<Sample>,
}

/// One thing that is looked at, over the run.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is.
    pub what: &'static str,
    /// At the first look.
    pub start: f64,
    /// The median of the second fifth: after the warm-up.
    pub warm: f64,
    /// The median of the last fifth.
    pub end: f64,
    /// How much `end` is over `warm`, for an hour.
    pub slope: f64,
    /// Whether `end` is `warm`, but for what is allowed.
    pub flat: bool,
}

/// What is looked at: its name, how it is read, and how much of it may come and
/// go by itself, in its own unit.
type Look = (&'static str, fn(&Sample) -> Option<f64>, f64);

const LOOKS: [Look; 5] = [
    ("file descriptors", |sample| sample.descriptors, 10.0),
    ("RssAnon, MiB", |sample| Some(sample.anonymous), 1.0),
    ("resident, MiB", |sample| Some(sample.resident), 1.0),
    ("threads", |sample| Some(sample.threads), 2.0),
    ("processes", |sample| Some(sample.processes), 4.0),
];

/// What may be more at the end, beside that, as a share.
const ALLOWED: f64 = 0.1;

/// The fewest samples that a judgement is made of.
const ENOUGH: usize = 120;

impl Record {
    /// A record of the run whose files are in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            samples: Vec::new(),
        }
    }

    /// Takes a sample of the mcpmux that has the id `pid`.
    pub(super) fn take(&mut self, pid: u32) -> io::Result<&Sample> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap_or(f64::NAN)
        };
        let count = |entries: usize| u32::try_from(entries).map_or(f64::INFINITY, f64::from);
        // mcpmux hides its descriptors from all but root.
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok();
        self.samples.push(Sample {
            descriptors: descriptors.map(|entries| count(entries.count())),
            anonymous: number("RssAnon:") / 1024.0,
            resident: number("VmRSS:") / 1024.0,
            threads: number("Threads:"),
            processes: count(self.processes()),
        });
        Ok(&self.samples[self.samples.len() - 1])
    }

    /// Processes that name the run's directory in their environment.
    fn processes(&self) -> usize {
        let mark = self.dir.as_os_str().as_bytes();
        let named = |id: &Path| {
            fs::read(id.join("environ"))
                .is_ok_and(|environment| environment.windows(mark.len()).any(|part| part == mark))
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter(|entry| named(&entry.path())).count()
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether it is long enough for a judgement.
    pub fn is_enough(&self) -> bool {
        self.len() >= ENOUGH
    }

    /// What became of all that was looked at.
    pub fn rows(&self) -> Vec<Row> {
        LOOKS.iter().filter_map(|look| self.row(look)).collect()
    }

    fn row(&self, &(what, read, slack): &Look) -> Option<Row> {
        let values: Vec<f64> = self.samples.iter().map(read).collect::<Option<_>>()?;
        let fifth = values.len() / 5;
        let part = |nth: usize| median(values[nth * fifth..][..fifth].to_vec());
        let (warm, end) = (part(1), part(4));
        let hours = f64::from(u32::try_from(3 * fifth).unwrap_or(u32::MAX)) / 3600.0;
        Some(Row {
            what,
            start: *values.first()?,
            warm,
            end,
            slope: (end - warm) / hours,
            flat: end <= warm * (1.0 + ALLOWED) + slack,
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<18}{:>10}{:>12}{:>10}{:>12}",
            "", "start", "warmed up", "end", "an hour"
        )?;
        for row in self.rows() {
            let verdict = match (self.is_enough(), row.flat) {
                (false, _) => "",
                (true, true) => "   flat",
                (true, false) => "   GROWS",
            };
            writeln!(
                f,
                "{:<18}{:>10.1}{:>12.1}{:>10.1}{:>+12.1}{verdict}",
                row.what, row.start, row.warm, row.end, row.slope
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(descriptors: impl Fn(f64) -> f64) -> Record {
        let sample = |second: u32| Sample {
            descriptors: Some(descriptors(f64::from(second))),
            anonymous: 2.0,
            resident: 12.0,
            threads: 4.0,
            processes: 9.0,
        };
        let samples = (0..1000).map(sample).collect();
        Record {
            dir: PathBuf::new(),
            samples,
        }
    }

    fn flat(descriptors: impl Fn(f64) -> f64) -> bool {
        let rows = record(descriptors).rows();
        assert!(rows[1..].iter().all(|row| row.flat), "{rows:?}");
        rows[0].flat
    }

    #[test]
    fn what_grows_all_the_time_is_not_flat() {
        assert!(!flat(|second| 100.0 + second / 20.0));
    }

    #[test]
    fn a_warm_up_and_single_peaks_are_no_growth() {
        assert!(flat(|second| if second < 150.0 { second } else { 100.0 }));
        assert!(flat(|second| if second > 980.0 { 900.0 } else { 100.0 }));
    }
}
