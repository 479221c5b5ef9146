//! How the mcpmux that runs is, and servers started and stopped by hand.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Client, Mux, Peer, Setup, Step, eventually, legacy, result};

/// A mcpmux in front of one server, and commands that reach it.
struct Desk {
    dir: tempfile::TempDir,
    peer: Peer,
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            peer: Peer::new(legacy(&["t"])),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    fn serve(&self) -> Mux {
        let mux = Setup::one("b", &self.peer)
            .env("MCPMUX_CONTROL", self.socket().to_str().unwrap())
            .serve();
        mux.logged("control socket ");
        Client::wait_for(&mux, "b__t");
        mux
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mcpmux"))
            .args(arguments)
            .env_clear()
            .env("MCPMUX_CONTROL", self.socket())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn becomes(&self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        eventually(&format!("{key} {value}"), || {
            (self.backend()[key] == value).then_some(())
        });
    }

    #[track_caller]
    fn counts(&self, clients: &Value) {
        eventually(&format!("clients: {clients}"), || {
            (self.status()["clients"] == *clients).then_some(())
        });
    }

    #[track_caller]
    fn backend(&self) -> Value {
        self.status()["backends"][0].clone()
    }

    #[track_caller]
    fn status(&self) -> Value {
        serde_json::from_str(&self.done(&["status", "--json"])).unwrap()
    }
}

#[test]
fn the_status_says_how_the_mcpmux_that_runs_and_its_servers_are() {
    let desk = Desk::new();
    let mux = desk.serve();
    Client::legacy(&mux).call("b__t", None).result();
    let status: Value = serde_json::from_str(&desk.done(&["status", "--json"])).unwrap();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], mux.pid());
    let address = format!("http://{}/mcp", mux.address());
    assert_eq!(status["sockets"][0], address);
    let backend = &status["backends"][0];
    assert_eq!(backend["name"], "b");
    assert_eq!(backend["state"], "up");
    assert_eq!(backend["era"], "legacy");
    assert_eq!(backend["tools"], 1);
    assert_eq!(backend["calls"], 1);
    assert_eq!(backend["errors"], 0);
    assert!(backend["p50"].as_u64() > Some(0), "{backend}");
    assert_eq!(backend["kept"], "a process group");
    assert_eq!(backend["measure"], "pss");
    assert!(backend["memory"].as_u64() > Some(200 * 1024), "{backend}");
    assert_eq!(status["clients"]["sessions"], 1);
    let text = desk.done(&["status"]);
    assert!(
        text.contains(&address)
            && text.contains("1/1 backends up\n")
            && text.contains(" MiB PSS\n"),
        "{text}"
    );
    // One that is not there is not shown.
    assert_eq!(desk.run(&["status", "c"]).status.code(), Some(1));
}

#[test]
fn the_status_counts_clients_and_what_they_have_open() {
    let mut desk = Desk::new();
    let held = [Step::Await("gate".to_owned()), result("{}")];
    desk.peer = Peer::new(legacy(&["t"]).tool("t", held));
    let mux = desk.serve();
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (of_session, listening) = (old.listen(), new.listen());
    let call = old.post(&old.spell("7", "tools/call", None, r#""name":"b__t""#));
    desk.counts(&json!({ "connections": 3, "sessions": 1, "streams": 2, "calls": 1 }));
    let text = desk.done(&["status"]);
    let line = "clients: connections 3, sessions 1, open streams 2, calls in flight 1\n";
    assert!(text.contains(line), "{text}");
    drop(of_session);
    desk.counts(&json!({ "connections": 2, "sessions": 1, "streams": 1, "calls": 1 }));
    drop(listening);
    desk.peer.open("gate");
    assert_eq!(call.reply().status, 200);
    desk.counts(&json!({ "connections": 0, "sessions": 1, "streams": 0, "calls": 0 }));
}

#[test]
fn each_server_has_a_state_with_a_time_also_one_that_is_disabled() {
    let desk = Desk::new();
    let setup = Setup::default()
        .backend("off", &desk.peer, "enabled: false")
        .backend("b", &desk.peer, "")
        .env("MCPMUX_CONTROL", desk.socket().to_str().unwrap());
    let all_enabled = setup.yaml().replace("enabled: false", "enabled: true");
    let mux = setup.serve();
    mux.logged("control socket ");
    Client::wait_for(&mux, "b__t");
    let (off, up) = (desk.backend(), &desk.status()["backends"][1]);
    for (backend, name, state) in [(&off, "off", "disabled"), (up, "b", "up")] {
        assert_eq!(
            (&backend["name"], &backend["state"]),
            (&name.into(), &state.into())
        );
        assert!(backend["since"].is_u64(), "{backend}");
    }
    assert!(
        off["reason"].as_str().unwrap().contains("enabled: false"),
        "{off}"
    );
    assert!(desk.done(&["status"]).contains("1/1 backends up\n"));
    let start = desk.run(&["start", "off"]);
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(said.contains("is disabled (`enabled: false`)"), "{said}");
    mux.rewrite(&all_enabled);
    desk.done(&["reload"]);
    desk.becomes("state", "up");
}

#[test]
fn who_watches_sees_a_restart() {
    let desk = Desk::new();
    let mux = desk.serve();
    let mut watching = Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .args(["status", "--watch"])
        .env_clear()
        .env("MCPMUX_CONTROL", desk.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut shows = |text: &str| {
        let found = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.contains(text));
        assert!(found, "{text}");
    };
    shows("1/1 backends up");
    mux.stop();
    shows("no mcpmux runs here");
    let _mux = desk.serve();
    shows("1/1 backends up");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn without_a_journal_the_last_lines_of_a_server_are_shown_and_what_comes() {
    let mut desk = Desk::new();
    let said = |text: &str| Step::Stderr(text.to_owned());
    desk.peer = Peer::new(
        legacy(&["t"])
            .start([said("one"), said("two \u{1b}[31m")])
            .tool("t", [said("three"), result("{}")]),
    );
    let mux = desk.serve();
    mux.logged("two");
    assert_eq!(desk.done(&["logs", "b"]), "one\ntwo [31m\n");
    assert_eq!(desk.done(&["logs", "-n", "1", "b"]), "two [31m\n");
    let mut following = Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .args(["logs", "--follow", "-n", "1", "b"])
        .env_clear()
        .env("MCPMUX_CONTROL", desk.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "two [31m");
    Client::legacy(&mux).call("b__t", None).result();
    assert_eq!(next(), "three");
    following.kill().unwrap();
    following.wait().unwrap();
    let unknown = desk.run(&["logs", "c"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("there are b"), "{said}");
}

#[test]
fn a_server_that_is_stopped_stays_so_until_it_is_started() {
    let desk = Desk::new();
    let mux = desk.serve();
    desk.done(&["stop", "b"]);
    desk.becomes("state", "stopped");
    let client = Client::legacy(&mux);
    let (_, why) = client.call("b__t", None).error();
    assert!(why.contains("mcpmux start b"), "{why}");
    assert_eq!(client.names(), ["b__t"], "what it offered last");
    desk.done(&["start", "b"]);
    desk.becomes("state", "up");
    client.call("b__t", None).result();
    assert_eq!(desk.peer.starts(), 2);
}

#[test]
fn a_server_that_is_restarted_is_another_process() {
    let desk = Desk::new();
    let mux = desk.serve();
    desk.done(&["restart", "b"]);
    desk.becomes("restarts", 1);
    assert_eq!(desk.peer.starts(), 2);
    Client::legacy(&mux).call("b__t", None).result();
    // To start what runs changes nothing.
    desk.done(&["start", "b"]);
    assert_eq!(desk.backend()["restarts"], 1);
}

#[test]
fn what_cannot_be_done_is_said() {
    let desk = Desk::new();
    let nobody = desk.run(&["status"]);
    assert_eq!(nobody.status.code(), Some(69));
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(said.contains("no mcpmux runs here ("), "{said}");
    let mut blind = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
    let blind = blind.arg("status").env_clear().output().unwrap();
    assert_eq!(blind.status.code(), Some(69));
    let said = String::from_utf8_lossy(&blind.stderr);
    assert!(said.contains("XDG_RUNTIME_DIR is not set"), "{said}");
    let _mux = desk.serve();
    let unknown = desk.run(&["stop", "c"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        said.contains("there is no backend \"c\"; there are b"),
        "{said}"
    );
}

#[test]
fn the_name_that_was_meant_is_named_and_scripts_are_told_in_json() {
    let desk = Desk::new();
    let mux = Setup::one("github", &desk.peer)
        .env("MCPMUX_CONTROL", desk.socket().to_str().unwrap())
        .serve();
    mux.logged("control socket ");
    for verb in ["start", "stop", "restart", "logs", "status"] {
        let unknown = desk.run(&[verb, "gihtub"]);
        assert_eq!(unknown.status.code(), Some(1), "{verb}");
        let said = String::from_utf8_lossy(&unknown.stderr);
        assert!(
            said.contains("there is no backend \"gihtub\"; did you mean \"github\"?"),
            "{verb}: {said}"
        );
    }
    let unknown = desk.run(&["restart", "--json", "gihtub"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&unknown.stdout).unwrap();
    let error = said["error"].as_str().unwrap_or_default();
    assert!(error.contains("did you mean \"github\"?"), "{said}");
    let said: Value = serde_json::from_str(&desk.done(&["stop", "--json", "github"])).unwrap();
    assert_eq!(said, json!({ "backend": "github", "under_way": "stop" }));
    drop(mux);
    let nobody = desk.run(&["stop", "--json", "github"]);
    assert_eq!(nobody.status.code(), Some(69));
    let said: Value = serde_json::from_slice(&nobody.stdout).unwrap();
    let error = said["error"].as_str().unwrap_or_default();
    assert!(error.contains("no mcpmux runs here"), "{said}");
}
