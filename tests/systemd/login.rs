//! A login under systemd: what the journal has of it, and who opens what.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Test,
    authority::{Server, TOKEN, get, parameters},
    client::Client,
    installation::Setup,
    session::{Session, eventually},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_login_that_is_needed_is_in_the_journal_with_its_id",
        in_the_journal,
    ),
    (
        "a_login_by_the_control_socket_starts_the_service",
        by_the_control_socket,
    ),
    (
        "a_browser_for_a_login_is_no_part_of_the_service",
        the_browser,
    ),
    (
        "a_login_finds_a_desktop_that_came_after_the_service",
        a_later_desktop,
    ),
];

const SERVICE: &str = "mcpmux.service";

fn in_the_journal(session: &Session) {
    let server = Server::start();
    let name = format!("journal-{}", session.uid);
    let setup = Setup::new(session, &server.backend(&name));
    setup.listen();
    assert!(Client::shipped().echo(&name, "hello").is_err());
    let mut entries = Vec::new();
    let arguments = [
        "MESSAGE_ID=a90c68c5c04a050dc1b67798d55d5c4a",
        &format!("MCPMUX_BACKEND={name}"),
    ];
    let found = eventually(Duration::from_secs(10), || {
        entries = session.journal(&arguments);
        !entries.is_empty()
    });
    assert!(found, "{}", session.log());
    let entry = &entries[0];
    let message = entry["MESSAGE"].as_str().unwrap();
    assert!(
        message.starts_with(&format!(
            "{name} needs login: open {}/authorize?",
            server.at
        )),
        "{message}"
    );
    assert!(message.ends_with(&format!("mcpmux auth login {name})")));
    assert_eq!(entry["_TRANSPORT"], "journal");
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "mcpmux");
    assert_eq!(entry["PRIORITY"], "4");
    let status = format!("{name} needs login: mcpmux auth login {name}");
    let said = eventually(Duration::from_secs(10), || {
        session.property(SERVICE, "StatusText").contains(&status)
    });
    assert!(said, "{}", session.property(SERVICE, "StatusText"));
    // No other message has the id.
    let all = session.journal(&["MESSAGE_ID=a90c68c5c04a050dc1b67798d55d5c4a"]);
    let named = |entry: &Value| {
        let text = entry["MESSAGE"].as_str().unwrap_or_default();
        text.contains("needs login")
    };
    assert!(all.iter().all(named), "{all:?}");
}

fn by_the_control_socket(session: &Session) {
    let server = Server::start();
    let setup = Setup::new(session, &server.backend("linear"));
    let level = "[Service]\nEnvironment=MCPMUX_LOG=trace\n";
    setup.drop_in(SERVICE, "level", level);
    setup.listen();
    assert_eq!(session.property(SERVICE, "ActiveState"), "inactive");
    let mut login = session
        .command(setup.path(".local/bin/mcpmux").to_str().unwrap())
        .args(["auth", "login", "linear"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(login.stdout.take().unwrap());
    let mut page = String::new();
    stdout.read_line(&mut page).unwrap();
    if page.is_empty() {
        let mut said = String::new();
        login
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        panic!("{said}\n{}", session.log());
    }
    session.await_property(SERVICE, "ActiveState", |state| state == "active");
    let socket = session.runtime.join("mcpmux/control.sock");
    let metadata = fs::metadata(&socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.uid(), session.uid);

    // What a browser does once the person has consented.
    let parameters = parameters(page.trim_end());
    let back = &parameters["redirect_uri"];
    assert!(
        back.ends_with(":8080/oauth/callback"),
        "not the service's own address: {back}"
    );
    let (host, path) = back["http://".len()..].split_once('/').unwrap();
    let code = "code-of-no-importance-7a52";
    let target = format!("/{path}?code={code}&state={}", parameters["state"]);
    let shown = get(host, &target);
    assert!(shown.starts_with("HTTP/1.1 200 "), "{shown}");
    assert!(shown.contains("linear is logged in"), "{shown}");
    let mut end = String::new();
    stdout.read_to_string(&mut end).unwrap();
    assert_eq!(end, "linear: logged in\n");
    assert!(login.wait().unwrap().success());

    let status = session
        .command(setup.path(".local/bin/mcpmux").to_str().unwrap())
        .args(["auth", "status", "--json"])
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["source"], "running");
    assert_eq!(status["backends"][0]["login"], "logged_in", "{status}");
    session.systemctl(&["stop", "mcpmux.socket", SERVICE]);
    assert!(!socket.exists());

    // Whatever field it is in, and whoever wrote it.
    let entries = session.journal(&[]);
    let says = |text: &str| {
        let spelled = entries.iter().map(Value::to_string);
        spelled.filter(|entry| entry.contains(text)).count()
    };
    assert_ne!(
        says("login: asking for a person's consent"),
        0,
        "that is trace"
    );
    for secret in [TOKEN, code] {
        assert_eq!(says(secret), 0, "{secret} is in the journal");
    }
}

fn the_browser(session: &Session) {
    let server = Server::start();
    let setup = Setup::new(session, &server.backend("linear"));
    let browser = browser(&setup);
    let variable = format!("[Service]\nEnvironment=BROWSER={browser}\n");
    setup.drop_in(SERVICE, "browser", &variable);
    setup.listen();
    assert!(Client::shipped().echo("linear", "hello").is_err());
    is_opened_apart(session, &setup, &server);
}

fn a_later_desktop(session: &Session) {
    let server = Server::start();
    let setup = Setup::new(session, &server.backend("linear"));
    let browser = browser(&setup);
    setup.listen();
    // The backend asks for a login, and no desktop is there for it.
    assert!(Client::shipped().echo("linear", "hello").is_err());
    session.systemctl(&["set-environment", &format!("BROWSER={browser}")]);
    let mut login = session
        .command(setup.path(".local/bin/mcpmux").to_str().unwrap())
        .args(["auth", "login", "linear"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    is_opened_apart(session, &setup, &server);
    session.systemctl(&["unset-environment", "BROWSER"]);
    login.kill().unwrap();
    login.wait().unwrap();
}

/// A browser that writes down what it was started with.
fn browser(setup: &Setup<'_>) -> String {
    setup.write(
        "scratch/browser",
        "#!/bin/sh\nprintf '%s\\n' \"$1\" \"$(cat /proc/self/cgroup)\" \"${NOTIFY_SOCKET-none}\" \
         > \"$HOME/scratch/new\"\nmv \"$HOME/scratch/new\" \"$HOME/scratch/opened\"\n",
    );
    let browser = setup.path("scratch/browser");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).unwrap();
    browser.display().to_string()
}

#[track_caller]
fn is_opened_apart(session: &Session, setup: &Setup<'_>, server: &Server) {
    let opened = setup.path("scratch/opened");
    assert!(
        eventually(Duration::from_secs(10), || opened.exists()),
        "{}",
        session.log()
    );
    let text = fs::read_to_string(opened).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(&format!("{}/authorize?", server.at)));
    assert!(!text.contains("mcpmux.service"), "{text}");
    assert_eq!(lines.last(), Some(&"none"), "{text}");
}
