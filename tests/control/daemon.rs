//! The socket itself: who may use it, what it takes, and when it is there.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use rustix::{process::Uid, thread::set_thread_res_uid};
use serde_json::{Value, json};

use crate::support::{Mux, PATIENCE, Setup, eventually};

/// A directory for a control socket.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mcpmux/control.sock")
    }

    fn setup(&self) -> Setup {
        Setup::default().env("MCPMUX_CONTROL", self.path().to_str().unwrap())
    }

    /// Starts a mcpmux and waits for its socket.
    fn serve(&self) -> Mux {
        let mux = self.setup().serve();
        mux.logged("control socket ");
        mux
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All answers to these bytes.
fn answers(path: &Path, bytes: &[u8]) -> Vec<Value> {
    let mut stream = connect(path);
    // It may be closed before all is written.
    let _ = stream.write_all(bytes);
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

const STATUS: &[u8] = b"{\"protocol\":1,\"request\":\"auth.status\"}\n";

#[track_caller]
fn is_served(path: &Path) {
    let answers = answers(path, STATUS);
    assert_eq!(answers[0]["answer"], "hello", "{answers:?}");
    assert_eq!(answers[0]["protocol"], 1);
    assert_eq!(answers[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answers[1], json!({ "answer": "logins", "backends": [] }));
    assert_eq!(answers.len(), 2);
}

#[test]
fn the_socket_is_its_users_alone_and_goes_with_the_daemon() {
    let place = Place::new();
    let mux = place.serve();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
    is_served(&place.path());
    mux.stop();
    assert!(!place.path().exists());
}

#[test]
fn a_daemon_on_stdio_has_one_too() {
    let place = Place::new();
    let mux = place.setup().start(&["--stdio"]);
    mux.logged("control socket ");
    is_served(&place.path());
    mux.stop();
    assert!(!place.path().exists());
}

#[test]
fn it_is_in_the_directory_that_the_manager_made_or_else_in_the_users() {
    let runtime = tempfile::tempdir().unwrap();
    let root = runtime.path().to_str().unwrap();
    let own = format!("{root}/own");
    fs::create_dir(&own).unwrap();
    let mux = Setup::default()
        .env("RUNTIME_DIRECTORY", &own)
        .env("XDG_RUNTIME_DIR", root)
        .serve();
    assert!(mux.logged("control socket ").ends_with("/own/control.sock"));
    let second = Setup::default().env("XDG_RUNTIME_DIR", root).serve();
    let line = second.logged("control socket ");
    assert!(line.ends_with(&format!("{root}/mcpmux/control.sock")));
}

#[test]
fn without_a_runtime_directory_there_is_none() {
    let mux = Setup::default().serve();
    mux.logged("no control socket: neither RUNTIME_DIRECTORY");
    mux.stop();
    assert_eq!(mux.log().matches("control socket").count(), 1);
}

#[test]
fn the_socket_of_a_daemon_that_was_killed_is_replaced() {
    let place = Place::new();
    let mux = place.serve();
    mux.kill();
    assert!(place.path().exists());
    let _mux = place.serve();
    is_served(&place.path());
}

#[test]
fn a_second_daemon_leaves_the_first_its_socket() {
    let place = Place::new();
    let _first = place.serve();
    let before = fs::metadata(place.path()).unwrap().ino();
    let second = place.setup().serve();
    second.logged("another mcpmux serves ");
    second.stop();
    assert_eq!(fs::metadata(place.path()).unwrap().ino(), before);
    is_served(&place.path());
}

#[test]
fn a_socket_that_cannot_be_made_stops_nothing() {
    let place = Place::new();
    let path = place.dir.path().join("none/none/control.sock");
    let mux = Setup::default()
        .env("MCPMUX_CONTROL", path.to_str().unwrap())
        .serve();
    let line = mux.logged("no control socket: ");
    assert!(line.contains("WARN"), "{line}");
    mux.stop();
}

#[test]
fn what_is_no_request_is_refused_and_the_next_is_served() {
    let place = Place::new();
    let _mux = place.serve();
    let path = place.path();
    for (line, reason) in [
        (
            &b"{\"protocol\":1,\"request\":\"fly\"}\n"[..],
            "does not know",
        ),
        (b"{\"protocol\":2,\"request\":\"auth.status\"}\n", "restart"),
        (b"GET / HTTP/1.1\r\n", "no request"),
        (b"\xff\xfe\n", "no request"),
        (b"\n", "no request"),
    ] {
        let answers = answers(&path, line);
        assert_eq!(answers[0]["answer"], "hello");
        assert_eq!(answers[1]["answer"], "refused", "{answers:?}");
        let said = answers[1]["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said}");
    }
    is_served(&path);
}

#[test]
fn a_line_is_bounded() {
    let place = Place::new();
    let _mux = place.serve();
    let mut line = b"{\"protocol\":1,\"request\":\"auth.status\",\"x\":\"".to_vec();
    line.resize(64 * 1024 + 1, b'x');
    let answers = answers(&place.path(), &line);
    assert_eq!(answers[1]["reason"], "a request has at most 65536 bytes");
    is_served(&place.path());
}

#[test]
fn half_a_request_is_none() {
    let place = Place::new();
    let _mux = place.serve();
    let mut stream = connect(&place.path());
    stream.write_all(&STATUS[..STATUS.len() - 1]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn an_unknown_backend_is_no_login() {
    let place = Place::new();
    let _mux = place.serve();
    let line = b"{\"protocol\":1,\"request\":\"auth.login\",\"backend\":\"nobody\",\
                 \"wish\":{\"way\":\"redirect\",\"browser\":false}}\n";
    let answers = answers(&place.path(), line);
    assert_eq!(answers[1]["answer"], "ended", "{answers:?}");
    assert!(answers[1]["error"].as_str().unwrap().contains("nobody"));
}

#[test]
fn another_user_is_refused_on_either_side() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: it takes root to be another user.");
        return;
    }
    let nobody = Uid::from_raw(65534);
    let place = Place::new();
    let mux = place.serve();
    // Somebody opens the doors that are usually shut.
    for path in [place.dir.path(), place.path().parent().unwrap()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let path = place.path();
    // The kernel notes who a thread is when it connects.
    let asking = thread::spawn(move || {
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        answers(&path, STATUS)
    });
    let answers = asking.join().unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["answer"], "refused");
    mux.logged("refused a control connection of user 65534");

    // Nor is it as if there were none.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65533", "--regid=65533", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_mcpmux"))
        .arg("status")
        .env_clear()
        .env("XDG_RUNTIME_DIR", place.dir.path())
        .output();
    match output {
        Ok(output) => assert_ne!(output.status.code(), Some(69), "{output:?}"),
        Err(error) => eprintln!("NOT RUN, no setpriv: {error}"),
    }

    // A socket that another user put there is told nothing.
    let path = place.dir.path().join("theirs.sock");
    let theirs = path.clone();
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let listening = thread::spawn(move || {
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        UnixListener::bind(theirs).unwrap()
    });
    let _listener = listening.join().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65533", "--regid=65533", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_mcpmux"))
        .args(["auth", "status"])
        .env_clear()
        .env("MCPMUX_CONTROL", &path)
        .output();
    match output {
        // The binary may lie where nobody else can read it.
        Ok(output) if output.status.code() == Some(77) => {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("another user's"), "{said}");
        }
        Ok(output) => eprintln!("NOT RUN as another user: {output:?}"),
        Err(error) => eprintln!("NOT RUN, no setpriv: {error}"),
    }
}

#[test]
fn connections_that_say_nothing_do_not_hold_up_the_end() {
    let place = Place::new();
    let mux = place.serve();
    let silent: Vec<_> = (0..40).map(|_| connect(&place.path())).collect();
    mux.stop();
    drop(silent);
    assert!(!place.path().exists());
}

#[test]
fn ready_does_not_wait_for_the_socket() {
    let place = Place::new();
    fs::create_dir(place.path().parent().unwrap()).unwrap();
    // Another process looks after the directory, and takes its time.
    let lock = fs::File::open(place.path().parent().unwrap()).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mux = place.setup().serve();
    assert!(!place.path().exists());
    drop(lock);
    mux.logged("control socket ");
    eventually("the socket", || place.path().exists().then_some(()));
}
