//! Many backends as one server: whose tool a name means, how lists are made,
//! and how they change.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod capabilities;
mod changes;
mod extensions;
mod lazy;
mod lists;
mod names;
mod prompts;
mod resources;
#[path = "../support/mod.rs"]
mod support;

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
