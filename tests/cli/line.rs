//! A server on stdin and stdout, spoken to in lines.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::support::{PATIENCE, at, initialize};

/// `mcpmux serve --stdio` or another server on stdio, spoken to in lines.
pub(crate) struct Line {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Line {
    pub(crate) fn open(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mcpmux can be run");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    pub(crate) fn write(&mut self, message: &str) {
        writeln!(self.stdin.as_mut().expect("stdin is open"), "{message}").expect("mcpmux reads");
    }

    #[track_caller]
    pub(crate) fn read(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, message: &str) -> String {
        self.write(message);
        self.read()
    }

    pub(crate) fn initialize(&mut self) -> String {
        let answer = self.ask(&initialize("2025-11-25"));
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        at(&answer, &["result"])
    }

    /// Closes stdin and waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end with its stdin");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if thread::panicking() {
            _ = self.child.kill();
        }
        _ = self.child.wait();
    }
}
