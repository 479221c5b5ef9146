//! How much callers may ask and backends are asked: what is beyond is refused with
//! words, and nothing else is.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use support::{
    Client, Connection, Mux, Peer, Script, Setup, Step, at, eventually, initialize, legacy, result,
};

const HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
];

fn server() -> Script {
    legacy(&["t", "slow"])
        .on("tools/call t", [result(r#"{"content":[]}"#)])
        .on(
            "tools/call slow",
            [Step::Await("go".to_owned()), result(r#"{"content":[]}"#)],
        )
}

/// The error of a call that is refused.
#[track_caller]
fn refused(client: &Client, tool: &str) -> String {
    let (code, message) = client.call(tool, None).error();
    assert_eq!(code, -32000, "{message}");
    message
}

#[test]
fn requests_beyond_the_rate_are_answered_with_429_and_when_to_come_back() {
    let peer = Peer::new(server());
    let mux = Setup::one("b", &peer)
        .top("limits: { rate: 1, burst: 5 }")
        .serve();
    let post = || {
        let mut connection = Connection::open(mux.address());
        let body = initialize("2025-11-25");
        connection.request("POST", "/mcp", &HEADERS, &body).unwrap();
        connection.reply()
    };
    let mut replies = (0..20).map(|_| post());
    let refused = replies.find(|reply| reply.status == 429).expect("a 429");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let text = refused.text();
    assert_eq!(at(&text, &["error", "data", "retryAfter"]), "1");
    assert!(
        at(&text, &["error", "message"]).contains("1 requests a second"),
        "{text}"
    );
    // Whoever waits is let in.
    eventually("room again", || (post().status == 200).then_some(()));
}

#[test]
fn calls_beyond_those_in_flight_are_refused_until_one_has_ended() {
    let peer = Peer::new(server());
    let mux = Setup::one("b", &peer)
        .top("limits: { concurrency: 1 }")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let waiting =
        client.post(&client.spell(&client.id(), "tools/call", None, r#""name":"b__slow""#));
    peer.message("tools/call", 1);
    let said = refused(&client, "b__t");
    assert!(said.contains("1 calls in flight"), "{said}");
    // Lists cost nothing.
    client.tool("b__t");
    peer.open("go");
    assert_eq!(waiting.reply().status, 200);
    client.call("b__t", None).result();
}

#[test]
fn a_backend_has_limits_of_its_own() {
    let (limited, free) = (Peer::new(server()), Peer::new(server()));
    let mux = Setup::default()
        .backend("limited", &limited, "limits: { rate: 1, burst: 2 }")
        .backend("free", &free, "")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("limited__t");
    client.tool("free__t");
    let said = eventually("too many", || {
        let answer = client.call("limited__t", None);
        answer
            .response
            .contains("\"error\"")
            .then(|| answer.error().1)
    });
    assert!(said.contains("the backend limited may"), "{said}");
    for _ in 0..10 {
        client.call("free__t", None).result();
    }
}

#[test]
fn a_budget_is_that_of_a_day_over_a_restart_as_well() {
    let peer = Peer::new(server());
    let state = tempfile::tempdir().expect("a directory can be made");
    let serve = |top: &str| -> Mux {
        Setup::one("b", &peer)
            .top(top)
            .env("XDG_STATE_HOME", &state.path().display().to_string())
            .serve()
    };
    let mux = serve("limits: { budget: 3 }");
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.call("b__t", None).result();
    client.call("b__t", None).result();
    mux.stop();
    drop(mux);
    let mux = serve("limits: { budget: 3 }");
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.call("b__t", None).result();
    let said = refused(&client, "b__t");
    assert!(said.contains("3 calls a day"), "{said}");
    mux.stop();
    drop(mux);
    // Bytes are counted only where they are limited.
    let mux = serve("limits: { bytes: 1KiB }");
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let said = eventually("too many bytes", || {
        let answer = client.call("b__t", None);
        answer
            .response
            .contains("\"error\"")
            .then(|| answer.error().1)
    });
    assert!(said.contains("bytes a day"), "{said}");
}

#[test]
fn those_that_share_a_state_directory_share_a_days_budget() {
    let peer = Peer::new(server());
    let state = tempfile::tempdir().expect("a directory can be made");
    let serve = || -> Mux {
        Setup::one("b", &peer)
            .top("limits: { budget: 1000 }")
            .env("XDG_STATE_HOME", &state.path().display().to_string())
            .log_level("info")
            .serve()
    };
    let (one, two) = (serve(), serve());
    let client = Client::legacy(&one);
    client.tool("b__t");
    for _ in 0..900 {
        client.call("b__t", None).result();
    }
    let client = Client::legacy(&two);
    client.tool("b__t");
    let mut calls = 0;
    eventually("no more calls", || {
        // It alone would take longer than this waits.
        std::thread::sleep(std::time::Duration::from_millis(30));
        calls += 1;
        let answer = client.call("b__t", None);
        let refused = answer.response.contains("1000 calls a day");
        refused.then_some(())
    });
    assert!(calls < 900, "{calls}");
    one.stop();
    two.stop();
    let third = serve();
    let client = Client::legacy(&third);
    client.tool("b__t");
    assert!(refused(&client, "b__t").contains("1000 calls a day"));
}
