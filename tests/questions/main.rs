//! What a backend asks in the course of a call reaches the client whose call it
//! is, in that client's form, and the answer returns: in every combination of
//! eras and transports.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod aside;
mod attribution;
mod cells;
mod crowd;
mod logging;
mod own;
mod parked;
mod places;
#[path = "../support/mod.rs"]
mod support;

use support::{Client, Era, Mux, Script, Step, legacy, modern, result};

/// A client that can be asked everything.
const ABLE: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;

/// What is asked: odd spelling shows whether it is kept.
const FORM: &str = r#"{"message":"Wh\u006f?", "n":1.0,"requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}"#;

/// What is answered.
const ANSWER: &str = r#"{"action":"accept","content":{"name":"\u0041nn","n":2e0}}"#;

fn able(mux: &Mux, era: Era) -> Client {
    Client::able(mux, era, ABLE)
}

fn able_legacy(mux: &Mux) -> Client {
    able(mux, Era::Legacy("2025-11-25"))
}

/// The request of a legacy server with this id and method.
fn asks(id: &str, method: &str, params: &str) -> Step {
    Step::Send(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
    ))
}

/// A legacy server whose tool `ask` elicits before it answers.
fn asking() -> Script {
    legacy(&["ask", "wait"]).tool(
        "ask",
        [
            asks(r#""e1""#, "elicitation/create", FORM),
            Step::Await(r#"response "e1""#.to_owned()),
            done(),
        ],
    )
}

/// A modern server whose tool `ask` wants input in a first round.
fn asking_in_rounds() -> Script {
    let wants = format!(
        r#"{{"resultType":"input_required","inputRequests":{{"k\u0031":{{"method":"elicitation/create","params":{FORM}}}}},"requestState":"st\u0061te"}}"#
    );
    modern(&["ask"]).turns(
        "tools/call ask",
        [
            vec![result(&wants)],
            vec![result(r#"{"resultType":"complete","content":[]}"#)],
        ],
    )
}

fn done() -> Step {
    result(r#"{"content":[{"type":"text","text":"done"}]}"#)
}

/// A call of this tool.
fn call(client: &Client, tool: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    client.spell(
        &client.id(),
        "tools/call",
        None,
        &format!(r#""name":"{tool}"{comma}{members}"#),
    )
}
