//! A scriptable backend as a test sees it: it is given a script, tells what
//! happened to it, and obeys while it runs.

use std::{
    env, fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use super::{
    account::Account,
    leftovers::clear,
    script::{Command as Order, Event, Request, Script},
};

/// A backend under a test's control; when dropped, asserts that no process of
/// it is left. Drop what uses it first.
pub struct Peer {
    dir: tempfile::TempDir,
    account: Arc<Account>,
    http: bool,
    server: Mutex<Option<Child>>,
}

impl Peer {
    /// A backend that mcpmux starts as a command, see [`Peer::command`].
    pub fn new(script: Script) -> Self {
        Self::of(script, false)
    }

    fn of(script: Script, http: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let socket = dir.path().join("harness");
        let account = Account::open(UnixListener::bind(socket).expect("a socket can be bound"));
        let peer = Self {
            dir,
            account,
            http,
            server: Mutex::default(),
        };
        peer.rewrite(script);
        peer
    }

    /// A backend that listens on a loopback port, see [`Peer::url`].
    pub fn http(script: Script) -> Self {
        let peer = Self::of(script, true);
        peer.listen("127.0.0.1:0");
        peer
    }

    /// Listens on `address` (again).
    pub fn listen(&self, address: &str) {
        let listenings = |events: &[Event]| {
            events
                .iter()
                .filter(|e| matches!(e, Event::Listening(_)))
                .count()
        };
        let before = listenings(&self.events());
        let child = Command::new(binary())
            .args(["--http", address])
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("the peer can be started");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        self.wait("listening", |events| {
            (listenings(events) > before).then_some(())
        });
    }

    /// Ends the listening process; connections are refused from now on.
    pub fn close(&self) {
        if let Some(mut server) = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            _ = server.kill();
            _ = server.wait();
        }
    }

    /// The program and its arguments, as a YAML list.
    pub fn command(&self) -> String {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        format!("[{}, {}]", quoted(binary()), quoted(self.dir.path()))
    }

    /// Whether it listens on a port.
    pub fn listens(&self) -> bool {
        self.http
    }

    /// The endpoint of a listening peer.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address())
    }

    /// The address where it listens.
    pub fn address(&self) -> String {
        let address = |event: &Event| match event {
            Event::Listening(address) => Some(address.clone()),
            _ => None,
        };
        self.events()
            .iter()
            .rev()
            .find_map(address)
            .expect("the peer listens")
    }

    /// Its own directory, which all its processes name.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Replaces the script for processes started from now on.
    pub fn rewrite(&self, script: Script) {
        self.write(&self.suited(script));
    }

    /// Replaces the script for running processes too.
    pub fn set(&self, script: Script) {
        let script = self.suited(script);
        self.write(&script);
        self.order(&Order::Script(script));
    }

    /// Over HTTP a subscription is always a stream.
    fn suited(&self, script: Script) -> Script {
        if self.http && script.on.contains_key("subscriptions/listen") {
            script.streamed("subscriptions/listen")
        } else {
            script
        }
    }

    fn write(&self, script: &Script) {
        let script = serde_json::to_vec(script).expect("a script can be written");
        fs::write(self.dir.path().join("script.json"), script).expect("a script can be stored");
    }

    /// Opens a gate.
    pub fn open(&self, gate: &str) {
        self.order(&Order::Open(gate.to_owned()));
    }

    /// Sends a message on every relaying stream, or on stdout.
    pub fn emit(&self, message: &str) {
        self.order(&Order::Emit(message.to_owned()));
    }

    /// Ends its processes.
    pub fn exit(&self, code: i32) {
        self.order(&Order::Exit(code));
    }

    fn order(&self, order: &Order) {
        self.account.order(order);
    }

    /// All that happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.account.events()
    }

    /// Waits until `look` finds what it looks for in all that happened.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, look: impl Fn(&[Event]) -> Option<T>) -> T {
        self.account.wait(what, look)
    }

    /// The messages of this method so far, as they came.
    pub fn messages(&self, method: &str) -> Vec<String> {
        messages(&self.events(), method)
    }

    /// Waits for the n-th message (from 1) of this method.
    #[track_caller]
    pub fn message(&self, method: &str, n: usize) -> String {
        self.wait(&format!("{method} number {n}"), |events| {
            messages(events, method).get(n - 1).cloned()
        })
    }

    /// Waits until this key's steps pass on what is emitted.
    #[track_caller]
    pub fn relaying(&self, key: &str) {
        self.wait(&format!("a relay for {key}"), |events| {
            events
                .iter()
                .any(|event| matches!(event, Event::Relaying(k) if k == key))
                .then_some(())
        });
    }

    /// The HTTP requests so far.
    pub fn requests(&self) -> Vec<Request> {
        let request = |event| match event {
            Event::Request(request) => Some(request),
            _ => None,
        };
        self.events().into_iter().filter_map(request).collect()
    }

    /// How many processes of it were started.
    pub fn starts(&self) -> usize {
        self.events()
            .iter()
            .filter(|event| matches!(event, Event::Start { .. }))
            .count()
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> usize {
        self.events()
            .iter()
            .filter(|event| matches!(event, Event::Connected(_)))
            .count()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
        if thread::panicking() {
            eprintln!("--- what {} saw last", self.dir.path().display());
            eprint!("{}", self.account.tail());
        }
        clear(self.dir.path());
    }
}

fn messages(events: &[Event], method: &str) -> Vec<String> {
    let wanted = |message: &String| {
        #[derive(serde::Deserialize)]
        struct Envelope {
            method: Option<String>,
        }
        let envelope = serde_json::from_str(message).ok();
        envelope.is_some_and(|Envelope { method: found }| {
            found.as_deref().unwrap_or("response") == method
        })
    };
    let message = |event: &'_ Event| match event {
        Event::Message(message) => Some(message.clone()),
        Event::Request(Request { body, .. }) => Some(body.clone()),
        _ => None,
    };
    let all = events.iter().filter_map(message);
    all.filter(wanted).collect()
}

/// The peer's program, built once a test run into the directory where this test
/// was built, since cargo hands tests only the programs of their own package.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let own = env::current_exe().expect("a test knows its program");
        // <target>/<profile>/deps/<test>
        let profile = own.ancestors().nth(2).expect("cargo built this test");
        let target = profile.parent().expect("cargo built this test");
        let name = profile
            .file_name()
            .and_then(|name| name.to_str())
            .expect("profiles are ASCII");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "mcpmux-test-peer"])
            .args(["--profile", if name == "debug" { "dev" } else { name }])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "the peer was not built");
        profile.join("mcpmux-test-peer")
    })
}
