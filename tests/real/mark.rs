//! The mark by which a process that a test left behind is found.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

/// The environment variable that marks the processes of a test.
pub(crate) const VARIABLE: &str = "MCPMUX_TEST_MARK";

/// A mark, unique to one test, in the environment of mcpmux and its backends, by
/// which a process that was left behind is found.
pub(crate) struct Mark(String);

impl Mark {
    /// A mark that nothing bears yet.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}-{count}", std::process::id()))
    }

    /// The mark as the value of [`VARIABLE`].
    pub(crate) fn value(&self) -> &str {
        &self.0
    }

    /// The processes that bear the mark, with their command lines.
    pub(crate) fn processes(&self) -> Vec<(Pid, String)> {
        let variable = format!("{VARIABLE}={}", self.0);
        let borne = |environment: Vec<u8>| {
            environment
                .split(|&b| b == 0)
                .any(|v| v == variable.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
                // A zombie has no environment, and is no process left behind.
                borne(fs::read(entry.path().join("environ")).ok()?).then_some(())?;
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .collect()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let left = self.processes();
        for (pid, _) in &left {
            let _ = kill_process(*pid, Signal::KILL);
        }
        if !thread::panicking() {
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}
