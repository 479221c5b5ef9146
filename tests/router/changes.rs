//! How lists change and who is told.

use super::DONE;
use crate::support::{
    Client, Peer, Script, Setup, at, error, legacy, legacy_with, member, modern, modern_with, text,
};

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
fn a_change_that_the_list_does_not_show_is_told_all_the_same() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut news = client.listen();
    peer.emit(CHANGED);
    let told = news.event().expect("a notification");
    assert!(told.contains("notifications/tools/list_changed"), "{told}");
    assert_eq!(client.names(), ["b__t"]);
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

/// The lists that have notifications, with a definition and where it is listed.
const LISTS: [(&str, &str, &str); 4] = [
    (
        "tools",
        "tools/list",
        r#"{"name":"$","inputSchema":{"type":"object"}}"#,
    ),
    ("prompts", "prompts/list", r#"{"name":"$"}"#),
    ("resources", "resources/list", r#"{"uri":"r:$","name":"n"}"#),
    (
        "resourceTemplates",
        "resources/templates/list",
        r#"{"uriTemplate":"r:{$}","name":"n"}"#,
    ),
];

/// A server that has one of everything, but `names` in `changing`.
fn everything(script: Script, changing: &str, names: &[&str]) -> Script {
    LISTS.iter().fold(script, |script, (list, _, definition)| {
        let names = if *list == changing { names } else { &["same"] };
        let all = names.iter().map(|name| definition.replace('$', name));
        script.list(list, &all.collect::<Vec<_>>().join(","))
    })
}

#[test]
fn each_list_is_read_and_told_by_itself() {
    let all = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true}}"#;
    let all_changes =
        r#""toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true"#;
    for (list, method, _) in LISTS {
        let script = |names: &[&str]| everything(legacy_with(all), list, names);
        let peer = Peer::new(script(&["old", "gone"]));
        let mux = Setup::one("b", &peer).serve();
        Client::modern(&mux).list(method, "gone");
        let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
        let (mut old_news, mut new_news) = (old.listen(), new.listen_to(all_changes));
        let noun = list.replace("resourceTemplates", "resources");
        let changed = format!("notifications/{noun}/list_changed");
        let before: Vec<usize> = LISTS
            .iter()
            .map(|(_, method, _)| peer.messages(method).len())
            .collect();
        peer.set(script(&["old", "new"]));
        peer.emit(&format!(r#"{{"jsonrpc":"2.0","method":"{changed}"}}"#));
        for news in [&mut old_news, &mut new_news] {
            let message = news.event().expect("a notification");
            assert_eq!(text(&at(&message, &["method"])), changed);
        }
        for client in [&old, &new] {
            let result = client.request(method, "").result();
            assert!(
                result.contains("new") && !result.contains("gone"),
                "{result}"
            );
        }
        for ((other, method, _), before) in LISTS.into_iter().zip(before) {
            let read = peer.messages(method).len() > before;
            let stale = other.starts_with(noun.trim_end_matches('s'));
            assert_eq!(read, stale, "{other} after a change of {list}");
        }
        // The next that is told is of the next change: nothing else was said.
        peer.set(script(&["old"]));
        peer.emit(&format!(r#"{{"jsonrpc":"2.0","method":"{changed}"}}"#));
        for news in [&mut old_news, &mut new_news] {
            let message = news.event().expect("a notification");
            assert_eq!(text(&at(&message, &["method"])), changed);
        }
        for client in [&old, &new] {
            let result = client.request(method, "").result();
            assert!(
                result.contains("old") && !result.contains("new"),
                "{result}"
            );
        }
    }
}

#[test]
fn a_modern_backend_is_asked_for_the_changes_that_it_offers() {
    let some = r#"{"tools":{},"prompts":{"listChanged":true},"resources":{"listChanged":true}}"#;
    let script = |names: &[&str]| everything(modern_with(some), "prompts", names);
    for peer in [Peer::new(script(&["p"])), Peer::http(script(&["p"]))] {
        let mux = Setup::one("b", &peer).serve();
        let client = Client::legacy(&mux);
        client.list("prompts/list", "b__p");
        let listen = peer.message("subscriptions/listen", 1);
        assert_eq!(
            at(&listen, &["params", "notifications"]),
            r#"{"promptsListChanged":true,"resourcesListChanged":true}"#
        );
        peer.relaying("subscriptions/listen");
        peer.set(script(&["p", "q"]));
        peer.emit(
            r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":$ID}}}"#,
        );
        client.list("prompts/list", "b__q");
    }
}
