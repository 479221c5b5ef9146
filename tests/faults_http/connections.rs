//! Connections that are refused, reused, dead or closed in the middle.

use super::{DONE, house};
use crate::support::{Client, Event, Peer, Setup, Step, at, legacy, modern, progress, refusing};

#[test]
fn a_backend_that_refuses_connections_is_tried_again_until_it_is_there() {
    let (_held, address) = refusing();
    let peer = Peer::new(legacy(&["t"]));
    let works = Peer::http(legacy(&["t"]));
    let mux = Setup::one("works", &works)
        .raw_backend(&format!(
            "name: late\ntransport: http\nendpoint: http://{address}/mcp"
        ))
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    let (_, message) = client.call("late__t", None).error();
    assert!(
        message.contains("late") && message.to_lowercase().contains("refused"),
        "{message}"
    );
    let mut news = client.listen();
    peer.listen(&address.to_string());
    let message = news.event().expect("a notification");
    assert_eq!(
        at(&message, &["method"]),
        r#""notifications/tools/list_changed""#
    );
    client.await_names(&["works__t", "late__t"]);
    assert_eq!(client.call("late__t", None).result(), DONE);
}

#[test]
fn a_backend_that_restarts_is_found_again_by_the_next_call() {
    let peer = Peer::http(legacy(&["t"]).sessions(&["s-1"]));
    let (_mux, client) = house(&peer);
    assert_eq!(client.call("web__t", None).result(), DONE);
    let address = peer.address();
    peer.close();
    peer.listen(&address);
    // Pooled connections are dead now; a call that was not delivered is repeated.
    assert_eq!(client.call("web__t", None).result(), DONE);
}

#[test]
fn one_call_after_another_uses_the_same_few_connections() {
    let peer = Peer::http(legacy(&["t"]));
    let (_mux, client) = house(&peer);
    for _ in 0..50 {
        client.call("web__t", None).result();
    }
    // One for the calls, and one for the stream that was asked for meanwhile.
    assert!(
        peer.connections() <= 3,
        "{} connections",
        peer.connections()
    );
}

#[test]
fn a_call_that_modern_clients_leave_is_closed_at_the_backend() {
    for script in [
        modern(&["t"]).tool("t", [Step::Await("never".to_owned())]),
        modern(&["t"]).tool(
            "t",
            [
                Step::Sse(Vec::new()),
                progress(r#""progress":1"#),
                Step::Await("never".to_owned()),
            ],
        ),
    ] {
        let peer = Peer::http(script);
        let mux = Setup::one("web", &peer).serve();
        let client = Client::modern(&mux);
        client.tool("web__t");
        let gone = client.post(&client.spell("1", "tools/call", Some("1"), r#""name":"web__t""#));
        peer.message("tools/call", 1);
        drop(gone);
        peer.wait("the end of the call", |events| {
            events
                .iter()
                .any(|event| matches!(event, Event::Gone(key) if key == "tools/call t"))
                .then_some(())
        });
        // Over HTTP the closed stream says it all in this era.
        assert!(peer.messages("notifications/cancelled").is_empty());
    }
}

#[test]
fn a_legacy_backend_is_told_that_a_modern_client_left() {
    let peer = Peer::http(
        legacy(&["t"])
            .sessions(&["s"])
            .tool("t", [Step::Await("never".to_owned())]),
    );
    let mux = Setup::one("web", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("web__t");
    let gone = client.post(&client.spell("1", "tools/call", None, r#""name":"web__t""#));
    let call = peer.message("tools/call", 1);
    drop(gone);
    let cancelled = peer.message("notifications/cancelled", 1);
    assert_eq!(at(&cancelled, &["params", "requestId"]), at(&call, &["id"]));
}
