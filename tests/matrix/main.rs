//! Every client revision with every backend revision, over every transport to
//! it, for every feature: a client sees through mcpmux what it sees directly,
//! or, between the eras, what the table of bridges says. What was run is kept
//! as a table in docs/matrix.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod acts;
mod backend;
mod cell;
mod features;
mod house;
mod revision;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Failed, Trial};

use cell::{Expected, Pair};
use features::Feature;
use house::{House, Transport};
use revision::Revision;

/// How many trials run at once; each backend takes one at a time.
const THREADS: usize = 8;

/// Trials that are known to fail: how their names begin and end. In the table
/// their cells have a sign of their own.
const NOT_YET: &[(&str, &str)] = &[];

/// Whether a trial is known to fail.
fn not_yet(name: &str) -> bool {
    let mut known = NOT_YET.iter();
    known.any(|(start, end)| name.starts_with(start) && name.ends_with(end))
}

/// The name of a trial.
fn name(feature: &Feature, pair: Pair, transport: Transport) -> String {
    let Pair { client, backend } = pair;
    format!("{}: {client} to {backend} over {transport}", feature.name)
}

/// Every pair of revisions.
fn pairs() -> impl Iterator<Item = Pair> {
    Revision::all().flat_map(|client| Revision::all().map(move |backend| Pair { client, backend }))
}

fn trial(
    house: &Arc<OnceLock<House>>,
    feature: &'static Feature,
    pair: Pair,
    transport: Transport,
) -> Trial {
    let name = name(feature, pair, transport);
    let house = Arc::clone(house);
    let left_out = not_yet(&name);
    Trial::test(name, move || {
        let house = house.get_or_init(House::open);
        cell::check(house, feature, pair, transport).map_err(Failed::from)
    })
    .with_ignored_flag(left_out)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let house = Arc::new(OnceLock::new());
    let mut trials = Vec::new();
    for feature in features::ALL {
        for transport in Transport::ALL {
            for pair in pairs() {
                if !matches!(Expected::of(feature, pair), Expected::Absent) {
                    trials.push(trial(&house, feature, pair, transport));
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The trials are gone, and with this all that they started.
    drop(Arc::into_inner(house));
    let whole = !arguments.list && conclusion.num_filtered_out == 0 && !conclusion.has_failed();
    if whole && let Err(why) = table::keep() {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
