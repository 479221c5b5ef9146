//! `systemctl --user reload mcpmux`, with the shipped unit and with the drop-in
//! for newer versions of systemd.

use std::time::Duration;

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo},
    session::{Session, eventually},
    surroundings::shipped,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_reload_is_waited_for_and_touches_only_what_has_changed",
        a_reload,
    ),
    (
        "a_bad_configuration_stands_in_the_status_until_the_next_good_one",
        a_bad_configuration,
    ),
    (
        "a_replaced_backend_is_a_new_unit_after_the_end_of_the_old_one",
        a_replaced_unit,
    ),
    (
        "a_reload_with_the_drop_in_for_notify_reload",
        with_notify_reload,
    ),
];

const SERVICE: &str = "mcpmux.service";
const DEMO: &str = "mcpmux-backend-demo.service";

fn reload(session: &Session) {
    session.systemctl(&["reload", SERVICE]);
    assert_eq!(session.property(SERVICE, "ActiveState"), "active");
    assert_eq!(session.property(SERVICE, "SubState"), "running");
}

fn reloads(session: &Session) -> usize {
    let pid = format!("_PID={}", session.main_pid());
    let lines = session.journal(&[&pid]);
    let read = |line: &&serde_json::Value| {
        let message = line["MESSAGE"].as_str().unwrap_or_default();
        message.contains("the configuration was read again")
    };
    lines.iter().filter(read).count()
}

fn configure(setup: &Setup<'_>, backends: &[String]) {
    setup.configure(&format!("backends:\n{}", backends.concat()));
}

fn goes_over(session: &Session, setup: &Setup<'_>) {
    setup.listen();
    Client::shipped().assert_echo("demo");
    let (pid, demo_pid) = (session.main_pid(), session.property(DEMO, "MainPID"));
    for round in 1..=6 {
        let other = demo(&format!("other{round}"), "");
        configure(setup, &[demo("demo", ""), other]);
        reload(session);
        // It was read by the time that systemctl has ended.
        assert_eq!(reloads(session), round);
        Client::shipped().assert_echo(&format!("other{round}"));
    }
    assert_eq!(session.main_pid(), pid);
    assert_eq!(session.property(DEMO, "MainPID"), demo_pid);
    session.await_property(SERVICE, "StatusText", |text| {
        text.starts_with("2/2 backends up")
    });
    session.await_property("mcpmux-backend-other5.service", "ActiveState", |state| {
        state == "inactive"
    });
}

fn a_reload(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    goes_over(session, &setup);
}

fn a_bad_configuration(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    keeps_the_last_good_one(session, &setup);
}

fn keeps_the_last_good_one(session: &Session, setup: &Setup<'_>) {
    configure(setup, &[demo("demo", "")]);
    reload(session);
    Client::shipped().assert_echo("demo");
    setup.configure("backends: [{ nam: x }]\nlisten: 7\n");
    reload(session);
    let status = session.property(SERVICE, "StatusText");
    assert!(
        status.contains("the configuration has errors") && status.contains("config.yaml:1"),
        "{status}"
    );
    assert!(status.starts_with("1/1 backends up"), "{status}");
    Client::shipped().assert_echo("demo");
    configure(setup, &[demo("demo", "")]);
    reload(session);
    let status = session.property(SERVICE, "StatusText");
    assert!(!status.contains("errors"), "{status}");
}

fn a_replaced_unit(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let mut before = session.property(DEMO, "MainPID");
    for round in 0..4 {
        configure(&setup, &[demo("demo", &format!(": {round};"))]);
        reload(session);
        // Who calls waits until the name is free.
        Client::shipped().assert_echo("demo");
        let replaced = eventually(Duration::from_secs(15), || {
            let now = session.property(DEMO, "MainPID");
            now != before && now != "0"
        });
        assert!(replaced, "{}", session.log());
        before = session.property(DEMO, "MainPID");
    }
    let units = session.systemctl(&[
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "mcpmux-backend-*",
    ]);
    assert_eq!(units.lines().count(), 1, "{units}");
}

fn with_notify_reload(session: &Session) {
    let version = session.version();
    if version < 253 {
        println!("NOT SHOWN here: systemd {version} has no Type=notify-reload (make vm has)");
        return;
    }
    let setup = Setup::new(session, &demo("demo", ""));
    setup.drop_in(SERVICE, "reload", &shipped("reload.conf"));
    assert_eq!(session.property(SERVICE, "Type"), "notify-reload");
    goes_over(session, &setup);
    keeps_the_last_good_one(session, &setup);
}
