//! What callers may do and see: which tools of a backend are offered and how,
//! and what is there for whom.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]
// A test is one story.
#![allow(clippy::too_many_lines)]

mod door;
mod roles;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use support::{Answer, Client};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

/// What a call of `tool` is answered, without its name.
#[track_caller]
fn call(client: &Client, tool: &str) -> String {
    without_name(&client.call(tool, None), tool)
}

/// The bytes of an answer, all of them but its id and the name asked for.
#[track_caller]
fn without_name(answer: &Answer, name: &str) -> String {
    assert!(answer.before.is_empty(), "{answer:?}");
    let members = support::members(&answer.response);
    let members = members.into_iter().filter(|(key, _)| key != "id");
    let members: Vec<_> = members.map(|(key, value)| key + &value).collect();
    let (status, streamed) = (answer.status, answer.streamed);
    format!("{status} {streamed} {}", members.join(" ")).replace(name, "NAME")
}
