//! Changes that a backend tells on a stream of its own.

use super::house;
use crate::support::{Client, Event, Peer, Setup, Step, at, legacy, modern};

#[test]
fn changes_that_a_legacy_backend_tells_on_its_get_stream_reach_clients() {
    let peer = Peer::http(
        legacy(&["t"])
            .sessions(&["s"])
            .on("GET", [Step::Sse(Vec::new()), Step::Relay]),
    );
    let (_mux, client) = house(&peer);
    let mut news = client.listen();
    peer.relaying("GET");
    peer.set(legacy(&["t", "u"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let message = news.event().expect("a notification");
    assert_eq!(
        at(&message, &["method"]),
        r#""notifications/tools/list_changed""#
    );
    client.await_names(&["web__t", "web__u"]);
}

#[test]
fn changes_that_a_modern_backend_tells_on_its_subscription_reach_clients() {
    let peer = Peer::http(modern(&["t"]));
    let mux = Setup::one("web", &peer).serve();
    Client::wait_for(&mux, "web__t");
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    let listen = peer.message("subscriptions/listen", 1);
    assert_eq!(
        at(&listen, &["params", "notifications", "toolsListChanged"]),
        "true"
    );
    peer.set(modern(&["t", "u"]));
    peer.emit(
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":$ID}}}"#,
    );
    let message = new_news.event().expect("a notification");
    assert!(
        at(&message, &["params", "_meta"]).contains("io.modelcontextprotocol/subscriptionId"),
        "{message}"
    );
    let message = old_news.event().expect("a notification");
    assert!(!message.contains("subscriptionId"), "{message}");
    old.await_names(&["web__t", "web__u"]);
}

#[test]
fn no_call_reaches_a_legacy_backend_before_its_get_stream_stands() {
    let opening = [Step::Wait(100), Step::Sse(Vec::new()), Step::Relay];
    let peer = Peer::http(legacy(&["t"]).sessions(&["s"]).on("GET", opening));
    let mux = Setup::one("web", &peer).serve();
    // It waits while the backend starts.
    Client::modern(&mux).call("web__t", None).result();
    let events = peer.events();
    let relays = |event: &Event| matches!(event, Event::Relaying(key) if key == "GET");
    let calls = |event: &Event| matches!(event, Event::Request(request) if request.body.contains("tools/call"));
    let relaying = events.iter().position(relays).expect("a stream");
    let called = events.iter().position(calls).expect("a call");
    assert!(relaying < called, "a question in between would be lost");
}

#[test]
fn a_legacy_backend_whose_get_stream_never_begins_is_up_without_it() {
    let peer = Peer::http(legacy(&["t"]).on("GET", [Step::Await("never".to_owned())]));
    let mux = Setup::one("web", &peer).serve();
    Client::modern(&mux).call("web__t", None).result();
}
