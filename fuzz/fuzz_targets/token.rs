//! The door for access tokens, under cargo-fuzz.

#![no_main]

#[path = "../harness/mod.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|input: &[u8]| harness::run("token", input));
