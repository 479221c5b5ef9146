//! The control socket and the commands that speak to it: the daemon's side with
//! a client that writes bytes, the commands' side with a daemon of the test's own.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../systemd/authority.rs"]
mod authority;
mod backends;
mod command;
mod daemon;
mod fake;
mod login;
mod logs;
#[path = "../support/mod.rs"]
mod support;
