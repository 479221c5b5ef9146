//! Real MCP servers behind mcpmux and real MCP clients in front of it. What is
//! needed comes by `tests/real/install`, which `make test` runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backend;
mod install;
mod mark;
mod mcpmux;
mod offers;
// Tests of logins use all of it.
#[allow(dead_code)]
mod process;
mod servers;
mod session;
mod transcript;

mod calls;
mod claude_code;
mod clients;
mod coming_and_going;
mod fidelity;
mod pairs;
