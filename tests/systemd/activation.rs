//! Socket activation, readiness and status.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::Session,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "nothing_runs_until_the_first_connection_starts_it",
        nothing_runs_until_connected,
    ),
    (
        "a_slow_backend_does_not_delay_readiness",
        a_slow_backend_does_not_delay_readiness,
    ),
    (
        "an_always_on_service_brings_its_socket",
        an_always_on_service_brings_its_socket,
    ),
    (
        "a_unix_socket_is_served_beside_tcp",
        a_unix_socket_is_served_beside_tcp,
    ),
    (
        "a_client_on_stdio_starts_it_through_the_unix_socket",
        a_client_on_stdio_starts_it,
    ),
    (
        "a_datagram_socket_is_refused_by_name",
        a_datagram_socket_is_refused_by_name,
    ),
];

fn nothing_runs_until_connected(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    assert_eq!(
        session.property("mcpmux.service", "ActiveState"),
        "inactive"
    );
    assert!(session.processes().is_empty());

    Client::shipped().assert_echo("demo");

    assert_eq!(session.property("mcpmux.service", "ActiveState"), "active");
    assert_eq!(session.property("mcpmux.service", "Type"), "notify");
    let program = fs::read_link(format!("/proc/{}/exe", session.main_pid())).unwrap();
    assert_eq!(program, setup.path(".local/bin/mcpmux"));
    session.await_property("mcpmux.service", "StatusText", |status| {
        status.contains("1/1")
    });
}

fn a_slow_backend_does_not_delay_readiness(session: &Session) {
    let _setup = Setup::new(
        session,
        &(demo("demo", "") + &shell("slow", "exec sleep 1000")),
    );
    let started = Instant::now();
    session.systemctl(&["start", "mcpmux.service"]);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "READY took {:?}",
        started.elapsed()
    );
    // Nor another backend's calls.
    Client::shipped().assert_echo("demo");
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "the first call took {:?}",
        started.elapsed()
    );
    session.await_property("mcpmux.service", "StatusText", |status| {
        status.contains("1/2")
    });
}

fn an_always_on_service_brings_its_socket(session: &Session) {
    let _setup = Setup::new(session, &demo("demo", ""));
    session.systemctl(&["enable", "--now", "mcpmux.service"]);
    for unit in ["mcpmux.service", "mcpmux.socket"] {
        assert_eq!(session.property(unit, "ActiveState"), "active", "{unit}");
        assert_eq!(session.property(unit, "UnitFileState"), "enabled", "{unit}");
    }
    Client::shipped().assert_echo("demo");
}

fn a_unix_socket_is_served_beside_tcp(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    let path = session.runtime.join("mcpmux/mcpmux.sock");
    setup.listen();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.as_path()), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    Client::Unix(path.clone()).assert_echo("demo");
    Client::shipped().assert_echo("demo");
    let lines = session.journal(&["SYSLOG_IDENTIFIER=mcpmux", "--grep=listening on"]);
    let said = |text: &str| {
        let mut lines = lines.iter();
        lines.any(|line| line["MESSAGE"].to_string().contains(text))
    };
    assert!(said("http://127.0.0.1:8080/mcp") && said("mcpmux/mcpmux.sock"));

    // The folder is the service's too, and must not go with it.
    session.systemctl(&["stop", "mcpmux.service"]);
    Client::Unix(path).assert_echo("demo");
}

fn a_client_on_stdio_starts_it(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    // No port at all.
    let unit = "[Socket]\nListenStream=\nListenStream=%t/mcpmux/mcpmux.sock\n";
    setup.drop_in("mcpmux.socket", "address", unit);
    setup.listen();
    let program = setup.path(".local/bin/mcpmux");
    let mut child = session
        .command(program.to_str().unwrap())
        .arg("stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |message: &str| {
        writeln!(stdin, "{message}").unwrap();
        answers.next().unwrap().unwrap()
    };
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo__echo","arguments":{"message":"by the socket"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let answer = ask(call);
    assert!(answer.contains("by the socket"), "{answer}");
    assert_eq!(session.property("mcpmux.service", "ActiveState"), "active");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

fn a_datagram_socket_is_refused_by_name(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    let unit = "[Socket]\nListenDatagram=127.0.0.1:8081\nFileDescriptorName=odd\n";
    setup.drop_in("mcpmux.socket", "datagram", unit);
    let started = session.try_systemctl(&["start", "mcpmux.service"]);
    assert!(!started.status.success());
    assert_eq!(session.property("mcpmux.service", "ExecMainStatus"), "78");
    let lines = session.journal(&["SYSLOG_IDENTIFIER=mcpmux", "--grep=ListenStream="]);
    let line = lines.last().expect("a line that says what to do")["MESSAGE"].to_string();
    assert!(line.contains("odd"), "{line}");
}
