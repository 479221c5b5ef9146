//! mcpmux under a real systemd user manager, as root and as an ordinary user:
//! the built binary, installed by `make install` with the shipped units.
//!
//! This program runs itself again in two machines of its own (see the script
//! `machine`), because a user manager, a journal and port 8080 are wanted that
//! belong to nobody else. That takes root; without it the tests are listed as
//! ignored, and why is said.
//!
//! `make vm` runs it in a virtual machine instead (see `vm/run`), once for each
//! user under the manager that logind starts: there systemd is 257, has all
//! controllers of the cgroups to hand on, and nothing stands in for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod activation;
mod authority;
mod client;
mod delivery;
mod doors;
mod failure;
mod idle;
mod installation;
mod journal;
mod legacy;
mod limits;
mod login;
mod reload;
mod restart;
mod session;
mod shutdown;
mod surroundings;
mod units;
mod vault;

use std::{
    env,
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Trial};

use session::Session;

/// A test: what it shows, as a sentence, and how.
type Test = (&'static str, fn(&Session));

fn tests() -> Vec<Test> {
    [
        activation::TESTS,
        delivery::TESTS,
        doors::TESTS,
        failure::TESTS,
        idle::TESTS,
        journal::TESTS,
        limits::TESTS,
        login::TESTS,
        reload::TESTS,
        restart::TESTS,
        shutdown::TESTS,
        surroundings::TESTS,
        units::TESTS,
        vault::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one manager, one mcpmux.service and one port 8080.
    arguments.test_threads = Some(1);
    if let Some(session) = Session::from_env() {
        let session: &'static Session = Box::leak(Box::new(session));
        if !arguments.list {
            installation::install(session);
        }
        let trials = tests().into_iter().map(|(name, test)| {
            Trial::test(name, move || {
                test(session);
                Ok(())
            })
            .with_kind(&session.user)
        });
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    if arguments.list || !rustix::process::geteuid().is_root() {
        if !arguments.list {
            eprintln!("\nNOT RUN: these tests start a systemd user manager, which takes root.");
        }
        let ignored = |(name, _)| Trial::test(name, || Ok(())).with_ignored_flag(true);
        return libtest_mimic::run(&arguments, tests().into_iter().map(ignored).collect())
            .exit_code();
    }
    in_machines()
}

/// Runs every test once for each kind of user.
fn in_machines() -> ExitCode {
    let machine = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/systemd/machine");
    let mut outcome = ExitCode::SUCCESS;
    for kind in ["root", "ordinary"] {
        println!("\nAs {kind} user, with a systemd user manager and a journal:");
        let status = Command::new(machine)
            .arg(kind)
            .arg(env::current_exe().unwrap())
            .args(env::args_os().skip(1))
            .status()
            .unwrap();
        if !status.success() {
            outcome = ExitCode::FAILURE;
        }
        // Ended by a signal: somebody wants all of it to end.
        if matches!(status.code(), None | Some(130 | 143)) {
            break;
        }
    }
    outcome
}
