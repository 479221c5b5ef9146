//! What the wire tests share: a real mcpmux, scriptable backends behind it, and
//! clients in front of it that speak bytes, not types.
//!
//! Order of drop matters: declare the peers before the mcpmux that uses them.

// Every test target compiles this module for itself and uses a part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]
// What cannot go on ends the test.
#![allow(clippy::expect_used, clippy::unwrap_used)]
// Spelling messages and documents by hand is what this is for.
#![allow(clippy::format_push_string, clippy::format_collect)]

mod account;
mod client;
mod json;
mod leftovers;
mod mux;
mod peer;
#[path = "../peer/src/script.rs"]
mod script;
mod scripts;
mod wire;

use std::time::Duration;

pub use client::{Answer, Client, Era, initialize};
pub use json::{at, elements, member, members, text};
pub use leftovers::{alive, clear, processes_naming};
pub use mux::{Mux, Setup};
pub use peer::Peer;
pub use script::{Event, Request, Script, Step};
pub use scripts::{
    acknowledged, definitions, error, legacy, legacy_of, legacy_with, modern, modern_with,
    progress, result,
};
pub use wire::{Connection, Reply, refusing};

/// How long anything that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `look` until it gives something; for what announces itself to nobody.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{what} did not happen within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
