//! Sessions with a backend: kept, lost, given back.

use std::thread;

use super::{DONE, calls, house, respond};
use crate::support::{Peer, Step, at, legacy, result};

#[test]
fn a_session_is_kept_on_every_request_and_given_back_at_the_end() {
    let peer = Peer::http(legacy(&["t"]).sessions(&["s-1"]));
    let (mux, client) = house(&peer);
    client.call("web__t", None).result();
    mux.stop();
    let requests = peer.requests();
    let after = requests
        .iter()
        .skip_while(|r| !r.body.contains(r#""initialize""#))
        .skip(1);
    let mut seen = 0;
    for request in after {
        assert_eq!(request.header("mcp-session-id"), Some("s-1"), "{request:?}");
        assert_eq!(
            request.header("mcp-protocol-version"),
            Some("2025-11-25"),
            "{request:?}"
        );
        seen += 1;
    }
    assert!(seen >= 3, "{requests:?}");
    assert!(
        requests.iter().any(|r| r.method == "DELETE"),
        "the session is given back"
    );
}

#[test]
fn a_lost_session_is_initialised_anew_and_the_call_repeated_once() {
    let lost = respond(
        404,
        "application/json",
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#,
    );
    let peer = Peer::http(
        legacy(&["t"])
            .sessions(&["s-1", "s-2"])
            .turns("tools/call t", [lost, vec![result(DONE)]]),
    );
    let (_mux, client) = house(&peer);
    assert_eq!(client.call("web__t", None).result(), DONE);
    let sessions: Vec<_> = peer
        .requests()
        .iter()
        .filter(|r| r.body.contains("tools/call"))
        .map(|r| r.header("mcp-session-id").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(sessions, ["s-1", "s-2"]);
    assert_eq!(peer.messages("initialize").len(), 2);
    assert_eq!(peer.messages("notifications/initialized").len(), 2);
    let call = peer.messages("tools/call");
    assert_eq!(at(&call[0], &["params"]), at(&call[1], &["params"]));
}

#[test]
fn a_session_that_is_lost_again_at_once_is_an_error() {
    let lost = respond(404, "text/plain", "Session not found");
    let peer = Peer::http(
        legacy(&["t"])
            .sessions(&["s-1", "s-2", "s-3"])
            .on("tools/call t", lost),
    );
    let (_mux, client) = house(&peer);
    let (_, message) = client.call("web__t", None).error();
    assert!(message.contains("web"), "{message}");
    assert_eq!(calls(&peer), 2);
}

#[test]
fn many_calls_that_lose_one_session_open_one_new_one() {
    let lost = respond(404, "text/plain", "Session not found");
    let mut turns = vec![[vec![Step::Await("all".to_owned())], lost].concat(); 8];
    turns.push(vec![result(DONE)]);
    let peer = Peer::http(
        legacy(&["t"])
            .sessions(&["s-1", "s-2", "s-3"])
            .turns("tools/call t", turns),
    );
    let (_mux, client) = house(&peer);
    thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.call("web__t", None).result()))
            .collect();
        peer.message("tools/call", 8);
        peer.open("all");
        for call in all {
            assert_eq!(call.join().expect("the call ends"), DONE);
        }
    });
    assert_eq!(peer.messages("initialize").len(), 2);
    assert_eq!(calls(&peer), 16);
}
