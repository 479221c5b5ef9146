//! Streams of changes that modern clients open.

use crate::support::{Client, Peer, Setup, at, legacy, member, modern};
use std::time::{Duration, Instant};

#[test]
fn a_subscription_is_acknowledged_at_once_with_what_is_honoured() {
    let peer = Peer::new(modern(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let members = r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///x"],"odd":1}"#;
    let start = Instant::now();
    let mut reply =
        client.start(&client.spell(r#""sub\u0031""#, "subscriptions/listen", None, members));
    assert!(reply.streams());
    let first = reply.event().expect("an acknowledgement");
    assert!(
        start.elapsed().as_secs() < 2,
        "it took {:?}",
        start.elapsed()
    );
    assert_eq!(
        at(&first, &["method"]),
        r#""notifications/subscriptions/acknowledged""#
    );
    assert_eq!(
        at(
            &first,
            &["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
        ),
        r#""sub\u0031""#
    );
    assert_eq!(
        at(&first, &["params", "notifications", "toolsListChanged"]),
        "true"
    );
    for absent in ["promptsListChanged", "odd"] {
        assert_eq!(
            member(&at(&first, &["params", "notifications"]), absent),
            None,
            "{absent}"
        );
    }
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    // A stop of the service ends it gracefully, by a response.
    mux.signal(rustix::process::Signal::TERM);
    let mut last = String::new();
    while let Some(event) = reply.event() {
        last = event;
    }
    assert_eq!(at(&last, &["id"]), r#""sub\u0031""#);
    assert_eq!(at(&last, &["result", "resultType"]), r#""complete""#);
}

#[test]
fn a_subscription_to_nothing_is_told_of_nothing() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let mut quiet =
        client.start(&client.spell("1", "subscriptions/listen", None, r#""notifications":{}"#));
    quiet.event().expect("an acknowledgement");
    let mut told = client.listen();
    peer.set(legacy(&["t", "u"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    told.event().expect("a notification");
    quiet.set_patience(Duration::from_millis(200));
    assert!(quiet.try_event().is_err(), "it was told");
}
