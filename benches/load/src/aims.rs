//! What mcpmux is meant to reach, and whether it did.

use serde::Serialize;

use crate::{
    activation::Activation,
    memory::Memory,
    rounds::Summary,
    sessions::{Fanout, Idle},
    target::Target,
};

/// What two measurements of the same may differ by.
const NOISE: f64 = 1.05;

/// Everything that a run found out.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The tables.
    pub summaries: Vec<Summary>,
    /// Starting on demand, if measured.
    pub activation: Option<Activation>,
    /// Memory, if measured.
    pub memory: Option<Memory>,
    /// Idle sessions, if measured.
    pub idle: Option<Idle>,
    /// Telling many clients of a change, if measured.
    pub fanout: Option<Fanout>,
}

impl Findings {
    /// What came of `target` in `scenario` with so many clients, if that was measured.
    fn find(&self, scenario: &str, clients: usize, target: Target) -> Option<&Summary> {
        self.summaries.iter().find(|summary| {
            summary.scenario == scenario && summary.clients == clients && summary.target == target
        })
    }
}

/// An aim: one number that should not be over, or under, another.
#[derive(Debug, Serialize)]
pub struct Aim {
    /// What is looked at.
    pub what: &'static str,
    /// What is wanted.
    pub wanted: String,
    /// What was found; nothing where it was not measured.
    pub found: Option<String>,
    /// Whether that is as wanted.
    pub met: Option<bool>,
}

/// Which side of the limit is wanted.
enum Side {
    Under,
    Over,
}

impl Aim {
    fn number(
        what: &'static str,
        side: &Side,
        limit: Option<f64>,
        found: Option<f64>,
        unit: &str,
    ) -> Self {
        let (word, met) = match side {
            Side::Under => (
                "at most",
                limit.zip(found).map(|(limit, found)| found <= limit),
            ),
            Side::Over => (
                "at least",
                limit.zip(found).map(|(limit, found)| found >= limit),
            ),
        };
        Self {
            what,
            wanted: limit.map_or_else(
                || word.to_owned(),
                |limit| format!("{word} {limit:.2}{unit}"),
            ),
            found: found.map(|found| format!("{found:.2}{unit}")),
            met,
        }
    }
}

/// The aims, against `findings`.
pub fn judge(findings: &Findings) -> Vec<Aim> {
    let mut aims = speed(findings);
    aims.extend(doors(findings));
    aims.extend(company(findings));
    aims
}

/// How little broken backends may cost those that work.
fn company(findings: &Findings) -> [Aim; 2] {
    let aim = |what, clients| {
        let summary = findings.find("broken", clients, Target::Half);
        let burden = summary.and_then(|summary| summary.burden);
        let found = burden.map(|burden| burden.p50);
        Aim::number(what, &Side::Under, Some(1.1), found, "")
    };
    [
        aim("half broken, 1 client: p50, without them = 1", 1),
        aim("half broken, 32 clients: p50, without them = 1", 32),
    ]
}

/// How little it costs to ask who comes in, and how little a refusal tells.
fn doors(findings: &Findings) -> [Aim; 3] {
    let burden = |scenario, clients, target| findings.find(scenario, clients, target)?.burden;
    // Whichever of the two is greater.
    let unlike = |ratio: f64| ratio.max(ratio.recip());
    [
        Aim::number(
            "small call, 32 clients: CPU per call with a key, 20 roles and audit, without = 1",
            &Side::Under,
            Some(NOISE),
            burden("access", 32, Target::Doors).map(|burden| burden.cpu),
            "",
        ),
        Aim::number(
            "not allowed or not there, 1 client: p50, of either by the other",
            &Side::Under,
            Some(NOISE),
            burden("hidden", 1, Target::Hidden).map(|burden| unlike(burden.p50)),
            "",
        ),
        Aim::number(
            "not allowed or not there, 32 clients: CPU per call, likewise",
            &Side::Under,
            Some(NOISE),
            burden("hidden", 32, Target::Hidden).map(|burden| unlike(burden.cpu)),
            "",
        ),
    ]
}

fn speed(findings: &Findings) -> Vec<Aim> {
    let find = |scenario, clients, target| findings.find(scenario, clients, target);
    let one = find("small", 1, Target::Mcpmux);
    let many = find("small", 32, Target::Mcpmux);
    let p50 = |target| find("list", 1, target).map(|summary| summary.p50_us);
    let rate = |target| find("small", 32, target).map(|summary| summary.calls_per_second);
    let activation = findings.activation;
    vec![
        Aim::number(
            "small call, 1 client: time added, nginx = 1",
            &Side::Under,
            Some(2.0),
            one.and_then(|summary| summary.added_ratio),
            "",
        ),
        Aim::number(
            "small call, 32 clients: CPU per call, nginx = 1",
            &Side::Under,
            Some(2.0),
            many.and_then(|summary| summary.cpu_ratio),
            "",
        ),
        Aim::number(
            "small call, 32 clients: calls/s, nginx = 1",
            &Side::Over,
            Some(0.75),
            many.and_then(|summary| summary.rate_ratio),
            "",
        ),
        Aim::number(
            "small call, 32 clients: calls/s over stdio, HTTP = 1",
            &Side::Over,
            Some(1.0),
            rate(Target::Stdio)
                .zip(rate(Target::Mcpmux))
                .map(|(stdio, http)| stdio / http),
            "",
        ),
        Aim::number(
            "tools/list, 1 client: p50, asking the backend = 1",
            &Side::Under,
            Some(1.0),
            p50(Target::Mcpmux)
                .zip(p50(Target::Direct))
                .map(|(mcpmux, direct)| mcpmux / direct),
            "",
        ),
        Aim::number(
            "tools/list, 1 client: p50 with 50 backends, one = 1",
            &Side::Under,
            Some(NOISE),
            p50(Target::Fifty)
                .zip(p50(Target::Mcpmux))
                .map(|(fifty, one)| fifty / one),
            "",
        ),
        Aim::number(
            "resident memory, idle",
            &Side::Under,
            Some(12.0),
            findings.memory.map(|memory| memory.idle),
            " MiB",
        ),
        Aim::number(
            "first list after activation, HTTP backend",
            &Side::Under,
            Some(50.0),
            activation.map(|activation| activation.http),
            " ms",
        ),
        Aim::number(
            "first lists after activation that were not whole",
            &Side::Under,
            Some(0.0),
            activation.map(|activation| f64::from(activation.incomplete)),
            "",
        ),
        Aim::number(
            "first list after activation, stdio backend",
            &Side::Under,
            activation.map(|activation| 50.0 + activation.backend),
            activation.map(|activation| activation.stdio),
            " ms",
        ),
    ]
}
