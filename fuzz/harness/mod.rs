//! What is fuzzed, as functions of bytes: called by the targets of cargo-fuzz
//! (`fuzz/fuzz_targets`), and with a bounded number of inputs by `tests/fuzz.rs`.
//! Each panics where mcpmux does not keep what it promises for any input.

mod config;
mod envelope;
mod http;
mod token;

/// A function of bytes that panics where something is wrong.
pub type Harness = fn(&[u8]);

/// Every harness, under the name of its target and of its seeds.
pub const ALL: &[(&str, Harness)] = &[
    ("envelope", envelope::check),
    ("config", config::check),
    ("http", http::check),
    ("token", token::check),
];

/// Runs the harness of this name.
///
/// # Panics
///
/// Where there is none of this name, or where it finds something.
pub fn run(name: &str, input: &[u8]) {
    let (_, harness) = ALL
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a harness of this name");
    harness(input);
}
