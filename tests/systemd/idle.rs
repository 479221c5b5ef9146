//! A service that ends when no client needs it, and is there for the next one.

use std::{collections::HashSet, thread, time::Duration};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo},
    legacy::{Legacy, notes},
    session::Session,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "it_ends_when_idle_and_a_session_goes_on_with_the_next_connection",
        it_ends_when_idle,
    ),
    (
        "it_does_not_end_while_a_stream_is_open",
        it_does_not_end_while_a_stream_is_open,
    ),
    (
        "connections_that_come_while_it_ends_are_answered",
        connections_that_come_while_it_ends,
    ),
];

fn configuration(idle_exit: &str, backends: &str) -> String {
    format!("listen:\n  idle_exit: {idle_exit}\nbackends:\n{backends}")
}

fn await_end(session: &Session) {
    session.await_property("mcpmux.service", "ActiveState", |state| state == "inactive");
    assert_eq!(session.property("mcpmux.service", "Result"), "success");
    assert_eq!(session.property("mcpmux.service", "ExecMainStatus"), "0");
    assert!(session.processes().is_empty());
}

fn it_ends_when_idle(session: &Session) {
    let setup = Setup::new(session, "").with_notes();
    setup.configure(&configuration("1s", &notes()));
    setup.listen();
    let client = Legacy::begin();
    client.assert_known();
    client.subscribe();
    await_end(session);
    assert_eq!(session.property("mcpmux.socket", "ActiveState"), "active");

    client.assert_known();
    let path = session.runtime.join("mcpmux/mcpmux.sock");
    assert!(path.exists());
    assert_eq!(session.property("mcpmux.service", "NRestarts"), "0");
    client.stream().assert_updated();
    await_end(session);
}

fn it_does_not_end_while_a_stream_is_open(session: &Session) {
    let setup = Setup::new(session, "").with_notes();
    setup.configure(&configuration("1s", &notes()));
    setup.listen();
    let client = Legacy::begin();
    let stream = client.stream();
    let before = session.main_pid();
    // Three times the time; there is no event for "did not end".
    thread::sleep(Duration::from_secs(3));
    assert_eq!(session.main_pid(), before);
    drop(stream);
    await_end(session);
}

fn connections_that_come_while_it_ends(session: &Session) {
    let setup = Setup::new(session, "");
    setup.configure(&configuration("1s", &demo("demo", "")));
    setup.listen();
    let mut runs = HashSet::new();
    for call in 0..16_u64 {
        Client::shipped().assert_echo("demo");
        runs.insert(session.main_pid());
        // Some come before it ends, some while it does and some after.
        thread::sleep(Duration::from_millis(940 + call * 20));
    }
    assert!(runs.len() > 4, "it has hardly ever ended: {runs:?}");
}
