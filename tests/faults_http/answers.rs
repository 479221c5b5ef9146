//! Answers that are broken, late, too long or without end.

use std::time::Instant;

use super::{DONE, calls, house, respond};
use crate::support::{Client, Event, Peer, Script, Setup, Step, eventually, legacy, modern};

#[test]
fn each_kind_of_broken_answer_is_an_error_of_that_call_only() {
    let html = "<!doctype html><title>Sign in</title>";
    let cases: [(&str, Vec<Step>); 9] = [
        ("reset", vec![Step::Reset]),
        ("closed", vec![Step::Close]),
        ("html", respond(200, "text/html", html)),
        ("liar", respond(200, "application/json", html)),
        ("empty", respond(200, "application/json", "")),
        ("internal", respond(500, "text/plain", "oh no")),
        ("gateway", respond(502, "text/html", html)),
        ("ended", vec![Step::Sse(Vec::new())]),
        (
            "torn",
            vec![
                Step::Sse(Vec::new()),
                Step::Bytes("data: {\"jsonrpc\":".to_owned()),
                Step::Reset,
            ],
        ),
    ];
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).chain(["t"]).collect();
    let script = cases.iter().fold(legacy(&names), |script, (name, steps)| {
        script.tool(name, steps.clone())
    });
    let peer = Peer::http(script);
    let (_mux, client) = house(&peer);
    for (name, _) in &cases {
        let before = calls(&peer);
        let start = Instant::now();
        let (_, message) = client.call(&format!("web__{name}"), None).error();
        assert!(
            start.elapsed().as_secs() < 5,
            "{name} took {:?}",
            start.elapsed()
        );
        assert!(message.contains("web"), "{name}: {message}");
        assert_eq!(
            calls(&peer),
            before + 1,
            "{name}: the call was delivered, so it is not repeated"
        );
        assert!(
            !message.contains("<title>"),
            "{name}: a page is no message: {message}"
        );
        eventually("the backend to be there", || {
            client.names().contains(&"web__t".to_owned()).then_some(())
        });
        assert_eq!(client.call("web__t", None).result(), DONE, "after {name}");
    }
}

#[test]
fn the_status_of_a_broken_answer_is_named() {
    let peer = Peer::http(
        legacy(&["t", "a", "b"])
            .tool("a", respond(500, "text/plain", "x"))
            .tool("b", respond(403, "text/plain", "x")),
    );
    let (_mux, client) = house(&peer);
    assert!(client.call("web__a", None).error().1.contains("500"));
    assert!(client.call("web__b", None).error().1.contains("403"));
}

#[test]
fn an_error_in_a_body_with_a_bad_status_is_the_backends_own() {
    let body = r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"bad n"}}"#;
    let steps = [
        Step::Bytes(
            "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
                .to_owned(),
        ),
        Step::Bytes(body.to_owned()),
        Step::Close,
    ];
    let peer = Peer::http(modern(&["t", "bad"]).tool("bad", steps));
    let (_mux, client) = house(&peer);
    assert_eq!(
        client.call("web__bad", None).error(),
        (-32602, "bad n".to_owned())
    );
}

#[test]
fn a_backend_that_stalls_times_out_and_its_connection_is_closed() {
    let peer = Peer::http(
        legacy(&["t", "head", "body"])
            .tool("head", [Step::Await("never".to_owned())])
            .tool(
                "body",
                [Step::Sse(Vec::new()), Step::Await("never".to_owned())],
            ),
    );
    let mux = Setup::default()
        .backend("web", &peer, "timeout: 1s")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("web__t");
    for tool in ["head", "body"] {
        let start = Instant::now();
        let (_, message) = client.call(&format!("web__{tool}"), None).error();
        assert!(
            (1..5).contains(&start.elapsed().as_secs()),
            "{tool} took {:?}",
            start.elapsed()
        );
        assert!(
            message.contains("web") && message.contains("within 1 s (timeout)"),
            "{message}"
        );
        peer.wait("the end of the stalled request", |events| {
            let gone = |event: &Event| matches!(event, Event::Gone(key) if *key == format!("tools/call {tool}"));
            events.iter().any(gone).then_some(())
        });
    }
    assert_eq!(client.call("web__t", None).result(), DONE);
}

#[test]
fn an_endless_stream_ends_at_the_longest_time_and_the_memory_stays_small() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"and on"}}"#;
    let peer = Peer::http(legacy(&["t", "endless"]).tool(
        "endless",
        [Step::Sse(Vec::new()), Step::Endless(log.to_owned())],
    ));
    let mux = Setup::default()
        .backend("web", &peer, "timeout: 1s\nmax_timeout: 2s")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("web__t");
    let start = Instant::now();
    client.call("web__endless", None).error();
    assert!(
        (1..6).contains(&start.elapsed().as_secs()),
        "it took {:?}",
        start.elapsed()
    );
    peer.wait("the end of the stream", |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::Gone(_)))
            .then_some(())
    });
}

#[test]
fn an_event_over_the_limit_is_an_error_of_that_call() {
    let peer = Peer::http(legacy(&["t", "huge"]).tool(
        "huge",
        [
            Step::Sse(Vec::new()),
            Step::Bytes("data: ".to_owned()),
            Step::LongLine(17 << 20),
        ],
    ));
    let (_mux, client) = house(&peer);
    assert!(client.call("web__huge", None).error().1.contains("web"));
    assert_eq!(client.call("web__t", None).result(), DONE);
}

#[test]
fn a_body_over_the_limit_is_an_error_of_that_call() {
    let body = "x".repeat(17 << 20);
    let peer =
        Peer::http(legacy(&["t", "huge"]).tool("huge", respond(200, "application/json", &body)));
    let (_mux, client) = house(&peer);
    assert!(client.call("web__huge", None).error().1.contains("web"));
    assert_eq!(client.call("web__t", None).result(), DONE);
}

#[test]
fn a_backend_that_answers_nothing_but_errors_is_unavailable_with_its_status() {
    let peer = Peer::http(
        Script::default()
            .on("server/discover", respond(500, "text/plain", "x"))
            .on("initialize", respond(500, "text/plain", "x")),
    );
    let mux = Setup::one("web", &peer).serve();
    let (_, message) = Client::legacy(&mux).call("web__t", None).error();
    assert!(
        message.contains("web") && message.contains("500"),
        "{message}"
    );
}
