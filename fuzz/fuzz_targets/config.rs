//! The document of the configuration, under cargo-fuzz.

#![no_main]

#[path = "../harness/mod.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|input: &[u8]| harness::run("config", input));
