//! Subscriptions to resources, counted, and the streams on which updates are
//! told.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod counting;
mod eras;
mod many;
mod reconnection;
mod resumption;
mod stdio;
#[path = "../support/mod.rs"]
mod support;

use support::{
    Client, Era, Event, Peer, Reply, Request, Script, Step, at, legacy, modern, result, text,
};

/// What both kinds of server below have.
const X: &str = "file:///x";
const Y: &str = "file:///y";

/// A legacy server with the resources [`X`] and [`Y`].
fn old() -> Script {
    with_lists(legacy(&["t"]))
        .on(
            "initialize",
            [result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"peer","version":"1"}}"#,
            )],
        )
        .on("resources/subscribe", [result("{}")])
        .on("resources/unsubscribe", [result("{}")])
}

/// The same over HTTP, with sessions and a stream.
fn old_http() -> Script {
    old()
        .sessions(&["s1", "s2"])
        .on("GET", [Step::Sse(Vec::new()), Step::Relay])
}

/// A modern server with the same resources.
fn new() -> Script {
    with_lists(modern(&["t"]))
        .on(
            "server/discover",
            [result(
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"peer","version":"1"}}}"#,
            )],
        )
        .on("subscriptions/listen", [granted(), Step::Relay])
}

fn with_lists(script: Script) -> Script {
    let resources = [X, Y].map(|uri| format!(r#"{{"uri":"{uri}","name":"{uri}"}}"#));
    let list = format!(
        r#"{{"resultType":"complete","resources":[{}],"ttlMs":0,"cacheScope":"private"}}"#,
        resources.join(",")
    );
    let templates =
        r#"{"resultType":"complete","resourceTemplates":[],"ttlMs":0,"cacheScope":"private"}"#;
    script
        .on("resources/list", [result(&list)])
        .on("resources/templates/list", [result(templates)])
}

/// An acknowledgement that grants both resources.
fn granted() -> Step {
    Step::Send(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":$ID}},"notifications":{{"toolsListChanged":true,"resourceSubscriptions":["{X}","{Y}"]}}}}}}"#
    ))
}

/// An update as a legacy server tells it.
fn updated(uri: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{ "uri":"{uri}", "n":1.0 }}}}"#
    )
}

/// An update as a modern server tells it.
fn tagged(uri: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":$ID}}, "uri":"{uri}", "n":1.0 }}}}"#
    )
}

fn member_uri(uri: &str) -> String {
    format!(r#""uri":"{uri}""#)
}

/// Has a client of either era told of updates; modern ones get a stream of
/// their own, which names what is granted.
#[track_caller]
fn watch(client: &Client, era: Era, uris: &[&str]) -> Reply {
    if era == Era::Modern {
        let uris: Vec<_> = uris.iter().map(|uri| format!("{uri:?}")).collect();
        let filter = format!(
            r#""notifications":{{"resourceSubscriptions":[{}]}}"#,
            uris.join(",")
        );
        let mut reply =
            client.start(&client.spell(r#""sub""#, "subscriptions/listen", None, &filter));
        assert!(reply.streams());
        let first = reply.event().expect("an acknowledgement");
        assert_eq!(
            text(&at(&first, &["method"])),
            "notifications/subscriptions/acknowledged"
        );
        assert_eq!(
            at(
                &first,
                &["params", "notifications", "resourceSubscriptions"]
            ),
            format!("[{}]", uris.join(","))
        );
        return reply;
    }
    let stream = client.listen();
    for uri in uris {
        let answer = client.request("resources/subscribe", &member_uri(uri));
        assert_eq!(answer.result(), "{}");
    }
    stream
}

/// The resource that the next event is about.
#[track_caller]
fn told(stream: &mut Reply) -> String {
    let event = stream.event().expect("an update");
    assert_eq!(
        text(&at(&event, &["method"])),
        "notifications/resources/updated"
    );
    text(&at(&event, &["params", "uri"]))
}

/// Waits until every listen that came is one on which `peer` tells.
#[track_caller]
fn relayed(peer: &Peer) {
    let listen = "subscriptions/listen";
    let came = |event: &&Event| match event {
        Event::Message(body) | Event::Request(Request { body, .. }) => body.contains(listen),
        _ => false,
    };
    let told = |event: &&Event| matches!(event, Event::Relaying(key) if key == listen);
    peer.wait("every listen to be told on", |events| {
        let count = events.iter().filter(told).count();
        (count > 0 && count == events.iter().filter(came).count()).then_some(())
    });
}
