//! What a reload puts in effect beside the backends: roles, who may come in, what
//! callers may ask, and what is recorded of it; and what it leaves alone.

use std::fs;

use super::Desk;
use crate::support::{
    Answer, Client, Connection, Peer, Script, Setup, Step, at, eventually, initialize, legacy,
    legacy_with, result,
};

const CAPABLE: &str =
    r#"{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true}}"#;
const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
const HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
];

/// Roles of which everybody has `few`, with these rules.
fn few(rules: &str) -> String {
    format!("access: {{ roles: {{ few: {rules} }}, default_role: few }}")
}

fn server() -> Script {
    let tools = ["t", "slow"].map(|name| format!(r#"{{"name":"{name}","inputSchema":{{}}}}"#));
    legacy_with(CAPABLE)
        .list("tools", &tools.join(","))
        .list(
            "resources",
            r#"{"uri":"doc:a","name":"a"},{"uri":"doc:b","name":"b"}"#,
        )
        .on("resources/subscribe", [result("{}")])
        .on("resources/unsubscribe", [result("{}")])
        .tool("t", [result(DONE)])
        .tool("slow", [Step::Await("go".to_owned()), result(DONE)])
}

#[test]
fn a_role_that_loses_a_tool_no_longer_sees_it_and_is_told_and_its_call_goes_on() {
    let desk = Desk::new();
    let peer = Peer::new(server());
    let setup = |rules: &str| Setup::one("b", &peer).top(&few(rules));
    let mux = desk.serve(setup("{ allow: [b] }"));
    Client::wait_for(&mux, "b__slow");
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    let slow = |client: &Client| {
        client.post(&client.spell(&client.id(), "tools/call", None, r#""name":"b__slow""#))
    };
    let calls = [slow(&old), slow(&new)];
    peer.message("tools/call", 2);

    let said = desk.reload(&mux, &setup("{ allow: [b], deny: [b/slow] }"));
    assert_eq!(said, "no backend has changed\nin effect access\n");
    for (client, news) in [(&old, &mut old_news), (&new, &mut new_news)] {
        let told = news.event().expect("a notification");
        assert!(told.contains("tools/list_changed"), "{told}");
        assert_eq!(client.names(), ["b__t"]);
        let (denied, unknown) = (client.call("b__slow", None), client.call("b__nope", None));
        assert_eq!(
            denied.error().1.replace("slow", "nope"),
            unknown.error().1,
            "as if it were not there"
        );
        client.call("b__t", None).result();
    }
    peer.open("go");
    for call in calls {
        assert!(Answer::read(call.reply()).result().contains("done"));
    }
    assert_eq!(peer.starts(), 1, "it was not to be touched");
    // And back, in the same sessions and streams.
    desk.reload(&mux, &setup("{ allow: [b] }"));
    for (client, news) in [(&old, &mut old_news), (&new, &mut new_news)] {
        let told = news.event().expect("a notification");
        assert!(told.contains("tools/list_changed"), "{told}");
        assert_eq!(client.names(), ["b__t", "b__slow"]);
    }
    assert_eq!(
        desk.reload(&mux, &setup("{ allow: [b] }")),
        "no backend has changed\n"
    );
}

#[test]
fn who_has_another_role_now_begins_anew_in_it() {
    let desk = Desk::new();
    let peer = Peer::new(server());
    let mux = desk.serve(Setup::one("b", &peer));
    Client::wait_for(&mux, "b__slow");
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    desk.reload(
        &mux,
        &Setup::one("b", &peer).top(&few("{ allow: [b/slow] }")),
    );
    // What was said in the former role ends.
    assert_eq!((old_news.event(), new_news.event()), (None, None));
    let gone = old.start(&old.spell("1", "tools/list", None, ""));
    assert_eq!(gone.status, 404);
    assert_eq!(new.names(), ["b__slow"]);
    assert_eq!(Client::legacy(&mux).names(), ["b__slow"]);
    assert_eq!(peer.starts(), 1, "it was not to be touched");
}

#[test]
fn who_may_not_read_a_resource_any_more_hears_no_more_of_it() {
    let desk = Desk::new();
    let peer = Peer::new(server());
    let setup = |rules: &str| Setup::one("b", &peer).top(&few(rules));
    let mux = desk.serve(setup("{ allow: [b] }"));
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    old.list("resources/list", "doc:b");
    for uri in ["doc:a", "doc:b"] {
        old.request("resources/subscribe", &format!(r#""uri":"{uri}""#))
            .result();
    }
    let mut news = [
        old.listen(),
        new.listen_to(r#""resourceSubscriptions":["doc:a","doc:b"]"#),
    ];
    desk.reload(
        &mux,
        &setup("{ allow: [b], deny: ['resource:b/doc:a', b/t] }"),
    );
    let left = peer.message("resources/unsubscribe", 1);
    assert!(left.contains("doc:a"), "{left}");
    for uri in ["doc:a", "doc:b"] {
        peer.emit(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
        ));
    }
    for news in &mut news {
        loop {
            let told = news.event().expect("a notification");
            assert!(!told.contains("doc:a"), "{told}");
            if told.contains("doc:b") {
                break;
            }
        }
    }
}

#[test]
fn who_may_come_in_is_another_one_on_connections_that_are_open_as_well() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let mux = desk.serve(Setup::one("b", &peer));
    let begin = |connection: &mut Connection| {
        let body = initialize("2025-11-25");
        connection
            .request("POST", "/mcp", &HEADERS, &body)
            .expect("sent");
    };
    let mut connection = Connection::open(mux.address());
    begin(&mut connection);
    let reply = connection.reply();
    assert_eq!(reply.status, 200);
    let mut news = Client::legacy(&mux).listen();
    let (_, mut connection) = reply.reuse();

    let setup = Setup::one("b", &peer).top("access: { keys: require }");
    assert_eq!(
        desk.reload(&mux, &setup),
        "no backend has changed\nin effect access\n"
    );
    begin(&mut connection);
    assert_eq!(connection.reply().status, 401);
    assert_eq!(news.event(), None, "nothing lets it in any more");
    desk.reload(&mux, &Setup::one("b", &peer));
    let mut connection = Connection::open(mux.address());
    begin(&mut connection);
    assert_eq!(connection.reply().status, 200);
}

#[test]
fn a_configuration_that_would_let_in_everybody_or_nobody_knows_changes_nothing() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let open = |top: &str| {
        Setup::default()
            .backend("b", &peer, "")
            .address("\"0.0.0.0:0\"")
            .top(top)
    };
    let mux = desk.serve(open("access: { keys: require }"));
    for (top, said) in [
        ("access: { keys: allow }", "reachable from other machines"),
        (
            "access: { keys: require, local_users: [no-such-user] }",
            "there is no user \"no-such-user\"",
        ),
    ] {
        let other = open(top).backend("c", &peer, "env: { X: y }");
        mux.rewrite(&other.yaml());
        let output = desk.run(&[]);
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains(said) && told.contains("nothing was changed"),
            "{told}"
        );
        let mut address = mux.address();
        address.set_ip([127, 0, 0, 1].into());
        let mut connection = Connection::open(address);
        connection
            .request("POST", "/mcp", &HEADERS, &initialize("2025-11-25"))
            .expect("sent");
        assert_eq!(connection.reply().status, 401);
    }
    assert_eq!(peer.starts(), 1, "not even a backend");
}

#[test]
fn what_callers_may_ask_is_other_and_what_they_have_asked_counts() {
    let desk = Desk::new();
    let peer = Peer::new(server());
    let setup = |limits: &str| Setup::one("b", &peer).top(&format!("limits: {limits}"));
    let mux = desk.serve(setup("{ budget: 3, concurrency: 5 }"));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.call("b__t", None).result();
    let slow = client.post(&client.spell("\"s\"", "tools/call", None, r#""name":"b__slow""#));
    peer.message("tools/call", 2);
    let refused = |said: &str| {
        let (code, message) = client.call("b__t", None).error();
        assert!(code == -32000 && message.contains(said), "{message}");
    };
    let told = desk.reload(&mux, &setup("{ budget: 3, concurrency: 1 }"));
    assert_eq!(told, "no backend has changed\nin effect limits\n");
    refused("1 calls in flight");
    desk.reload(&mux, &setup("{ budget: 3 }"));
    client.call("b__t", None).result();
    refused("3 calls a day");
    desk.reload(&mux, &setup("{ budget: 4, concurrency: 1 }"));
    refused("1 calls in flight");
    peer.open("go");
    assert!(Answer::read(slow.reply()).result().contains("done"));
    client.call("b__t", None).result();
    refused("4 calls a day");
    desk.reload(&mux, &Setup::one("b", &peer));
    client.call("b__t", None).result();
}

#[test]
fn calls_are_recorded_where_the_configuration_says_now() {
    let desk = Desk::new();
    let peer = Peer::new(server());
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let setup = |name: &str| {
        let audit = format!(
            "audit: {{ file: {}, arguments: [b/t] }}",
            place(name).display()
        );
        Setup::one("b", &peer).top(&audit)
    };
    let mux = desk.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.call("b__t", None).result();
    let lines = |name: &str, count: usize| {
        eventually("the records", || {
            let text = fs::read_to_string(place(name)).unwrap_or_default();
            (text.lines().count() == count).then_some(text)
        })
    };
    assert_eq!(
        desk.reload(&mux, &setup("one")),
        "no backend has changed\nin effect audit\n"
    );
    let slow = client.post(&client.spell("\"s\"", "tools/call", None, r#""name":"b__slow""#));
    peer.message("tools/call", 2);
    client.call("b__t", Some(r#"{"a":1}"#)).result();
    assert!(lines("one", 1).contains(r#""arguments":{"a":1}"#));
    // A call that is under way is recorded where that is done when it ends.
    desk.reload(&mux, &setup("two"));
    peer.open("go");
    let answer = Answer::read(slow.reply());
    assert_eq!(at(&answer.response, &["id"]), "\"s\"");
    assert!(lines("two", 1).contains(r#""name":"slow""#));
    lines("one", 1);
    desk.reload(&mux, &Setup::one("b", &peer));
    client.call("b__t", None).result();
    desk.reload(&mux, &setup("two"));
    client.call("b__t", None).result();
    lines("two", 2);
}
