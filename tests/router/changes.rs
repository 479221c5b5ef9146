//! How lists change and who is told.

use super::DONE;
use crate::support::{Client, Peer, Setup, at, error, legacy, member, modern};

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

#[test]
fn a_change_is_read_and_told_to_both_eras() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    peer.set(legacy(&["t", "u"]));
    peer.emit(CHANGED);
    assert_eq!(
        member(&old_news.event().expect("a notification"), "method").as_deref(),
        Some(r#""notifications/tools/list_changed""#)
    );
    let told = new_news.event().expect("a notification");
    assert_eq!(
        at(&told, &["method"]),
        r#""notifications/tools/list_changed""#
    );
    at(
        &told,
        &["params", "_meta", "io.modelcontextprotocol/subscriptionId"],
    );
    // Whoever is told sees the change at once.
    assert_eq!(new.names(), ["b__t", "b__u"]);
    assert_eq!(old.names(), ["b__t", "b__u"]);
    peer.set(legacy(&["u"]));
    peer.emit(CHANGED);
    old_news.event().expect("a notification");
    assert_eq!(old.names(), ["b__u"]);
    assert_eq!(new.call("b__t", None).error().0, -32602);
}

#[test]
fn many_changes_at_once_are_read_few_times() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut news = client.listen();
    let before = peer.messages("tools/list").len();
    peer.set(legacy(&["t", "u"]));
    for _ in 0..50 {
        peer.emit(CHANGED);
    }
    news.event().expect("a notification");
    client.await_names(&["b__t", "b__u"]);
    let asked = peer.messages("tools/list").len() - before;
    assert!(
        (1..=5).contains(&asked),
        "the backend was asked {asked} times"
    );
}

#[test]
fn a_change_that_changes_nothing_is_told_to_nobody() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut news = client.listen();
    let before = peer.messages("tools/list").len();
    peer.emit(CHANGED);
    peer.message("tools/list", before + 1);
    peer.set(legacy(&["t", "u"]));
    peer.emit(CHANGED);
    news.event().expect("a notification");
    assert_eq!(
        client.names(),
        ["b__t", "b__u"],
        "the first that is told is of the true change"
    );
}

#[test]
fn a_refresh_that_fails_keeps_what_was_known() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let before = peer.messages("tools/list").len();
    peer.set(legacy(&["t"]).on("tools/list", [error(-32603, "later")]));
    peer.emit(CHANGED);
    peer.message("tools/list", before + 1);
    mux.logged("later");
    assert_eq!(client.names(), ["b__t"]);
    assert_eq!(client.call("b__t", None).result(), DONE);
}

#[test]
fn a_modern_process_is_listened_to_by_subscription() {
    let peer = Peer::new(modern(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let listen = peer.message("subscriptions/listen", 1);
    assert_eq!(
        at(&listen, &["params", "notifications", "toolsListChanged"]),
        "true"
    );
    peer.relaying("subscriptions/listen");
    peer.set(modern(&["t", "u"]));
    peer.emit(
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":$ID}}}"#,
    );
    client.await_names(&["b__t", "b__u"]);
}
