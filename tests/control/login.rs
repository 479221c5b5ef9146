//! Logins from the command to the authorization server and back.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::{
    authority::{Server, get, parameters},
    support::{Mux, Setup},
};

/// What the code of every login is; it must be nowhere to be seen.
const CODE: &str = "s3cret-code";

/// A directory of a user's own: configuration, control socket, tokens.
struct Desk {
    dir: tempfile::TempDir,
    server: Server,
}

impl Desk {
    fn new() -> Self {
        let (dir, server) = (tempfile::tempdir().unwrap(), Server::start());
        // As a user's runtime directory is.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        let key = dir.path().join("key");
        // 32 bytes, as `mcpmux auth init-vault` would make them.
        fs::write(&key, format!("{}=\n", "Qm".repeat(21) + "Q")).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let desk = Self { dir, server };
        desk.configure(&format!(
            "{{ kind: vault, key: file, key_file: '{}' }}",
            key.display()
        ));
        desk
    }

    fn configure(&self, store: &str) {
        let backend = self.server.backend("linear");
        fs::write(
            self.dir.path().join("mcpmux.yaml"),
            format!("token_store: {store}\nbackends:\n{backend}"),
        )
        .unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/control.sock")
    }

    fn serve(&self) -> Mux {
        let mux = Setup::default()
            .raw_backend(&format!(
                "name: linear\ntransport: http\nendpoint: {}/mcp\nauth: {{ type: oauth }}",
                self.server.at
            ))
            .env("MCPMUX_CONTROL", self.socket().to_str().unwrap())
            .env("XDG_RUNTIME_DIR", self.dir.path().to_str().unwrap())
            .log_level("trace")
            .serve();
        mux.logged("control socket ");
        mux
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_mcpmux"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("MCPMUX_CONTROL", self.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// How the login stands, and who says so.
    fn status(&self) -> Value {
        let output = self.start(&["auth", "status", "--json"]);
        let output = output.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The page that a command prints.
fn page(child: &mut Child) -> (String, BufReader<ChildStdout>) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut page = String::new();
    stdout.read_line(&mut page).unwrap();
    if page.is_empty() {
        let mut said = String::new();
        let stderr = child.stderr.take().unwrap();
        BufReader::new(stderr).read_to_string(&mut said).unwrap();
        panic!("{said}");
    }
    (page.trim_end().to_owned(), stdout)
}

/// The host, and the target there, of the address that a browser comes back to.
fn way_back(page: &str, state: Option<&str>) -> (String, String) {
    let parameters = parameters(page);
    let back = parameters["redirect_uri"].strip_prefix("http://").unwrap();
    let (host, path) = back.split_once('/').unwrap();
    let state = state.unwrap_or(&parameters["state"]);
    (
        host.to_owned(),
        format!("/{path}?code={CODE}&state={state}"),
    )
}

#[track_caller]
fn logged_in(mut child: Child, mut stdout: impl Read) {
    let (mut end, mut said) = (String::new(), String::new());
    stdout.read_to_string(&mut end).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(end, "linear: logged in\n");
    assert!(!said.contains(CODE), "{said}");
}

#[test]
fn a_pasted_address_logs_the_daemon_in_and_one_with_another_state_does_not() {
    let desk = Desk::new();
    let mux = desk.serve();
    let mut child = desk.start(&["auth", "login", "linear", "--paste"]);
    let (page, stdout) = page(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    for state in [Some("forged"), None] {
        let (host, target) = way_back(&page, state);
        writeln!(stdin, "http://{host}{target}").unwrap();
    }
    logged_in(child, stdout);
    drop(stdin);
    let status = desk.status();
    assert_eq!(status["source"], "running");
    assert_eq!(status["backends"][0]["login"], "logged_in", "{status}");
    mux.stop();
    assert!(!mux.log().contains(CODE), "a code in the log");
}

#[test]
fn a_browser_comes_back_to_the_daemon() {
    let desk = Desk::new();
    let mux = desk.serve();
    let mut child = desk.start(&["auth", "login", "linear"]);
    let (page, stdout) = page(&mut child);
    let (host, target) = way_back(&page, None);
    assert_eq!(host, mux.address().to_string());
    let shown = get(&host, &target);
    assert!(shown.starts_with("HTTP/1.1 200 "), "{shown}");
    assert!(shown.contains("linear is logged in"), "{shown}");
    logged_in(child, stdout);
    // A page that is fetched again logs nobody in.
    assert!(get(&host, &target).starts_with("HTTP/1.1 400 "));
    mux.stop();
    assert!(!mux.log().contains(CODE), "a code in the log");
}

#[test]
fn without_a_daemon_the_command_listens_itself_and_the_next_one_finds_the_tokens() {
    let desk = Desk::new();
    let mut child = desk.start(&["auth", "login", "linear", "--log-level", "trace"]);
    let (page, stdout) = page(&mut child);
    let (host, target) = way_back(&page, None);
    let shown = get(&host, &target);
    assert!(shown.contains("linear is logged in"), "{shown}");
    logged_in(child, stdout);
    assert!(!desk.socket().exists());
    let status = desk.status();
    assert_eq!(status["source"], "configuration");
    assert_eq!(status["backends"][0]["login"], "logged_in", "{status}");

    let output = desk.start(&["auth", "logout", "linear"]);
    let output = output.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("linear: logged out here; "), "{said}");
    assert_ne!(desk.status()["backends"][0]["login"], "logged_in");
    no_code_below(desk.dir.path());
}

#[test]
fn a_login_that_would_be_lost_with_the_command_is_not_begun() {
    let desk = Desk::new();
    desk.configure("{ kind: memory }");
    let child = desk.start(&["auth", "login", "linear"]);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("would be lost with this process"), "{said}");
    assert!(output.stdout.is_empty());
}

/// No file holds the code.
fn no_code_below(path: &Path) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            no_code_below(&entry.path());
        } else if let Ok(bytes) = fs::read(entry.path()) {
            let found = bytes
                .windows(CODE.len())
                .any(|part| part == CODE.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
}
