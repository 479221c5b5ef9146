//! A person's machine: where mcpmux keeps what it keeps from run to run, mcpmux
//! itself with every line of its log, and its command line. When it goes, no
//! secret of the test may have been left or said anywhere.

use std::{
    cell::RefCell,
    env, fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    daemon::Daemon, fake::Fake, peers::Peers, process::Process, secrets::Secrets, support::Setup,
};

/// Who knows secrets of a test.
pub(crate) trait Confidant {
    /// Adds all of them.
    fn tell(&self, secrets: &Secrets);
}

impl Confidant for Peers {
    fn tell(&self, secrets: &Secrets) {
        self.tell_all(secrets);
    }
}

impl Confidant for Fake {
    fn tell(&self, secrets: &Secrets) {
        secrets.join(&self.secrets);
    }
}

/// Where tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// In memory.
    Memory,
    /// In the runtime directory.
    Runtime,
    /// In a vault whose key is in a file.
    Vault,
}

/// The machine. Declare whom it has to do with before it.
pub(crate) struct House<'a> {
    folder: tempfile::TempDir,
    /// The runtime directory, which is in memory.
    runtime: RefCell<tempfile::TempDir>,
    store: Store,
    backends: Vec<Value>,
    further: Vec<(&'static str, String)>,
    confidants: Vec<&'a dyn Confidant>,
    /// Secrets of the test's own.
    pub(crate) secrets: Secrets,
    address: RefCell<String>,
    logs: RefCell<Vec<Box<dyn Fn() -> String>>>,
    heard: RefCell<Vec<(String, String)>>,
}

/// A directory in memory, as the runtime directory is.
fn runtime() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its stdout.
    pub(crate) stdout: String,
    /// Its stderr.
    pub(crate) stderr: String,
}

impl<'a> House<'a> {
    /// A machine with a backend named `web` at this endpoint, whose servers are
    /// `confidant`; `auth` has what is to be said of OAuth.
    pub(crate) fn of(confidant: &'a dyn Confidant, endpoint: &str, auth: Value) -> Self {
        Self::new().backend("web", endpoint, auth).with(confidant)
    }

    /// A machine without backends.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: RefCell::new(runtime()),
            store: Store::Memory,
            backends: Vec::new(),
            further: Vec::new(),
            confidants: Vec::new(),
            secrets: Secrets::default(),
            address: RefCell::new("127.0.0.1:0".to_owned()),
            logs: RefCell::default(),
            heard: RefCell::default(),
        }
    }

    /// Adds a backend. No browser is opened unless `auth` says so.
    pub(crate) fn backend(mut self, name: &str, endpoint: &str, mut auth: Value) -> Self {
        auth["type"] = "oauth".into();
        if auth["open_browser"].is_null() {
            auth["open_browser"] = false.into();
        }
        self.backends.push(json!({
            "name": name, "transport": "http", "endpoint": endpoint, "auth": auth,
        }));
        self
    }

    /// Moves a backend to another endpoint.
    pub(crate) fn at(mut self, name: &str, endpoint: &str) -> Self {
        let of_name = |backend: &&mut Value| backend["name"] == name;
        let backend = self.backends.iter_mut().find(of_name);
        backend.expect("there is one")["endpoint"] = endpoint.into();
        self
    }

    /// Sets a variable of the environment of all that runs here.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.further.push((name, value.to_owned()));
        self
    }

    /// Adds who knows secrets.
    pub(crate) fn with(mut self, confidant: &'a dyn Confidant) -> Self {
        self.confidants.push(confidant);
        self
    }

    /// Keeps tokens there; in memory unless told.
    pub(crate) fn store(mut self, store: Store) -> Self {
        self.store = store;
        if store == Store::Vault {
            self.new_key();
        }
        self
    }

    /// Gives the vault another key; the file is all that has it.
    pub(crate) fn new_key(&self) {
        let mut key = [0; 32];
        fastrand::fill(&mut key);
        let key = BASE64_STANDARD.encode(key);
        self.secrets.add("vault key", &key);
        // mcpmux wants it to be for its owner alone.
        let folder = self.folder.path().join("keys");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(self.key_file(), key).unwrap();
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The file that tokens are in.
    pub(crate) fn tokens(&self) -> PathBuf {
        match self.store {
            Store::Memory => panic!("tokens in memory are in no file"),
            Store::Runtime => self.runtime.borrow().path().join("mcpmux/tokens"),
            Store::Vault => self.folder.path().join("state/mcpmux/vault"),
        }
    }

    /// Keeps all others from writing to that file until this is dropped.
    pub(crate) fn lock_tokens(&self) -> fs::File {
        let mut lock = self.tokens().into_os_string();
        lock.push(".lock");
        let file = fs::File::open(lock).unwrap();
        file.lock().unwrap();
        file
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("keys/vault.key")
    }

    /// What a reboot does: the runtime directory is another, the old one gone.
    pub(crate) fn reboot(&self) {
        *self.runtime.borrow_mut() = runtime();
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let folder = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            (
                "XDG_RUNTIME_DIR",
                self.runtime.borrow().path().display().to_string(),
            ),
            ("XDG_STATE_HOME", folder("state")),
            ("XDG_CONFIG_HOME", folder("config")),
        ]
        .into_iter()
        .chain(self.further.clone())
        .collect()
    }

    fn setup(&self) -> Setup {
        let store = match self.store {
            Store::Memory => json!({ "kind": "memory" }),
            Store::Runtime => json!({ "kind": "runtime" }),
            Store::Vault => json!({ "kind": "vault", "key": "file", "key_file": self.key_file() }),
        };
        // JSON is YAML too.
        let mut setup = Setup::default()
            .log_level("trace")
            .top(&format!("token_store: {store}"))
            .top("connect_retry: {max_delay: 1s}");
        for backend in &self.backends {
            setup = setup.raw_backend(&backend.to_string());
        }
        self.variables()
            .iter()
            .fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// Starts mcpmux, where it listened before if it did.
    #[track_caller]
    pub(crate) fn serve(&self) -> Daemon<'_, 'a> {
        let daemon = self.serve_at(&self.address.borrow());
        *self.address.borrow_mut() = daemon.mux.address().to_string();
        daemon
    }

    /// Starts another mcpmux beside the first, with the same store.
    #[track_caller]
    pub(crate) fn serve_beside(&self) -> Daemon<'_, 'a> {
        self.serve_at("127.0.0.1:0")
    }

    /// Starts mcpmux with a socket of systemd's, to end after this time without
    /// clients.
    #[track_caller]
    pub(crate) fn serve_until_idle(&self, socket: &TcpListener, time: &str) -> Daemon<'_, 'a> {
        let setup = self.setup().handed(socket);
        self.serve_as(setup.listen(&format!("idle_exit: {time}")))
    }

    #[track_caller]
    fn serve_at(&self, address: &str) -> Daemon<'_, 'a> {
        self.serve_as(self.setup().address(address))
    }

    #[track_caller]
    fn serve_as(&self, setup: Setup) -> Daemon<'_, 'a> {
        fs::write(self.config(), setup.yaml()).unwrap();
        let mux = setup.start(&["--log-format", "json"]);
        mux.address();
        self.logs.borrow_mut().push(Box::new(mux.keep_log()));
        Daemon { mux, house: self }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("mcpmux.yaml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(arguments)
            .args(["--log-level", "trace"])
            // The configuration is found here; one that is named is not that of
            // the mcpmux that runs.
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.variables());
        command
    }

    /// Runs `mcpmux auth` with these arguments to its end.
    #[track_caller]
    pub(crate) fn auth(&self, arguments: &[&str]) -> Said {
        fs::write(
            self.config(),
            self.setup().address(&self.address.borrow()).yaml(),
        )
        .unwrap();
        let mut command = self.command(&[&["auth"], arguments].concat());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        self.hear(&format!("mcpmux auth {arguments:?}"), &said.stdout);
        self.hear(&format!("mcpmux auth {arguments:?}"), &said.stderr);
        said
    }

    /// Starts `mcpmux auth` with these arguments.
    pub(crate) fn start_auth(&self, arguments: &[&str]) -> Process {
        fs::write(
            self.config(),
            self.setup().address(&self.address.borrow()).yaml(),
        )
        .unwrap();
        let mut command = self.command(&[&["auth"], arguments].concat());
        Process::start("mcpmux auth", &mut command)
    }

    /// What `mcpmux auth status --json` has for a backend.
    #[track_caller]
    pub(crate) fn status(&self, backend: &str) -> Value {
        let said = self.auth(&["status", "--json"]);
        let document: Value =
            serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let backends = document["backends"].as_array().unwrap();
        let found = backends.iter().find(|one| one["backend"] == backend);
        found
            .unwrap_or_else(|| panic!("no {backend} in {document}"))
            .clone()
    }

    /// Keeps what was said, at this place.
    pub(crate) fn hear(&self, place: &str, text: &str) {
        let mut heard = self.heard.borrow_mut();
        heard.push((place.to_owned(), text.to_owned()));
    }

    /// Everything that leaked so far, a line each.
    pub(crate) fn leaks(&self) -> Vec<String> {
        for confidant in &self.confidants {
            confidant.tell(&self.secrets);
        }
        let mut leaks = self.secrets.leaks_in_arguments();
        for log in self.logs.borrow().iter() {
            leaks.extend(self.secrets.leaks("a log", log().as_bytes()));
        }
        for (place, text) in self.heard.borrow().iter() {
            leaks.extend(self.secrets.leaks(place, text.as_bytes()));
        }
        // The configuration and the key's file have what they are for; what is in
        // the runtime directory is gone with the machine's power.
        let excused = |path: &Path| path == self.config() || path == self.key_file();
        leaks.extend(self.secrets.leaks_below(self.folder.path(), &excused));
        if self.store != Store::Runtime {
            let runtime = self.runtime.borrow();
            leaks.extend(self.secrets.leaks_below(runtime.path(), &|_| false));
        }
        leaks
    }
}

impl Drop for House<'_> {
    fn drop(&mut self) {
        // A test that has failed has its own report.
        if !thread::panicking() {
            let leaks = self.leaks();
            assert!(leaks.is_empty(), "leaked: {leaks:#?}");
            assert!(self.secrets.count() > 0, "no secret was used");
        }
    }
}
