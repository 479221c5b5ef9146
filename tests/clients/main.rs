//! What clients do wrong, and how they are told: with the status and the code
//! of the specification, without harm to anybody else.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod callback;
mod cancellation;
mod headers;
mod limits;
mod messages;
mod origins;
mod resuming;
mod sessions;
mod stopping;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;

use support::{Connection, Mux, Peer, Setup, legacy};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

const JSON: (&str, &str) = ("Content-Type", "application/json");

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

fn house() -> (Peer, Mux) {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    (peer, mux)
}

/// Sends one request on a connection of its own; the status and the body.
#[track_caller]
fn ask(mux: &Mux, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut connection = Connection::open(mux.address());
    connection
        .request(method, path, headers, body)
        .expect("mcpmux reads the request");
    let reply = connection.reply();
    (reply.status, reply.text())
}

/// The code of a JSON-RPC error; `None` where the body is none.
fn code(body: &str) -> Option<i64> {
    let envelope: serde_json::Value = serde_json::from_str(body).ok()?;
    envelope["error"]["code"].as_i64()
}

fn post(mux: &Mux, headers: &[(&str, &str)], body: &str) -> (u16, Option<i64>) {
    let headers = [&[JSON, BOTH], headers].concat();
    let (status, body) = ask(mux, "POST", "/mcp", &headers, body);
    (status, code(&body))
}
