//! What the journal shows.

use serde_json::Value;

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::{Session, eventually},
};

use std::{process::Command, time::Duration};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_backends_stderr_is_in_the_journal_of_its_unit",
        a_backends_stderr,
    ),
    (
        "stderr_of_a_process_group_is_in_the_journal_with_its_name",
        stderr_of_a_group,
    ),
    (
        "what_mcpmux_says_of_a_backend_carries_its_name",
        what_mcpmux_says_of_a_backend,
    ),
    (
        "the_user_reads_the_log_with_journalctl",
        the_user_reads_the_log,
    ),
    (
        "mcpmux_logs_shows_what_a_backend_and_mcpmux_say_of_it",
        mcpmux_logs,
    ),
    ("each_call_leaves_a_record", each_call),
    (
        "json_on_stderr_reaches_the_journal_as_it_is",
        json_on_stderr,
    ),
];

fn a_backends_stderr(session: &Session) {
    let marker = marker(session, "stderr");
    let setup = Setup::new(session, &demo("demo", &format!("echo {marker} >&2;")));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let entry = await_entry(session, &[&format!("--grep={marker}")]);
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "demo");
    assert_eq!(entry["_SYSTEMD_USER_UNIT"], "mcpmux-backend-demo.service");
    // Straight from it, not by way of mcpmux.
    assert_eq!(entry["_TRANSPORT"], "stdout");
}

fn stderr_of_a_group(session: &Session) {
    let marker = marker(session, "group");
    let setup = Setup::new(session, "");
    let backend = demo("demo", &format!("echo {marker} >&2;"));
    setup.configure(&format!("process: group\nbackends:\n{backend}"));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let entry = await_entry(
        session,
        &[&format!("--grep={marker}"), "MCPMUX_BACKEND=demo"],
    );
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "mcpmux");
    // Natively, not as a line of text on stderr that has the name in it.
    assert_eq!(entry["_TRANSPORT"], "journal");
    assert_eq!(entry["_SYSTEMD_USER_UNIT"], "mcpmux.service");
}

fn each_call(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    let word = marker(session, "said");
    Client::shipped().echo("demo", &word).unwrap();
    let entry = await_entry(
        session,
        &[
            "MESSAGE_ID=4b758171d4534021b4cb21188d77d516",
            "MCPMUX_BACKEND=demo",
        ],
    );
    assert_eq!(entry["MCPMUX_TOOL"], "echo");
    assert_eq!(entry["MCPMUX_OUTCOME"], "ok");
    assert!(entry["MCPMUX_CALLER"].is_string(), "{entry}");
    assert!(!entry.to_string().contains(&word), "{entry}");
}

fn what_mcpmux_says_of_a_backend(session: &Session) {
    let name = marker(session, "backend");
    let setup = Setup::new(session, &shell(&name, "exit 3"));
    setup.listen();
    assert!(Client::shipped().echo(&name, "hello").is_err());
    let entry = await_entry(
        session,
        &[&format!("MCPMUX_BACKEND={name}"), "--priority=warning"],
    );
    assert!(entry["MESSAGE"].is_string(), "{entry}");
    assert!(
        entry["TARGET"]
            .as_str()
            .unwrap_or_default()
            .starts_with("mcpmux"),
        "{entry}"
    );
}

fn the_user_reads_the_log(session: &Session) {
    let marker = marker(session, "user");
    let setup = Setup::new(session, &demo("demo", &format!("echo {marker} >&2;")));
    setup.listen();
    Client::shipped().assert_echo("demo");
    await_entry(session, &[&format!("--grep={marker}")]);
    // journald keeps no journal for root alone, where `--user` would look.
    let by_unit: &[&str] = match session.uid {
        0 => &["_SYSTEMD_USER_UNIT=mcpmux-backend-demo.service", "_UID=0"],
        _ => &["--user", "--unit=mcpmux-backend-demo"],
    };
    let output = session
        .command("journalctl")
        .arg("--output=cat")
        .args(by_unit)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&marker),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn mcpmux_logs(session: &Session) {
    let marker = marker(session, "logs");
    let backends = demo("demo", &format!("echo {marker} >&2;")) + &demo("other", "");
    let setup = Setup::new(session, &backends);
    setup.listen();
    Client::shipped().assert_echo("demo");
    await_entry(session, &[&format!("--grep={marker}")]);
    let shown = |name: &str| {
        let program = session.home.join(".local/bin/mcpmux");
        let mut command = session.command(program.to_str().unwrap());
        let output = command.args(["logs", name]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text + &String::from_utf8_lossy(&output.stderr)
    };
    let mut text = String::new();
    eventually(Duration::from_secs(5), || {
        text = shown("demo");
        text.contains(&marker) && text.contains("up: ")
    });
    assert!(text.contains(&marker) && text.contains("up: "), "{text}");
    let other = shown("other");
    assert!(!other.contains(&marker), "{other}");
    let unknown = shown("nobody");
    assert!(unknown.contains("there are demo, other"), "{unknown}");
    // It is there as well when nobody can be asked, with what systemd says of the unit.
    session.systemctl(&["stop", "mcpmux.socket", "mcpmux.service"]);
    let text = shown("demo");
    let said_of_it = ["up: ", "Stopped ", &marker];
    assert!(said_of_it.iter().all(|said| text.contains(said)), "{text}");
    let misspelt = shown("demmo");
    assert!(misspelt.contains("did you mean \"demo\"?"), "{misspelt}");
}

fn json_on_stderr(session: &Session) {
    let marker = marker(session, "json");
    let setup = Setup::new(session, &demo("demo", &format!("echo {marker} >&2;")));
    let unit = "[Service]\nExecStart=\nExecStart=%h/.local/bin/mcpmux serve --log-format json\n";
    setup.drop_in("mcpmux.service", "json", unit);
    setup.listen();
    Client::shipped().assert_echo("demo");
    let entry = await_entry(session, &[&format!("--grep={marker}")]);
    assert_eq!(entry["_TRANSPORT"], "stdout");
    let line: Value = serde_json::from_str(entry["MESSAGE"].as_str().unwrap()).unwrap();
    assert_eq!(line["fields"]["backend"], "demo", "{line}");
}

/// A word that occurs in no other test's entries.
fn marker(session: &Session, what: &str) -> String {
    format!("marker-{what}-{}", session.uid)
}

fn await_entry(session: &Session, arguments: &[&str]) -> Value {
    let mut entries = Vec::new();
    let found = eventually(Duration::from_secs(5), || {
        entries = session.journal(arguments);
        !entries.is_empty()
    });
    assert!(found, "no entry with {arguments:?} in\n{}", all(session));
    entries.remove(0)
}

/// The journal with every field.
fn all(session: &Session) -> String {
    let output = Command::new("journalctl")
        .args([
            "--output=verbose",
            "--lines=20",
            &format!("_UID={}", session.uid),
        ])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
