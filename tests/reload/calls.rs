//! Calls, sessions and subscriptions over a reload.

use super::{Desk, running};
use crate::support::{
    Answer, Client, Peer, Script, Setup, Step, at, eventually, legacy, modern, result, text,
};

const X: &str = "file:///x";

/// A server whose `slow` waits at a gate, and that says `word`.
fn slow(word: &str) -> Script {
    let said = || {
        result(&format!(
            r#"{{"content":[{{"type":"text","text":"{word}"}}]}}"#
        ))
    };
    legacy(&["t", "slow"])
        .tool("t", [said()])
        .tool("slow", [Step::Await("gate".to_owned()), said()])
}

/// Calls `slow`, which is under way at the peer when this returns.
#[track_caller]
fn call(client: &Client, peer: &Peer, n: usize) -> crate::support::Connection {
    let members = r#""name":"a__slow""#;
    let connection = client.post(&client.spell(&client.id(), "tools/call", None, members));
    peer.message("tools/call", n);
    connection
}

#[test]
fn a_call_on_an_untouched_backend_notices_nothing() {
    let desk = Desk::new();
    let (a, b) = (Peer::new(slow("a")), Peer::new(legacy(&["t"])));
    let mux = desk.serve(Setup::one("a", &a).backend("b", &b, ""));
    let client = Client::legacy(&mux);
    client.await_names(&["a__t", "a__slow", "b__t"]);
    let connection = call(&client, &a, 1);
    let setup = Setup::one("a", &a).backend("b", &b, "env: { V: x }");
    assert_eq!(desk.reload(&mux, &setup), "replaced  b\n");
    assert!(client.call("b__t", None).result().contains("done"));
    running(&b, 1);
    assert_eq!((a.starts(), b.starts()), (1, 2));
    a.open("gate");
    let answer = Answer::read(connection.reply());
    assert!(answer.result().contains(r#""a""#), "{answer:?}");
}

#[test]
fn a_call_on_a_removed_backend_finishes_before_that_ends() {
    let desk = Desk::new();
    let (a, b) = (Peer::new(slow("a")), Peer::new(legacy(&["t"])));
    let mux = desk.serve(Setup::one("b", &b).backend("a", &a, ""));
    let client = Client::legacy(&mux);
    client.await_names(&["b__t", "a__t", "a__slow"]);
    let connection = call(&client, &a, 1);
    assert_eq!(desk.reload(&mux, &Setup::one("b", &b)), "removed   a\n");
    assert_eq!(client.names(), ["b__t"]);
    let (_, said) = client.call("a__t", None).error();
    assert!(said.contains("Unknown tool"), "{said}");
    running(&a, 1);
    a.open("gate");
    assert!(Answer::read(connection.reply()).result().contains(r#""a""#));
    running(&a, 0);
}

#[test]
fn a_call_that_does_not_end_holds_a_removed_backend_for_ten_seconds() {
    let desk = Desk::new();
    let a = Peer::new(slow("a"));
    let mux = desk.serve(Setup::one("a", &a));
    let client = Client::legacy(&mux);
    client.await_names(&["a__t", "a__slow"]);
    let connection = call(&client, &a, 1);
    desk.reload(&mux, &Setup::default());
    // It takes the time that calls have, and ends with an answer.
    let (_, said) = Answer::read(connection.reply()).error();
    assert!(said.contains("stopped"), "{said}");
    running(&a, 0);
}

#[test]
fn a_replaced_backend_finishes_its_calls_while_the_new_one_takes_others() {
    for http in [false, true] {
        let desk = Desk::new();
        let a = if http {
            Peer::http(slow("old"))
        } else {
            Peer::new(slow("old"))
        };
        let b = Peer::new(slow("new"));
        let mux = desk.serve(Setup::one("a", &a));
        let client = Client::legacy(&mux);
        client.await_names(&["a__t", "a__slow"]);
        let connection = call(&client, &a, 1);
        let setup = if http {
            Setup::one("a", &b)
        } else {
            a.rewrite(slow("new"));
            Setup::default().backend("a", &a, "env: { V: x }")
        };
        assert_eq!(desk.reload(&mux, &setup), "replaced  a\n");
        // Who calls at once waits for the new one.
        assert!(client.call("a__t", None).result().contains(r#""new""#));
        a.open("gate");
        assert!(
            Answer::read(connection.reply())
                .result()
                .contains(r#""old""#)
        );
        assert!(client.call("a__t", None).result().contains(r#""new""#));
        if !http {
            running(&a, 1);
        }
    }
}

#[test]
fn a_client_of_its_own_backend_gets_another_one() {
    let desk = Desk::new();
    let a = Peer::new(slow("old"));
    let mux = desk.serve(Setup::default().backend("a", &a, "session: client"));
    let client = Client::legacy(&mux);
    client.await_names(&["a__t", "a__slow"]);
    let connection = call(&client, &a, 1);
    a.rewrite(slow("new"));
    let setup = Setup::default().backend("a", &a, "session: client\nenv: { V: x }");
    desk.reload(&mux, &setup);
    assert!(client.call("a__t", None).result().contains(r#""new""#));
    a.open("gate");
    assert!(
        Answer::read(connection.reply())
            .result()
            .contains(r#""old""#)
    );
    // The shared one, and the client's.
    running(&a, 2);
}

/// A server with one resource to subscribe to.
fn watched() -> Script {
    legacy(&["t"])
        .on(
            "initialize",
            [result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"peer","version":"1"}}"#,
            )],
        )
        .on("resources/subscribe", [result("{}")])
        .on("resources/unsubscribe", [result("{}")])
        .on(
            "resources/list",
            [result(&format!(r#"{{"resources":[{{"uri":"{X}","name":"x"}}]}}"#))],
        )
        .on("resources/templates/list", [result(r#"{"resourceTemplates":[]}"#)])
}

#[test]
fn sessions_and_subscriptions_go_on() {
    let desk = Desk::new();
    let (a, b) = (Peer::new(watched()), Peer::http(modern(&["t"])));
    let mux = desk.serve(Setup::one("a", &a).backend("b", &b, ""));
    let client = Client::legacy(&mux);
    client.await_names(&["a__t", "b__t"]);
    client.list("resources/list", X);
    let mut stream = client.listen();
    client
        .request("resources/subscribe", &format!(r#""uri":"{X}""#))
        .result();
    a.message("resources/subscribe", 1);
    let update = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{X}"}}}}"#
    );
    let mut updated = || loop {
        let event = stream.event().expect("a notification");
        if text(&at(&event, &["method"])) == "notifications/resources/updated" {
            return;
        }
    };
    // Another backend is replaced: nothing is said to this one.
    desk.reload(
        &mux,
        &Setup::one("a", &a).backend("b", &b, "headers: { X-V: x }"),
    );
    a.emit(&update);
    updated();
    assert_eq!(a.messages("resources/subscribe").len(), 1);
    // Its own is: it is subscribed to anew, and what was missed may be anything.
    desk.reload(&mux, &Setup::default().backend("a", &a, "env: { V: x }"));
    a.message("resources/subscribe", 2);
    updated();
    running(&a, 1);
    a.emit(&update);
    updated();
    eventually("the tools of the new one", || {
        (client.names() == ["a__t"]).then_some(())
    });
}
