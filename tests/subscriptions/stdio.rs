//! Clients that launched mcpmux are told on its stdout.

use std::{
    io::{BufRead, BufReader, Write},
    process::ChildStdout,
    sync::mpsc::{Receiver, channel},
    thread,
};

use super::{X, new, old, relayed, tagged, updated};
use crate::support::{PATIENCE, Peer, Setup, at, initialize, text};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    let stdout = BufReader::new(stdout);
    thread::spawn(move || {
        let mut lines = stdout.lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    lines
}

#[track_caller]
fn next(lines: &Receiver<String>) -> String {
    lines.recv_timeout(PATIENCE).expect("a line comes")
}

#[test]
fn a_legacy_client_subscribes_and_is_told() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).listen("transport: stdio").start(&[]);
    let (mut stdin, stdout) = mux.pipes();
    let lines = lines(stdout);
    mux.logged("up: ");
    let mut write = |line: &str| writeln!(stdin, "{line}").expect("mcpmux reads");
    write(&initialize("2025-11-25"));
    next(&lines);
    write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    write(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{{"uri":"{X}"}}}}"#
    ));
    assert_eq!(at(&next(&lines), &["result"]), "{}");
    peer.emit(&updated(X));
    assert_eq!(next(&lines), updated(X));
    write(&format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"resources/unsubscribe","params":{{"uri":"{X}"}}}}"#
    ));
    assert_eq!(at(&next(&lines), &["id"]), "2");
    peer.message("resources/unsubscribe", 1);
    drop(stdin);
    mux.ended();
}

#[test]
fn a_modern_client_listens_and_is_told() {
    let peer = Peer::new(new());
    let mux = Setup::one("b", &peer).listen("transport: stdio").start(&[]);
    let (mut stdin, stdout) = mux.pipes();
    let lines = lines(stdout);
    mux.logged("up: ");
    let mut write = |line: &str| writeln!(stdin, "{line}").expect("mcpmux reads");
    for id in [1, 2] {
        write(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"subscriptions/listen","params":{{"notifications":{{"resourceSubscriptions":["{X}"]}},{META}}}}}"#
        ));
        let first = next(&lines);
        assert_eq!(
            text(&at(&first, &["method"])),
            "notifications/subscriptions/acknowledged"
        );
    }
    let subscription = |line: &str| {
        at(
            line,
            &["params", "_meta", "io.modelcontextprotocol/subscriptionId"],
        )
    };
    relayed(&peer);
    peer.emit(&tagged(X));
    let mut told = [0, 1].map(|_| subscription(&next(&lines)));
    told.sort();
    assert_eq!(told, ["1", "2"]);
    write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    write(&format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"server/discover","params":{{{META}}}}}"#
    ));
    assert_eq!(at(&next(&lines), &["id"]), "3");
    peer.emit(&tagged(X));
    assert_eq!(subscription(&next(&lines)), "2");
    drop(stdin);
    mux.ended();
}
