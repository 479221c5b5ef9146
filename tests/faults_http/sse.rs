//! Backends on the transport of 2024-11-05: one event stream for all that the
//! server says, and a URL to post to.

use super::{DONE, respond};
use crate::support::{
    Answer, Client, Mux, Peer, Script, Setup, Step, at, eventually, legacy_of, progress, result,
};

const POST: &str = "/messages?session=1";

/// A server that names `endpoint` where to post.
fn naming(endpoint: &str, mut script: Script) -> Script {
    for step in script.on.values_mut().flatten().flatten() {
        if let Step::Send(text) = step {
            *step = Step::Emit(std::mem::take(text));
        }
    }
    let opening = Step::Bytes(format!("event: endpoint\ndata: {endpoint}\n\n"));
    script.on("GET", [Step::Sse(Vec::new()), opening, Step::Relay])
}

fn old(tools: &[&str]) -> Script {
    legacy_of("2024-11-05", tools)
}

fn entry(peer: &Peer, more: &str) -> Setup {
    Setup::default().raw_backend(&format!(
        "name: old\ntransport: sse\nendpoint: http://{}/sse\n{more}",
        peer.address()
    ))
}

fn house(peer: &Peer) -> (Mux, Client) {
    let mux = entry(peer, "").serve();
    Client::wait_for(&mux, "old__t");
    let client = Client::legacy(&mux);
    (mux, client)
}

#[test]
fn calls_share_one_stream_and_are_posted_where_the_server_says() {
    let script = old(&["t", "slow"]).tool(
        "slow",
        [
            progress(r#""progress":1.0"#),
            Step::Await("go".to_owned()),
            result(DONE),
        ],
    );
    let peer = Peer::http(naming(POST, script));
    let mux = entry(
        &peer,
        "headers: { X-Team: a }\nauth: { type: bearer, token: t0ken }",
    )
    .serve();
    Client::wait_for(&mux, "old__slow");
    let client = Client::legacy(&mux);
    let slow = client.spell("7", "tools/call", Some("\"p\""), r#""name":"old__slow""#);
    let mut slow = client.start(&slow);
    let event = slow.event().expect("progress");
    assert_eq!(at(&event, &["params", "progress"]), "1.0");
    assert_eq!(client.call("old__t", None).result(), DONE);
    peer.open("go");
    let last = slow.event().expect("the response");
    assert_eq!(at(&last, &["id"]), "7");
    assert_eq!(at(&last, &["result"]), DONE);

    let requests = peer.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("GET", "/sse")
    );
    assert_eq!(requests[0].header("accept"), Some("text/event-stream"));
    for request in &requests[1..] {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", POST)
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
        assert_eq!(request.header("x-team"), Some("a"));
    }
    assert!(!mux.log().contains("session=1"), "{}", mux.log());
}

#[test]
fn what_the_server_says_unasked_is_heard_and_its_pings_are_answered() {
    let peer = Peer::http(naming(POST, old(&["t"])));
    let (_mux, client) = house(&peer);
    let mut news = client.listen();
    peer.emit(r#"{"jsonrpc":"2.0","id":"p1","method":"ping"}"#);
    let pong = peer.message("response", 1);
    assert_eq!(at(&pong, &["id"]), "\"p1\"");
    assert_eq!(at(&pong, &["result"]), "{}");
    peer.set(naming(POST, old(&["t", "u"])));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let changed = news.event().expect("a notification");
    assert_eq!(
        at(&changed, &["method"]),
        r#""notifications/tools/list_changed""#
    );
    client.await_names(&["old__t", "old__u"]);
}

#[test]
fn an_endpoint_of_another_origin_gets_nothing() {
    let other = Peer::http(old(&["t"]));
    for endpoint in [
        format!("{}?x", other.url()),
        format!("//{}/x", other.address()),
        "https://127.0.0.1/x".to_owned(),
        "file:///x".to_owned(),
    ] {
        let peer = Peer::http(naming(&endpoint, old(&["t"])));
        let mux = entry(&peer, "auth: { type: bearer, token: t0ken }").serve();
        mux.logged("of another origin");
        assert_eq!(other.connections(), 0);
        assert!(
            peer.requests()
                .iter()
                .all(|request| request.method == "GET")
        );
    }
}

#[test]
fn a_stream_that_does_not_begin_with_the_endpoint_says_so() {
    for events in [
        "event: message\ndata: {}\n\n",
        ": nothing\n\n",
        "data: /messages\n\n",
    ] {
        let opening = [Step::Sse(Vec::new()), Step::Bytes(events.to_owned())];
        let peer = Peer::http(old(&["t"]).on("GET", opening));
        let mux = entry(&peer, "").serve();
        mux.logged("does not begin with the event `endpoint`");
        assert_eq!(peer.messages("initialize").len(), 0);
    }
    let peer = Peer::http(old(&["t"]).on("GET", respond(200, "text/html", "<p>")));
    let mux = entry(&peer, "").serve();
    mux.logged("without the event stream of transport: sse");
    let peer = Peer::http(old(&["t"]).on("GET", respond(401, "text/plain", "")));
    let mux = entry(&peer, "").serve();
    mux.logged("answered HTTP 401: it wants a credential");
}

#[test]
fn a_stream_that_ends_in_a_call_ends_the_call_and_is_opened_anew() {
    let peer = Peer::http(naming(POST, old(&["t", "never"]).tool("never", [])));
    let (_mux, client) = house(&peer);
    let call = client.spell("1", "tools/call", None, r#""name":"old__never""#);
    let lost = client.post(&call);
    peer.message("tools/call", 1);
    let address = peer.address();
    peer.close();
    let (_, message) = Answer::read(lost.reply()).error();
    // The server may go before it has taken the call, or after.
    let ended = ["the connection ended", "connection closed before"];
    assert!(ended.iter().any(|text| message.contains(text)), "{message}");
    peer.listen(&address);
    let answer = eventually("a call that works", || {
        let answer = client.call("old__t", None);
        (!answer.response.contains("error")).then_some(answer)
    });
    assert_eq!(answer.result(), DONE);
}

#[test]
fn a_session_that_the_server_has_lost_is_opened_anew() {
    let script = old(&["t"]).turns(
        "tools/call t",
        [respond(404, "text/plain", ""), vec![result(DONE)]],
    );
    let peer = Peer::http(naming(POST, script));
    let (mux, client) = house(&peer);
    let (_, message) = client.call("old__t", None).error();
    assert!(message.contains("it has lost the session"), "{message}");
    mux.logged("connecting anew");
    assert_eq!(client.call("old__t", None).result(), DONE);
    assert_eq!(peer.messages("initialize").len(), 2);
}

#[test]
fn a_post_that_is_refused_fails_its_call_alone() {
    let script = old(&["t", "bad"]).tool("bad", respond(500, "text/plain", ""));
    let peer = Peer::http(naming(POST, script));
    let (_mux, client) = house(&peer);
    let (_, message) = client.call("old__bad", None).error();
    assert!(message.contains("answered HTTP 500"), "{message}");
    assert_eq!(client.call("old__t", None).result(), DONE);
    assert_eq!(peer.messages("initialize").len(), 1);
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_backend() {
    let never = [Step::Await("never".to_owned())];
    let peer = Peer::http(naming(POST, old(&["t"]).tool("t", never)));
    let (_mux, client) = house(&peer);
    let call = client.spell("\"c\"", "tools/call", None, r#""name":"old__t""#);
    let _open = client.post(&call);
    let posted = peer.message("tools/call", 1);
    client.notify(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#,
    );
    let cancelled = peer.message("notifications/cancelled", 1);
    assert_eq!(
        at(&cancelled, &["params", "requestId"]),
        at(&posted, &["id"])
    );
}

#[test]
fn streamable_http_to_such_a_server_names_the_transport_to_set() {
    let refused = respond(405, "text/plain", "");
    let script = naming(POST, old(&["t"]))
        .on("initialize", refused.clone())
        .on("server/discover", refused);
    let peer = Peer::http(script);
    let mux = Setup::one("old", &peer).serve();
    mux.logged("set transport: sse");
}
