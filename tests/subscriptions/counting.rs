//! A backend hears of a resource's first subscriber and of its last, and
//! updates go to subscribers only.

use super::{X, Y, member_uri, new, old, old_http, relayed, tagged, told, updated, watch};
use crate::support::{
    Client, Connection, Era, Event, Peer, Setup, Step, at, elements, error, eventually, member,
    result,
};

const OLD: Era = Era::Legacy("2025-11-25");

#[test]
fn two_clients_are_one_subscription_at_the_backend() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    let (one, two) = (Client::legacy(&mux), Client::modern(&mux));
    two.tool("b__t");
    let mut first = watch(&one, OLD, &[X]);
    let mut second = watch(&two, Era::Modern, &[X, Y]);
    peer.message("resources/subscribe", 2);
    peer.emit(&updated(Y));
    peer.emit(&updated(X));
    assert_eq!(told(&mut first), X);
    assert_eq!([told(&mut second), told(&mut second)], [Y, X]);
    // The same subscription again is the same one.
    one.request("resources/subscribe", &member_uri(X)).result();
    assert_eq!(peer.messages("resources/subscribe").len(), 2);
    one.request("resources/unsubscribe", &member_uri(X))
        .result();
    drop(second);
    peer.message("resources/unsubscribe", 2);
    one.request("resources/unsubscribe", &member_uri(X))
        .result();
    // Whoever comes next is the first again.
    one.request("resources/subscribe", &member_uri(X)).result();
    peer.message("resources/subscribe", 3);
    assert_eq!(peer.messages("resources/unsubscribe").len(), 2);
    peer.emit(&updated(X));
    assert_eq!(told(&mut first), X);
}

#[test]
fn a_client_that_ends_its_session_is_counted_out() {
    let peer = Peer::http(old_http());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    for uri in [X, Y] {
        client
            .request("resources/subscribe", &member_uri(uri))
            .result();
    }
    let mut connection = Connection::open(mux.address());
    connection
        .request(
            "DELETE",
            "/mcp",
            &[("Mcp-Session-Id", client.session())],
            "",
        )
        .expect("mcpmux reads the request");
    assert_eq!(connection.reply().status, 204);
    peer.message("resources/unsubscribe", 2);
}

#[test]
fn a_refused_subscription_is_told_as_the_backend_says_it_and_not_counted() {
    let refusal = Step::Send(
        r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32042,"message":"no","data":{"n":1.0}}}"#
            .to_owned(),
    );
    let peer = Peer::new(old().turns("resources/subscribe", [vec![refusal], vec![result("{}")]]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let answer = client.request("resources/subscribe", &member_uri(X));
    assert_eq!(
        at(&answer.response, &["error"]),
        r#"{"code":-32042,"message":"no","data":{"n":1.0}}"#
    );
    let mut stream = watch(&client, OLD, &[X]);
    peer.message("resources/subscribe", 2);
    peer.emit(&updated(X));
    assert_eq!(told(&mut stream), X);
    assert!(peer.messages("resources/unsubscribe").is_empty());
}

#[test]
fn a_resource_that_nobody_has_cannot_be_subscribed_to() {
    let peer = Peer::new(old().on("resources/subscribe", [error(-32002, "Resource not found")]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let answer = client.request("resources/subscribe", &member_uri("file:///none"));
    assert_eq!(answer.error().0, -32002);
    let answer = client.request("resources/subscribe", "");
    assert_eq!(answer.error().0, -32602);
}

#[test]
fn only_what_the_backend_honours_is_acknowledged() {
    let peer = Peer::new(new());
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let filter = format!(
        r#""notifications":{{"resourceSubscriptions":["{X}","file:///none","file:\/\/\/y"]}}"#
    );
    let mut reply = client.start(&client.spell("7", "subscriptions/listen", None, &filter));
    let first = reply.event().expect("an acknowledgement");
    let honoured = at(
        &first,
        &["params", "notifications", "resourceSubscriptions"],
    );
    assert_eq!(
        elements(&honoured),
        [format!("{X:?}"), r#""file:\/\/\/y""#.to_owned()]
    );
    let wrong = r#""notifications":{"resourceSubscriptions":[1]}"#;
    let answer = client.request("subscriptions/listen", wrong);
    assert_eq!(answer.error().0, -32602);
}

#[test]
fn a_modern_backend_is_asked_for_the_set_and_loses_no_update_when_it_changes() {
    let peer = Peer::http(new());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = watch(&client, OLD, &[X]);
    let asks = |uris: &str| {
        eventually(&format!("a listen for {uris}"), || {
            let listens = peer.messages("subscriptions/listen");
            listens.iter().position(|listen| {
                let filter = at(listen, &["params", "notifications"]);
                member(&filter, "resourceSubscriptions").is_some_and(|found| found == uris)
            })
        })
    };
    let gone = || {
        let all = peer.events();
        all.iter()
            .filter(|event| matches!(event, Event::Gone(key) if key == "subscriptions/listen"))
            .count()
    };
    asks(&format!(r#"["{X}"]"#));
    client
        .request("resources/subscribe", &member_uri(Y))
        .result();
    asks(&format!(r#"["{X}","{Y}"]"#));
    // Every stream before it is closed (the first one may have asked for X
    // already), and none is told twice.
    eventually("the older streams are closed", || {
        let opened = peer.messages("subscriptions/listen").len();
        (opened >= 2 && gone() == opened - 1).then_some(())
    });
    relayed(&peer);
    for uri in [X, Y, X] {
        peer.emit(&tagged(uri));
        assert_eq!(told(&mut stream), uri);
    }
    client
        .request("resources/unsubscribe", &member_uri(X))
        .result();
    asks(&format!(r#"["{Y}"]"#));
    client
        .request("resources/unsubscribe", &member_uri(Y))
        .result();
    eventually("the last stream but one is closed", || {
        (gone() == 4).then_some(())
    });
    let last = peer
        .messages("subscriptions/listen")
        .pop()
        .expect("a listen");
    assert_eq!(
        at(&last, &["params", "notifications"]),
        r#"{"toolsListChanged":true}"#
    );
}

#[test]
fn an_update_of_a_part_goes_to_who_is_subscribed_to_the_whole() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = watch(&client, OLD, &[X]);
    peer.emit(&updated("file:///xy"));
    peer.emit(&updated("file:///x/part"));
    assert_eq!(told(&mut stream), "file:///x/part");
}

#[test]
fn an_update_told_in_the_course_of_a_call_reaches_its_subscribers() {
    let done = result(r#"{"content":[]}"#);
    let script = old_http().tool("t", [Step::Sse(Vec::new()), Step::Send(updated(X)), done]);
    let peer = Peer::http(script);
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let (caller, other) = (Client::legacy(&mux), Client::legacy(&mux));
    let mut stream = watch(&other, OLD, &[X]);
    let answer = caller.call("b__t", None);
    assert_eq!(answer.before, Vec::<String>::new());
    assert_eq!(told(&mut stream), X);
}

#[test]
fn an_alias_names_its_server_and_is_what_the_client_is_told() {
    let (one, two) = (Peer::new(old()), Peer::new(old()));
    let mux = Setup::one("a", &one).backend("b", &two, "").serve();
    Client::wait_for(&mux, "a__t");
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let alias = format!("b+{X}");
    let mut stream = watch(&client, OLD, &[X, &alias]);
    let asked = two.message("resources/subscribe", 1);
    assert_eq!(at(&asked, &["params", "uri"]), format!("{X:?}"));
    two.emit(&updated(X));
    assert_eq!(told(&mut stream), alias);
    one.emit(&updated(X));
    assert_eq!(told(&mut stream), X);
    assert_eq!(one.messages("resources/subscribe").len(), 1);
    client
        .request("resources/unsubscribe", &member_uri(&alias))
        .result();
    two.message("resources/unsubscribe", 1);
    assert!(one.messages("resources/unsubscribe").is_empty());
}
