//! A process that a test starts, listens to, and never leaves behind.

use std::{
    io::Write as _,
    process::{ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::transcript::{Transcript, Watched};

/// How long anything that a test waits for may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running process, line by line. Dropped, it is ended: stdin closed and
/// SIGTERM, then SIGKILL.
pub(crate) struct Process {
    name: String,
    pid: Pid,
    stdin: Option<ChildStdin>,
    stdout: Transcript,
    stderr: Transcript,
    status: Watched<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` with all three streams piped; `name` is for messages.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started ({command:?}): {error}"));
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        let pid = Pid::from_child(&child);
        let status = Watched::default();
        let ended = status.clone();
        thread::spawn(move || {
            let end = child.wait().unwrap();
            ended.change(|status| *status = Some(end));
        });
        Self {
            name: name.to_owned(),
            pid,
            stdin,
            stdout,
            stderr,
            status,
        }
    }

    /// Writes a line to its stdin.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Closes its stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends `signal`, unless it has ended already.
    pub(crate) fn signal(&self, signal: Signal) {
        self.status.change(|status| {
            if status.is_none() {
                // It may be gone already without having been waited for.
                let _ = kill_process(self.pid, signal);
            }
        });
    }

    /// Waits until it has ended; fails the test if it does not within `LIMIT`.
    pub(crate) fn ended(&self) -> ExitStatus {
        self.status
            .wait(LIMIT, |status| *status)
            .unwrap_or_else(|| panic!("{} does not end\n{}", self.name, self.said()))
    }

    /// Closes its stdin and waits for its good end; gives all that it wrote to
    /// stdout and to stderr.
    pub(crate) fn finish(mut self) -> (String, String) {
        self.close_stdin();
        let status = self.ended();
        let written = (self.stdout.whole(), self.stderr.whole());
        assert!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.said()
        );
        written
    }

    /// Waits for a line that it has written to stderr, or will, and that
    /// `wanted` makes something of.
    pub(crate) fn wait_for_log<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let (_, found) = self
            .stderr
            .find(0, wanted)
            .unwrap_or_else(|| panic!("{}: no {what}\n{}", self.name, self.said()));
        found
    }

    /// Waits for a line that it has written to stdout, or will, and that `wanted`
    /// makes something of.
    pub(crate) fn wait_for_line<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let (_, found) = self
            .stdout
            .find(0, wanted)
            .unwrap_or_else(|| panic!("{}: no {what}\n{}", self.name, self.said()));
        found
    }

    /// Waits for a JSON document that it has printed, or will, that comes after
    /// the first `seen` lines and that `wanted` makes something of; counts the
    /// lines up to that in `seen`.
    pub(crate) fn wait_for_print<T>(
        &self,
        what: &str,
        seen: &mut usize,
        wanted: impl Fn(Value) -> Option<T>,
    ) -> T {
        let found = self
            .stdout
            .find(*seen, |line| wanted(serde_json::from_str(line).ok()?));
        let (at, found) =
            found.unwrap_or_else(|| panic!("{}: no {what}\n{}", self.name, self.said()));
        *seen = at + 1;
        found
    }

    /// All that it wrote, for the message of a failure.
    pub(crate) fn said(&self) -> String {
        format!(
            "--- stdout of {name}\n{}\n--- stderr of {name}\n{}",
            self.stdout.so_far(),
            self.stderr.so_far(),
            name = self.name
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close_stdin();
        self.signal(Signal::TERM);
        if self
            .status
            .wait(Duration::from_secs(10), |status| *status)
            .is_none()
        {
            self.signal(Signal::KILL);
        }
    }
}
