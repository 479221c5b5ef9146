//! The built mcpmux, with a configuration of its own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, Signal, pidfd_open},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    backend::Backend,
    mark::{self, Mark},
    process::{LIMIT, Process},
};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mcpmux");

/// A configuration file, in a folder that goes with it. Dropped, it checks that
/// no process of its backends is left.
pub(crate) struct Config {
    folder: TempDir,
    mark: Mark,
}

impl Config {
    /// Writes a configuration with these backends; where mcpmux listens is up to
    /// the kernel.
    pub(crate) fn new(backends: &[Backend]) -> Self {
        let config = Self {
            folder: TempDir::new().unwrap(),
            mark: Mark::new(),
        };
        let document = json!({
            "listen": { "address": "127.0.0.1:0" },
            "connect_retry": { "max_delay": "1s" },
            "backends": backends.iter().map(|backend| backend.entry(&config.mark)).collect::<Vec<_>>(),
        });
        // JSON is YAML too.
        fs::write(
            config.path(),
            serde_json::to_string_pretty(&document).unwrap(),
        )
        .unwrap();
        config
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mcpmux.yaml")
    }

    /// How a client launches mcpmux with it on stdio, as the client's plan has it.
    pub(crate) fn over_stdio(&self) -> Value {
        json!({
            "command": PROGRAM,
            "args": ["serve", "--stdio", "-c", self.path()],
            "env": { mark::VARIABLE: self.mark.value() },
        })
    }
}

/// mcpmux, serving over HTTP. Dropped, it is ended, and nothing may be left.
pub(crate) struct Mcpmux {
    // Ended before the configuration checks for what is left.
    process: Process,
    config: Config,
    url: String,
}

impl Mcpmux {
    /// Starts mcpmux in front of `backends`; returns once it serves, which it
    /// does before they are connected.
    pub(crate) fn serve(backends: &[Backend]) -> Self {
        let config = Config::new(backends);
        let process = Process::start(
            "mcpmux",
            Command::new(PROGRAM)
                .args(["serve", "-c"])
                .arg(config.path())
                // Neither a proxy nor a credential of whoever runs the tests.
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", config.folder.path())
                .env(mark::VARIABLE, config.mark.value()),
        );
        let url = process.wait_for_log("line that says where it listens", |line| {
            let (_, url) = line.split_once("listening on ")?;
            url.split_whitespace().next().map(str::to_owned)
        });
        let mcpmux = Self {
            process,
            config,
            url,
        };
        let health = mcpmux.health();
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        mcpmux
    }

    /// Waits until all of `backends` are connected.
    pub(crate) fn wait_until_up(&self, backends: &[Backend]) {
        for backend in backends {
            let named = format!("backend={:?}", backend.name);
            self.wait_for_log(&format!("word that {} is up", backend.name), |line| {
                line.contains("up: ") && line.contains(&named)
            });
        }
    }

    /// Its MCP endpoint.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint, as a client's plan has it.
    pub(crate) fn over_http(&self) -> Value {
        json!({ "url": self.url() })
    }

    /// A home folder for it and for clients, which goes with it.
    pub(crate) fn home(&self) -> &Path {
        self.config.folder.path()
    }

    /// Waits for a line of its log, past or to come.
    pub(crate) fn wait_for_log(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        self.process
            .wait_for_log(what, |line| wanted(line).then_some(()));
    }

    /// Ends it as a service manager would, and checks that it ends well.
    pub(crate) fn stop(self) {
        self.process.signal(Signal::TERM);
        let status = self.process.ended();
        assert!(
            status.success(),
            "it ended with {status}\n{}",
            self.process.said()
        );
    }

    /// Kills it without warning, and waits until its backends are gone too.
    pub(crate) fn kill(self) {
        let processes = self.config.mark.processes();
        assert!(processes.len() > 1, "{processes:?}");
        let ends: Vec<_> = processes
            .iter()
            .map(|(pid, _)| pidfd_open(*pid, PidfdFlags::empty()).unwrap())
            .collect();
        self.process.signal(Signal::KILL);
        for (end, process) in ends.iter().zip(&processes) {
            let mut end = [PollFd::new(end, PollFlags::IN)];
            let limit = Timespec::try_from(LIMIT).unwrap();
            assert_eq!(
                poll(&mut end, Some(&limit)).unwrap(),
                1,
                "{process:?} goes on"
            );
        }
    }

    /// The answer to `GET /healthz`, head and body.
    fn health(&self) -> String {
        let address = self
            .url
            .trim_start_matches("http://")
            .trim_end_matches("/mcp");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
