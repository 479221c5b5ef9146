//! What a client is told of a backend that awaits a login: where that is done,
//! in its own way, and when it is over.

use serde_json::json;

use crate::{
    daemon::Daemon,
    house::House,
    peers::Plan,
    support::{Answer, Client, Era, at, text},
    walker::Walker,
};

const VISITS: &str = r#"{"elicitation":{"url":{}}}"#;
const FORMS: &str = r#"{"elicitation":{}}"#;

fn call(client: &Client, tool: &str, members: &str) -> String {
    let more = if members.is_empty() { "" } else { "," };
    client.spell(
        &client.id(),
        "tools/call",
        None,
        &format!(r#""name":"{tool}","arguments":{{}}{more}{members}"#),
    )
}

fn client(daemon: &Daemon<'_, '_>, era: Era, abilities: &'static str) -> Client {
    Client::of(daemon.mux.address(), era, abilities)
}

/// The URL that an `input_required` asks to visit, and its `requestState`.
fn visit(result: &str) -> (String, String) {
    assert_eq!(text(&at(result, &["resultType"])), "input_required");
    let params = at(result, &["inputRequests", "mcpmux-login-web", "params"]);
    assert_eq!(text(&at(&params, &["mode"])), "url");
    let url = text(&at(&params, &["url"]));
    (url, at(result, &["requestState"]))
}

fn answered(state: &str, action: &str) -> String {
    format!(
        r#""inputResponses":{{"mcpmux-login-web":{{"action":"{action}"}}}},"requestState":{state}"#
    )
}

#[test]
fn a_modern_client_is_sent_to_the_login_and_its_retry_waits_for_it() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let link = daemon.asks_for_login("web", 1);
    let client = client(&daemon, Era::Modern, VISITS);
    let first = client.send(&call(&client, "web__whoami", "")).result();
    let (url, state) = visit(&first);
    assert_eq!(url, link, "the login is one for all");
    // The retry is there before the person has consented.
    let retry = call(&client, "web__whoami", &answered(&state, "accept"));
    let retried = client.post(&retry);
    Walker::alice().walk(&url).follow();
    let result = Answer::read(retried.reply()).result();
    assert!(result.contains("alice"), "{result}");
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn a_modern_client_whose_user_declines_is_told_the_link_and_not_asked_again() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let link = daemon.asks_for_login("web", 1);
    let client = client(&daemon, Era::Modern, VISITS);
    let first = client.send(&call(&client, "web__whoami", "")).result();
    let (_, state) = visit(&first);
    let retry = call(&client, "web__whoami", &answered(&state, "decline"));
    let (code, why) = client.send(&retry).error();
    assert_eq!(code, -32000, "{why}");
    assert!(why.contains(&link), "{why}");
    daemon.log_in("web");
}

#[test]
fn a_legacy_client_gets_the_elicitation_and_is_told_when_the_login_is_over() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let link = daemon.asks_for_login("web", 1);
    let client = client(&daemon, Era::Legacy("2025-11-25"), VISITS);
    let mut stream = client.stream(&[]);
    let refused = client.send(&call(&client, "web__whoami", "")).response;
    assert_eq!(at(&refused, &["error", "code"]), "-32042");
    let visits = crate::support::elements(&at(&refused, &["error", "data", "elicitations"]));
    assert_eq!(text(&at(&visits[0], &["mode"])), "url");
    assert_eq!(text(&at(&visits[0], &["url"])), link);
    let id = at(&visits[0], &["elicitationId"]);
    Walker::alice().walk(&link).follow();
    let over = loop {
        let event = stream.event().expect("the login is over");
        if event.contains("notifications/elicitation/complete") {
            break event;
        }
    };
    assert_eq!(at(&over, &["params", "elicitationId"]), id);
    daemon.up("web");
    let result = client.send(&call(&client, "web__whoami", "")).result();
    assert!(result.contains("alice"), "{result}");
}

#[test]
fn a_client_that_cannot_visit_gets_an_error_that_holds_the_link() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let link = daemon.asks_for_login("web", 1);
    for era in [Era::Legacy("2025-11-25"), Era::Modern] {
        let client = client(&daemon, era, FORMS);
        let (code, why) = client.send(&call(&client, "web__whoami", "")).error();
        assert_eq!(code, -32000, "{why}");
        assert!(why.contains(&link), "{why}");
        assert!(why.contains("mcpmux auth login web"), "{why}");
    }
    daemon.log_in("web");
}

#[test]
fn a_call_that_needs_a_wider_scope_says_where_that_is_consented_to_and_others_go_on() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    let client = client(&daemon, Era::Modern, VISITS);
    let asked = client.send(&call(&client, "web__admin", "")).result();
    let (url, state) = visit(&asked);
    assert!(url.contains("mcp%3Aadmin"), "{url}");
    assert!(url.contains("mcp%3Acall"), "what it had stays: {url}");
    // The token that there is is good for what it is good for.
    daemon.echoes("web");
    Walker::alice().walk(&url).follow();
    let retry = call(&client, "web__admin", &answered(&state, "accept"));
    let result = client.send(&retry).result();
    assert!(result.contains("admin ok"), "{result}");
    assert_eq!(daemon.logins_asked("web"), 2);
}
