//! A real mcpmux, started with a configuration of the test's own on a free
//! loopback port, and ended with it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Peer, leftovers::clear};

/// What an mcpmux is to be started with.
pub struct Setup {
    address: String,
    listen: String,
    top: String,
    backends: String,
    env: Vec<(String, String)>,
    arguments: Vec<String>,
    handed: Option<TcpListener>,
    file: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            listen: String::new(),
            top: String::new(),
            backends: String::new(),
            env: Vec::new(),
            arguments: vec!["--log-level".to_owned(), "debug".to_owned()],
            handed: None,
            file: "mcpmux.yaml".to_owned(),
        }
    }
}

impl Setup {
    /// One backend of this name.
    pub fn one(name: &str, peer: &Peer) -> Self {
        Self::default().backend(name, peer, "")
    }

    /// Adds a backend with these further lines of YAML.
    pub fn backend(self, name: &str, peer: &Peer, lines: &str) -> Self {
        let way = if peer.listens() {
            format!("transport: http\nendpoint: {}", peer.url())
        } else {
            format!("transport: command\ncommand: {}", peer.command())
        };
        self.raw_backend(&format!("name: {name}\n{way}\n{lines}"))
    }

    /// Adds a backend of these lines of YAML.
    pub fn raw_backend(mut self, lines: &str) -> Self {
        for (n, line) in lines.lines().filter(|line| !line.is_empty()).enumerate() {
            self.backends += &format!("  {} {line}\n", if n == 0 { "-" } else { " " });
        }
        self
    }

    /// Adds lines of YAML to the `listen` section.
    pub fn listen(mut self, lines: &str) -> Self {
        lines
            .lines()
            .for_each(|line| self.listen += &format!("  {line}\n"));
        self
    }

    /// Adds lines of YAML to the top of the document.
    pub fn top(mut self, lines: &str) -> Self {
        self.top += &format!("{lines}\n");
        self
    }

    /// Sets a variable of mcpmux's own environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Logs from this level on; `debug` unless told.
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.arguments[1]);
        self
    }

    /// The configuration as it will be written.
    pub fn yaml(&self) -> String {
        let Self {
            address,
            listen,
            top,
            backends,
            ..
        } = self;
        let backends = if backends.is_empty() {
            "  []\n"
        } else {
            backends
        };
        format!("{top}listen:\n  address: {address}\n{listen}backends:\n{backends}")
    }

    /// Listens on this address instead of a loopback one.
    pub fn address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// Hands over this socket, as systemd does.
    pub fn handed(mut self, listener: &TcpListener) -> Self {
        self.handed = Some(listener.try_clone().expect("a socket can be shared"));
        self
    }

    /// Has the configuration in this file of the home directory.
    pub fn file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }

    /// Starts mcpmux and waits until it listens.
    #[track_caller]
    pub fn serve(self) -> Mux {
        let mux = self.start(&[]);
        mux.address();
        mux
    }

    /// Starts `mcpmux serve` with these further arguments.
    #[track_caller]
    pub fn start(self, arguments: &[&str]) -> Mux {
        let home = tempfile::tempdir().expect("a directory can be made");
        let config = home.path().join(&self.file);
        if let Some(directory) = config.parent() {
            fs::create_dir_all(directory).expect("a directory can be made");
        }
        fs::write(&config, self.yaml()).expect("a configuration can be stored");
        let program = env!("CARGO_BIN_EXE_mcpmux");
        let (mut command, stdin) = match self.handed {
            None => (Command::new(program), Stdio::piped()),
            // The process is the one that the variables name only after it was made.
            Some(listener) => {
                let mut shell = Command::new("sh");
                let script =
                    "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";
                shell.args(["-c", script, program]);
                (shell, Stdio::from(OwnedFd::from(listener)))
            }
        };
        let mut child = command
            .args(&self.arguments)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(arguments)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("RUST_BACKTRACE", "1")
            .envs(self.env)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mcpmux can be started");
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let reader = Arc::clone(&log);
        thread::spawn(move || reader.read(BufReader::new(stderr)));
        Mux {
            child: Mutex::new(child),
            log,
            home,
            config,
        }
    }
}

/// A running mcpmux; when dropped, it is asked to end and must.
pub struct Mux {
    child: Mutex<Child>,
    log: Arc<Log>,
    home: tempfile::TempDir,
    config: PathBuf,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn read(&self, mut stderr: impl BufRead) {
        let mut line = Vec::new();
        while stderr
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .push(text);
            self.changed.notify_all();
            line.clear();
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}

impl Mux {
    /// Where it listens.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let line = self.logged("listening on http://");
        let address = line
            .split("listening on http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }

    /// Its home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The file of its configuration.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Replaces its configuration by this one, as editors do: by another file.
    pub fn rewrite(&self, yaml: &str) {
        let new = self.config.with_extension("new");
        fs::write(&new, yaml).expect("a configuration can be stored");
        fs::rename(new, &self.config).expect("a file can be replaced");
    }

    /// Its stdin and stdout, once.
    pub fn pipes(&self) -> (std::process::ChildStdin, std::process::ChildStdout) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        (
            child.stdin.take().expect("stdin is a pipe"),
            child.stdout.take().expect("stdout is a pipe"),
        )
    }

    /// Waits for a line of the log that holds `text`.
    #[track_caller]
    pub fn logged(&self, text: &str) -> String {
        self.find(&format!("say {text:?}"), |lines| {
            lines.iter().find(|line| line.contains(text)).cloned()
        })
    }

    /// Waits until `look` finds what it looks for in the lines of the log; `what`
    /// is what the log must do.
    #[track_caller]
    pub fn find<T>(&self, what: &str, look: impl Fn(&[String]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut lines = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&lines.0) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.1 {
                drop(lines);
                panic!("the log does not {what}");
            }
            lines = self.log.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .join("\n")
    }

    /// The log to its end, for after this has ended.
    pub fn keep_log(&self) -> impl Fn() -> String + Send + use<> {
        let log = Arc::clone(&self.log);
        move || {
            let lines = log.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.0.join("\n")
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("mcpmux runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self
                .child
                .lock()
                .unwrap()
                .try_wait()
                .expect("a child can be waited for")
            {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "mcpmux did not end within {PATIENCE:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and asserts that it ends well.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "mcpmux ended with {status}");
    }

    /// Ends it the hard way.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().expect("mcpmux runs");
        let status = child.wait().expect("a child can be waited for");
        assert_eq!(status.signal(), Some(9));
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        let running = |mux: &Self| {
            matches!(
                mux.child
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .try_wait(),
                Ok(None)
            )
        };
        let mut obeyed = true;
        if running(self) {
            self.signal(Signal::TERM);
            let start = Instant::now();
            while running(self) && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(5));
            }
            obeyed = !running(self);
            if !obeyed {
                self.kill();
            }
        }
        clear(self.home.path());
        let text = self.log();
        if thread::panicking() {
            let start = text.len().saturating_sub(20_000);
            let end = String::from_utf8_lossy(&text.as_bytes()[start..]);
            eprintln!("--- the log of mcpmux\n{end}\n---");
        } else {
            assert!(
                obeyed,
                "mcpmux did not end after SIGTERM within {PATIENCE:?}"
            );
            assert!(!text.contains("panicked at"), "mcpmux panicked: {text}");
        }
    }
}
