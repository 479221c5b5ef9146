//! What a backend that is a process can do wrong, and what becomes of it: it
//! never takes others with it, never blocks, and leaves nothing behind.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod deadlines;
mod death;
mod environment;
mod health;
mod leftovers;
mod output;
mod places;
#[path = "../support/mod.rs"]
mod support;

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
