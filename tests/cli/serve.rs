//! What `mcpmux serve` says, and where.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::Stdio,
};

use super::{Desk, err, exits};
use crate::support::{Client, Peer, Setup, legacy};

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let desk = Desk::new(&format!("listen:\n  address: {address}\nbackends: []\n"));
    let output = desk.run(&["serve"]);
    exits(&output, 1);
    assert!(
        err(&output).contains(&address.to_string()),
        "{}",
        err(&output)
    );
}

#[test]
fn a_log_in_json_is_json() {
    let peer = Peer::new(legacy(&["t"]));
    let desk = Desk::new(&Setup::one("files", &peer).yaml());
    let mut child = desk
        .command(&["--log-level", "debug", "--log-format", "json", "serve"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("mcpmux can be run");
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().expect("a pipe")).lines() {
        let line = line.expect("a line");
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let serves = line.contains("listening on");
        lines.push(value);
        if serves {
            break;
        }
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("mcpmux runs");
    assert!(child.wait().expect("it ends").success());
    assert!(!lines.is_empty());
}

#[test]
fn the_log_names_backend_and_tool() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("files", &peer).serve();
    Client::legacy(&mux).call("files__t", None).result();
    mux.stop();
    let log = mux.log();
    let both =
        |line: &&str| line.contains("files") && line.contains(" t") || line.contains("files__t");
    assert!(
        log.lines().any(|line| both(&line)),
        "no line names the call:\n{log}"
    );
    assert!(
        log.bytes().all(|b| b != 0x1b),
        "no colours where nobody sees them"
    );
}
