//! The service fails to start, or hangs: the socket stays, nothing spins.

use std::{io, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo},
    session::Session,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_connection_made_while_starts_fail_is_answered_in_the_end",
        failing_starts,
    ),
    (
        "a_broken_configuration_is_told_and_not_restarted",
        a_broken_configuration,
    ),
    (
        "a_watchdog_that_is_fed_does_not_bite",
        a_watchdog_that_is_fed,
    ),
    (
        "a_process_that_hangs_is_replaced_by_the_watchdog",
        a_process_that_hangs,
    ),
];

fn failing_starts(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    let broken = "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=100ms\n";
    setup.drop_in("mcpmux.service", "broken", broken);
    setup.listen();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Client::shipped().echo("demo", "patience"));
        // Far more than the five starts that systemd allows by default.
        session.await_property("mcpmux.service", "NRestarts", |n| {
            n.parse::<u32>().unwrap() > 8
        });
        assert_eq!(session.property("mcpmux.socket", "ActiveState"), "active");
        setup.remove_drop_in("mcpmux.service", "broken");
        assert_eq!(waiting.join().unwrap().as_deref(), Ok("patience"));
    });
}

fn a_broken_configuration(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.configure("backends: []\nlisten_here: no\n");
    setup.listen();
    // More connections than the starts in 2 s that a socket unit allows.
    for _ in 0..25 {
        let answer = Client::shipped().call("demo__echo", &json!({})).unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        let message = answer.message["error"]["message"]
            .as_str()
            .unwrap_or_default();
        assert!(message.contains("mcpmux check"), "{answer:?}");
    }
    session.await_property("mcpmux.service", "ActiveState", |state| state == "failed");
    assert_eq!(session.property("mcpmux.service", "ExecMainStatus"), "78");
    assert_eq!(session.property("mcpmux.service", "NRestarts"), "0");
    assert_eq!(session.property("mcpmux.socket", "ActiveState"), "active");

    setup.configure(&format!("backends:\n{}", demo("demo", "")));
    Client::shipped().assert_echo("demo");
}

fn a_watchdog_that_is_fed(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.drop_in("mcpmux.service", "watchdog", "[Service]\nWatchdogSec=1s\n");
    session.systemctl(&["start", "mcpmux.service"]);
    let before = session.main_pid();
    // Three times the interval; there is no event for "was not killed".
    thread::sleep(Duration::from_secs(3));
    Client::shipped().assert_echo("demo");
    assert_eq!(session.main_pid(), before);
    assert_eq!(session.property("mcpmux.service", "NRestarts"), "0");
}

fn a_process_that_hangs(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.drop_in(
        "mcpmux.service",
        "watchdog",
        "[Service]\nWatchdogSec=1s\nLimitCORE=0\n",
    );
    session.systemctl(&["start", "mcpmux.service"]);
    let before = session.main_pid();
    stop(before).unwrap();
    session.await_property("mcpmux.service", "NRestarts", |restarts| restarts == "1");
    Client::shipped().assert_echo("demo");
    assert_ne!(session.main_pid(), before);
}

/// Halts a process, so that it looks like one that hangs.
fn stop(pid: u32) -> io::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    Ok(kill_process(pid, Signal::STOP)?)
}
