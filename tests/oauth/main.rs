//! Logging in to backends: a certified authorization server in front of a real
//! MCP server, a person who consents, by script and with a browser, and faults
//! at every step. What is needed comes by `tests/oauth/install`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod age;
mod bound;
mod browser;
mod daemon;
mod fake;
mod fetch;
mod house;
mod install;
mod peers;
#[path = "../real/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../real/install.rs"]
#[allow(dead_code)]
mod real;
mod script;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
#[path = "../real/transcript.rs"]
mod transcript;
mod walker;

mod answers;
mod cli;
mod cores;
mod crash;
mod door;
mod grants;
mod harness;
mod logins;
mod metadata;
mod pages;
mod processes;
mod refresh;
mod stores;
mod visits;
