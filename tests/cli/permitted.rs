//! What a client on stdio may do: with a key in front of the mcpmux that runs, and in
//! a role that the configuration gives it.

use std::{env, fs, process::Command};

use rustix::process::{Pid, Signal, kill_process};

use super::{Desk, line::Line};
use crate::support::{Peer, Setup, at, elements, eventually, legacy, text};

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;

/// The names of the tools that are there.
fn names(line: &mut Line) -> Vec<String> {
    line.write(LIST);
    let answer = loop {
        let line = line.read();
        if line.contains("\"id\":7") {
            break line;
        }
    };
    let tools = elements(&at(&answer, &["result", "tools"]));
    tools
        .iter()
        .map(|tool| text(&at(tool, &["name"])))
        .collect()
}

#[test]
fn a_client_on_stdio_shows_the_key_of_its_environment() {
    let peer = Peer::new(legacy(&["get", "set"]));
    let mux = Setup::one("b", &peer)
        .top(
            "access: { keys: require, roles: { reader: { allow: [b/get] }, all: { allow: ['*'] } },
               default_role: all }",
        )
        .serve();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", mux.home());
        command
    };
    let made = command(&["keys", "add", "cli", "--role", "reader"]).output();
    let key = String::from_utf8(made.expect("it runs").stdout).expect("text");
    let endpoint = format!("http://{}/mcp", mux.address());
    let open = |key: Option<&str>| {
        let mut command = command(&["stdio", "--endpoint", &endpoint]);
        command.envs(key.map(|key| ("MCPMUX_KEY", key)));
        let mut line = Line::open(command);
        line.initialize();
        line
    };
    // The key is known within a second of its making.
    let mut line = eventually("the tools of the key's role", || {
        let mut line = open(Some(key.trim()));
        (names(&mut line) == ["b__get"]).then_some(line)
    });
    let refused = line.ask(
        r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"b__set","arguments":{}}}"#,
    );
    assert!(refused.contains("Unknown tool"), "{refused}");
    assert_eq!(line.end(), Some(0));
    for wrong in [None, Some("mcpmux_wrong")] {
        assert_eq!(names(&mut open(wrong)), [""; 0], "{wrong:?}");
    }
    assert_eq!(peer.messages("tools/call").len(), 0);
    assert!(!mux.log().contains(&key.trim()[7..]), "no key is logged");
}

#[test]
fn a_client_on_stdio_has_the_role_that_a_reload_gives_it() {
    let peer = Peer::new(legacy(&["get", "set"]));
    let yaml = |access: &str| Setup::one("b", &peer).top(access).yaml();
    let desk = Desk::new(&yaml(""));
    let mut line = Line::open(desk.command(&["serve", "--stdio"]));
    line.initialize();
    eventually("the tools", || {
        (names(&mut line) == ["b__get", "b__set"]).then_some(())
    });
    let pid = Pid::from_raw(line.child.id().try_into().expect("a pid")).expect("a pid");
    for (role, tools) in [
        ("reader", &["b__get"][..]),
        ("writer", &["b__set"]),
        ("all", &["b__get", "b__set"]),
    ] {
        let access = format!(
            "access: {{ roles: {{ reader: {{ allow: [b/get] }}, writer: {{ allow: [b/set] }}, all: {{ allow: [b] }} }},
               assign: [{{ role: {role}, socket: stdio }}] }}"
        );
        fs::write(desk.path().join("mcpmux.yaml"), yaml(&access)).expect("a file");
        kill_process(pid, Signal::HUP).expect("it runs");
        // What was told before may be read first.
        loop {
            let told = line.read();
            assert!(told.contains("list_changed"), "{told}");
            if names(&mut line) == tools {
                break;
            }
        }
    }
    assert_eq!(peer.starts(), 1, "it was not to be touched");
    assert_eq!(line.end(), Some(0));
}
