//! A person logs in once, and is not asked again.

use std::{net::TcpListener, thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    house::{House, Store},
    peers::Plan,
    support::{at, text},
};

/// What a tool said.
fn said(result: &str) -> String {
    let content = crate::support::elements(&at(result, &["content"]));
    text(&at(&content[0], &["text"]))
}

#[test]
fn one_consent_opens_a_backend_and_the_token_is_of_who_consented() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.echoes("web");
    let who = said(&daemon.call("web__whoami", "{}").result());
    let who: Value = serde_json::from_str(&who).unwrap();
    assert_eq!(who["sub"], "alice");
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn registration_and_requests_say_what_they_must() {
    let peers = Plan::default().start();
    let house = House::of(
        &peers,
        peers.endpoint(),
        json!({"client_name": "my mcpmux"}),
    );
    let daemon = house.serve();
    daemon.log_in("web");
    let registered = &peers.requests_for("registration")[0];
    let client = registered.registered.as_ref().unwrap();
    assert_eq!(client["client_name"], "my mcpmux");
    assert_eq!(client["application_type"], "native");
    let callback = format!("http://{}/oauth/callback", daemon.mux.address());
    assert_eq!(client["redirect_uris"], json!([callback]));
    let asked = &peers.requests_for("authorization")[0];
    let exchanged = &peers.grants("authorization_code")[0];
    for request in [asked, exchanged] {
        assert_eq!(request.resource.as_deref(), Some(peers.endpoint()));
        assert_eq!(request.redirect.as_ref(), Some(&callback));
    }
    // The last, where it is known, is asked for so that there is something to
    // refresh with.
    let scope = asked.scope.as_deref();
    assert_eq!(scope, Some("mcp:read mcp:call offline_access"));
    for request in peers.requests_for("token") {
        let agent = request.agent.unwrap_or_default();
        assert!(agent.starts_with("mcpmux/"), "{agent}");
    }
}

#[test]
fn a_restart_needs_no_new_consent() {
    let peers = Plan::default().start();
    for store in [Store::Runtime, Store::Vault] {
        let house = House::of(&peers, peers.endpoint(), json!({})).store(store);
        let daemon = house.serve();
        daemon.log_in("web");
        daemon.mux.stop();
        let daemon = house.serve();
        daemon.up("web");
        daemon.echoes("web");
        assert_eq!(daemon.logins_asked("web"), 0);
    }
}

#[test]
fn a_person_who_is_asked_to_consent_finds_an_idle_mcpmux_still_there() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = house.serve_until_idle(&socket, "1s");
    daemon.asks_for_login("web", 1);
    // Longer than that; there is no event for "did not end".
    thread::sleep(Duration::from_millis(2500));
    daemon.log_in("web");
    assert!(daemon.mux.ended().success());
}
