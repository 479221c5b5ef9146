//! Clients that leave, cancel or wait.

use std::time::Duration;

use super::{DONE, house};
use crate::support::{Client, Mux, Peer, Setup, Step, at, legacy, result};

fn waiting() -> (Peer, Mux) {
    let peer = Peer::new(legacy(&["t", "waits"]).tool(
        "waits",
        [
            Step::Await("go".to_owned()),
            result(r#"{"content":[],"late":1}"#),
        ],
    ));
    let mux = Setup::one("b", &peer).serve();
    (peer, mux)
}

#[test]
fn a_modern_client_that_leaves_cancels_its_call() {
    let (peer, mux) = waiting();
    let client = Client::modern(&mux);
    let gone = client.post(&client.spell("77", "tools/call", None, r#""name":"b__waits""#));
    let call = peer.message("tools/call", 1);
    drop(gone);
    let cancelled = peer.message("notifications/cancelled", 1);
    assert_eq!(at(&cancelled, &["params", "requestId"]), at(&call, &["id"]));
}

#[test]
fn a_legacy_client_that_leaves_cancels_nothing() {
    let (peer, mux) = waiting();
    let client = Client::legacy(&mux);
    let gone = client.post(&client.spell("77", "tools/call", None, r#""name":"b__waits""#));
    peer.message("tools/call", 1);
    drop(gone);
    // Work that comes after the disconnect was noticed shows that nothing was sent before it.
    for _ in 0..20 {
        assert_eq!(client.call("b__t", None).result(), DONE);
    }
    peer.open("go");
    client.call("b__t", None).result();
    assert!(peer.messages("notifications/cancelled").is_empty());
}

#[test]
fn a_legacy_client_cancels_its_call_by_notification() {
    let (peer, mux) = waiting();
    let client = Client::legacy(&mux);
    for id in ["77", r#""x\u0061""#] {
        let before = peer.messages("tools/call").len();
        let mut answer = client.post(&client.spell(id, "tools/call", None, r#""name":"b__waits""#));
        let call = peer.message("tools/call", before + 1);
        client.notify(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"enough"}}}}"#
        ));
        let cancelled = peer.message("notifications/cancelled", before + 1);
        assert_eq!(at(&cancelled, &["params", "requestId"]), at(&call, &["id"]));
        assert_eq!(at(&cancelled, &["params", "reason"]), r#""enough""#);
        // No response belongs to it any more; the exchange ends without one.
        answer.set_patience(Duration::from_secs(5));
        if let Ok(reply) = answer.try_reply() {
            let mut reply = reply;
            assert!(
                !reply.streams()
                    || !matches!(reply.try_event(), Ok(Some(event)) if event.contains("late"))
            );
        }
    }
}

#[test]
fn cancelling_what_is_unknown_is_ignored() {
    let (peer, mux) = house();
    let client = Client::legacy(&mux);
    client.call("b__t", None).result();
    for id in ["1", "999", r#""strange""#] {
        client.notify(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        ));
    }
    client.call("b__t", None).result();
    assert!(peer.messages("notifications/cancelled").is_empty());
}

#[test]
fn a_call_that_waits_is_kept_alive_by_comments() {
    let (peer, mux) = waiting();
    let client = Client::legacy(&mux);
    let mut connection =
        client.post(&client.spell("1", "tools/call", None, r#""name":"b__waits""#));
    peer.message("tools/call", 1);
    // The answer begins, with a comment, before any client gives up waiting.
    connection.set_patience(Duration::from_secs(25));
    let mut reply = connection.reply();
    assert!(reply.streams());
    peer.open("go");
    assert_eq!(
        at(&reply.event().expect("the response"), &["result"]),
        r#"{"content":[],"late":1}"#
    );
    assert_eq!(reply.event(), None);
}
