//! What clients are told that can be done: what the backends really offer.

use crate::support::{
    Client, Era, Peer, Script, Setup, Step, at, legacy_with, member, modern_with,
};

const RICH: &str = r#"{"tools":{},"resources":{"subscribe":true},"completions":{},"logging":{},"tasks":{"list":{ }},"experimental":{"e":{"x":1.0}}}"#;

/// What clients of both eras are told once every backend has been up.
fn told(setup: Setup) -> (String, String) {
    let mux = setup.serve();
    let new = Client::modern(&mux);
    new.request("tools/list", "").result();
    let modern = at(
        &new.request("server/discover", "").result(),
        &["capabilities"],
    );
    let old = Client::new(&mux, Era::Legacy("2025-11-25"));
    (at(old.initialized(), &["capabilities"]), modern)
}

#[test]
fn only_what_backends_offer_is_offered() {
    let peer = Peer::new(legacy_with(r#"{"tools":{}}"#).list("tools", ""));
    let (old, new) = told(Setup::one("b", &peer));
    assert_eq!(old, r#"{"tools":{"listChanged":true}}"#);
    assert_eq!(new, old);
}

#[test]
fn what_one_backend_offers_is_offered() {
    let rich = Peer::new(
        legacy_with(RICH)
            .list("tools", "")
            .list("resources", "")
            .list("resourceTemplates", ""),
    );
    let modern = r#"{"prompts":{},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html"]},"io.modelcontextprotocol/tasks":{}}}"#;
    let modern = Peer::http(modern_with(modern).list("prompts", ""));
    let (old, new) = told(Setup::one("rich", &rich).backend("modern", &modern, ""));
    for told in [&old, &new] {
        assert_eq!(at(told, &["tools"]), r#"{"listChanged":true}"#);
        assert_eq!(at(told, &["prompts"]), r#"{"listChanged":true}"#);
        assert_eq!(at(told, &["resources", "subscribe"]), "true");
        assert_eq!(at(told, &["resources", "listChanged"]), "true");
        assert_eq!(at(told, &["completions"]), "{}");
        assert_eq!(at(told, &["logging"]), "{}");
        assert_eq!(at(told, &["experimental"]), r#"{"e":{"x":1.0}}"#);
        assert_eq!(
            at(told, &["extensions", "io.modelcontextprotocol/ui"]),
            r#"{"mimeTypes":["text/html"]}"#
        );
    }
    assert_eq!(at(&old, &["tasks"]), r#"{"list":{ }}"#);
    assert_eq!(member(&new, "tasks"), None);
    at(&new, &["extensions", "io.modelcontextprotocol/tasks"]);
    assert_eq!(
        member(&at(&old, &["extensions"]), "io.modelcontextprotocol/tasks"),
        None
    );
}

#[test]
fn a_backend_that_is_still_to_be_heard_may_offer_anything() {
    let slow = Peer::new(Script::default().on("server/discover", [Step::Await("go".to_owned())]));
    let mux = Setup::one("slow", &slow).serve();
    let old = Client::legacy(&mux);
    let told = at(old.initialized(), &["capabilities"]);
    for key in ["tools", "prompts", "resources", "completions", "logging"] {
        at(&told, &[key]);
    }
    slow.open("go");
}

#[test]
fn what_a_backend_offered_before_it_went_away_is_offered_still() {
    let peer = Peer::new(
        legacy_with(RICH)
            .list("tools", "")
            .list("resources", r#"{"uri":"r:1","name":"n"}"#)
            .list("resourceTemplates", ""),
    );
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.list("resources/list", "r:1");
    peer.rewrite(Script::default().start([Step::Exit(9)]));
    peer.exit(1);
    mux.logged("next attempt");
    let told = client.request("server/discover", "").result();
    at(&told, &["capabilities", "resources"]);
    client.list("resources/list", "r:1");
    assert!(Client::legacy(&mux).initialized().contains("subscribe"));
}

#[test]
fn a_subscription_is_acknowledged_for_the_lists_that_there_are() {
    let peer = Peer::new(
        legacy_with(r#"{"resources":{}}"#)
            .list("resources", "")
            .list("resourceTemplates", ""),
    );
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.request("tools/list", "").result();
    let filter = r#""notifications":{"promptsListChanged":true,"resourcesListChanged":true}"#;
    let mut reply = client.start(&client.spell("1", "subscriptions/listen", None, filter));
    let first = reply.event().expect("an acknowledgement");
    assert_eq!(
        at(&first, &["params", "notifications"]),
        r#"{"resourcesListChanged":true}"#
    );
}
