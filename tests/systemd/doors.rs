//! Who may come in, with the shipped units and two users of one machine.

use std::{os::unix::process::CommandExt, process::Command};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo},
    session::Session,
};

pub(crate) const TESTS: &[Test] = &[("another_user_is_refused_and_the_log_says_why", another_user)];

/// A user that is not the one of the session.
const OTHER: u32 = 54_321;

/// What mcpmux answers to a request for its health.
const ASK: &str = "exec 3<>/dev/tcp/127.0.0.1/8080
printf 'GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' >&3
cat <&3";

fn another_user(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let ask = |command: &mut Command| {
        let output = command.args(["-c", ASK]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let own = ask(&mut session.command("bash"));
    assert!(own.starts_with("HTTP/1.1 200 "), "{own}");
    let other = ask(Command::new("bash").uid(OTHER).gid(OTHER).current_dir("/"));
    assert!(other.starts_with("HTTP/1.1 403 "), "{other}");
    let why = format!("--grep=it is user {OTHER}");
    let lines = session.journal(&[&why, "_SYSTEMD_USER_UNIT=mcpmux.service"]);
    assert!(!lines.is_empty(), "{}", session.log());
}
