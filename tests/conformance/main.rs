//! The official conformance suite, against a reference server directly and
//! through mcpmux: every server scenario of every revision must come to the same
//! verdict, check by check.
//!
//! `cargo test --test conformance -- 2025-11-25` runs one revision. A trial that
//! fails shows the checks that differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod lane;
#[path = "../real/install.rs"]
#[allow(dead_code)]
mod real;
mod suite;
#[path = "../support/mod.rs"]
mod support;
mod verdict;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use lane::{Lane, Way};
use suite::{SUITES, Scenario, Suite};

/// Scenarios of what a server does with its HTTP streams.
const OF_HTTP_STREAMS: &str = "server-sse-";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time everyone waits for an answer.
    arguments.test_threads.get_or_insert(4);
    let mut trials: Vec<_> = SUITES.iter().flat_map(|suite| trials_of(*suite)).collect();
    // Neighbours are of different lanes, so that lanes run side by side.
    trials.sort_by_key(|(place, _)| *place);
    let trials = trials.into_iter().map(|(_, trial)| trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The trials of a suite, each with its place in its lane.
fn trials_of(suite: Suite) -> Vec<(usize, Trial)> {
    let mut trials = Vec::new();
    for (revision, scenarios) in suite.scenarios("--server") {
        let scenarios = Arc::new(scenarios);
        let lane = |way| Arc::new(Lane::new(suite, &revision, &scenarios, way));
        let direct = lane(Way::Direct);
        let through = [Way::Http, Way::Command].map(lane);
        for (place, scenario) in scenarios.iter().enumerate() {
            let name = |way: &str| format!("{revision} {way} {scenario}");
            let reference = Arc::clone(&direct);
            let bare = scenario.clone();
            let conforms = move || conforms(&reference, &bare);
            trials.push((place, name("directly"), Box::new(conforms) as Test));
            for lane in &through {
                let (direct, lane) = (Arc::clone(&direct), Arc::clone(lane));
                let scenario = scenario.clone();
                let way = lane.way.name();
                let same = move || same(&direct, &lane, &scenario);
                trials.push((place, name(way), Box::new(same)));
            }
        }
    }
    trials
        .into_iter()
        .map(|(place, name, test)| (place, Trial::test(name, test).with_kind(suite.kind)))
        .collect()
}

type Test = Box<dyn FnOnce() -> Result<(), Failed> + Send>;

/// The bare reference server fails nothing, or equal verdicts would say little.
fn conforms(direct: &Lane, scenario: &Scenario) -> Result<(), Failed> {
    let failures = direct.verdict(scenario)?.failures();
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.into())
}

/// mcpmux changes no verdict.
fn same(direct: &Lane, lane: &Lane, scenario: &Scenario) -> Result<(), Failed> {
    let mut reference = direct.verdict(scenario)?;
    let verdict = lane.verdict(scenario)?;
    if matches!(lane.way, Way::Command) && scenario.starts_with(OF_HTTP_STREAMS) {
        // What was launched has no stream to end in the middle of a call.
        reference.forgive_what_informs(&verdict);
    }
    let differences = reference.differences(&verdict);
    if differences.is_empty() {
        return Ok(());
    }
    Err(differences.into())
}
