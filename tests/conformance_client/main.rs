//! The official conformance suite's client scenarios, with mcpmux as the client:
//! the suite is the server, and a driver puts mcpmux in front of it, follows
//! the authorization URL, and lists and calls through mcpmux.
//!
//! `cargo test --test conformance_client -- auth/` runs those of authorization.
//! A trial that fails shows the checks that failed and what the driver saw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod driver;
#[path = "../oauth/fetch.rs"]
#[allow(dead_code)]
mod fetch;
mod inapplicable;
#[path = "../real/install.rs"]
#[allow(dead_code)]
mod real;
#[path = "../conformance/suite.rs"]
#[allow(dead_code)]
mod suite;
#[path = "../support/mod.rs"]
mod support;
mod trial;
#[path = "../conformance/verdict.rs"]
#[allow(dead_code)]
mod verdict;
#[path = "../oauth/walker.rs"]
#[allow(dead_code)]
mod walker;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

use suite::{SUITES, Suite};

fn main() -> ExitCode {
    // The suite runs this program as the client under test.
    if let Ok(scenario) = env::var("MCP_CONFORMANCE_SCENARIO") {
        return driver::drive(&scenario);
    }
    let mut arguments = Arguments::from_args();
    // Most of the time everyone waits for an answer.
    arguments.test_threads.get_or_insert(4);
    let trials = SUITES.iter().flat_map(|suite| trials_of(*suite)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials_of(suite: Suite) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (revision, scenarios) in suite.scenarios("--client") {
        for scenario in scenarios {
            let name = format!("{revision} {scenario}");
            let revision = revision.clone();
            let run = move || trial::run(suite, &revision, &scenario);
            trials.push(Trial::test(name, run).with_kind(suite.kind));
        }
    }
    trials
}
