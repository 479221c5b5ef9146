//! How the service ends, and that nothing outlives it.

use std::time::{Duration, Instant};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::{Session, eventually, is_alive},
};

pub(crate) const TESTS: &[Test] = &[
    ("a_stop_leaves_no_process", a_stop_leaves_no_process),
    (
        "a_kill_of_the_main_process_leaves_none_of_its_children",
        a_kill_leaves_no_child,
    ),
    (
        "a_stopped_service_starts_again_with_the_next_connection",
        a_stopped_service_starts_again,
    ),
];

/// One backend that answers, one that is deaf to SIGTERM, and a grandchild that
/// has left its group and session, and is deaf as well.
fn obstinate() -> String {
    demo("demo", "")
        + &shell(
            "deaf",
            "trap '' TERM HUP INT; setsid sleep 1000 & exec sleep 1000",
        )
}

/// With processes that mcpmux itself has to end; as units see `units.rs`.
fn setup(session: &Session) -> Setup<'_> {
    let setup = Setup::new(session, "");
    setup.configure(&format!("process: group\nbackends:\n{}", obstinate()));
    setup
}

/// Starts the service, and waits for mcpmux, its two backends and the grandchild.
fn all_running(session: &Session) -> Vec<u32> {
    session.systemctl(&["start", "mcpmux.service"]);
    Client::shipped().assert_echo("demo");
    assert!(
        eventually(Duration::from_secs(5), || session.processes().len() >= 4),
        "{:?}\n{}",
        session.processes(),
        session.log()
    );
    session.processes()
}

fn a_stop_leaves_no_process(session: &Session) {
    let _setup = setup(session);
    let processes = all_running(session);
    let started = Instant::now();
    session.systemctl(&["stop", "mcpmux.service"]);
    assert!(session.processes().is_empty());
    assert!(processes.iter().all(|&pid| !is_alive(pid)), "{processes:?}");
    // Not "timeout": mcpmux ended by itself.
    assert_eq!(session.property("mcpmux.service", "Result"), "success");
    assert_eq!(session.property("mcpmux.service", "ExecMainStatus"), "0");
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

fn a_kill_leaves_no_child(session: &Session) {
    let _setup = setup(session);
    let processes = all_running(session);
    let before = session.main_pid();
    session.systemctl(&[
        "kill",
        "--signal=KILL",
        "--kill-whom=main",
        "mcpmux.service",
    ]);
    let gone = eventually(Duration::from_secs(5), || {
        processes.iter().all(|&pid| !is_alive(pid))
    });
    assert!(
        gone,
        "{:?}",
        processes
            .iter()
            .filter(|&&pid| is_alive(pid))
            .collect::<Vec<_>>()
    );
    // And it is there again, by itself.
    Client::shipped().assert_echo("demo");
    assert_ne!(session.main_pid(), before);
}

fn a_stopped_service_starts_again(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    session.systemctl(&["stop", "mcpmux.service"]);
    assert_eq!(
        session.property("mcpmux.service", "ActiveState"),
        "inactive"
    );
    Client::shipped().assert_echo("demo");
}
