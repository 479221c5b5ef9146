//! As many idle sessions as there can be.

use super::{X, member_uri, old, told, updated};
use crate::support::{Client, Connection, Peer, Setup, initialize};

/// One less than the most, for the one that watches.
const IDLE: usize = 9_999;

#[test]
fn ten_thousand_idle_sessions_are_kept_and_served() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).log_level("info").serve();
    mux.logged("up: ");
    let watcher = Client::legacy(&mux);
    watcher
        .request("resources/subscribe", &member_uri(X))
        .result();
    let mut stream = watcher.listen();
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let mut connection = Connection::open(mux.address());
    let mut sessions = Vec::new();
    for _ in 0..IDLE {
        connection
            .request("POST", "/mcp", &headers, &initialize("2025-11-25"))
            .expect("mcpmux reads the request");
        let reply = connection.reply();
        sessions.push(
            reply
                .header("mcp-session-id")
                .expect("a session")
                .to_owned(),
        );
        connection = reply.reuse().1;
    }
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for session in [&sessions[0], &sessions[IDLE / 2], &sessions[IDLE - 1]] {
        let headers = [&headers[..], &[("Mcp-Session-Id", session.as_str())]].concat();
        connection
            .request("POST", "/mcp", &headers, ping)
            .expect("mcpmux reads the request");
        let reply = connection.reply();
        assert_eq!(reply.status, 200, "a session was given up");
        connection = reply.reuse().1;
    }
    peer.emit(&updated(X));
    assert_eq!(told(&mut stream), X);
}
