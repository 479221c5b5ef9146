//! What a child is started with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::DONE;
use crate::support::{Client, Event, Peer, Setup, legacy};

#[test]
fn a_program_that_is_not_there_is_named_with_the_path_that_was_searched() {
    let works = Peer::new(legacy(&["t"]));
    let mux = Setup::one("works", &works)
        .raw_backend("name: lost\ntransport: command\ncommand: [no-such-program-7]\nenv: {PATH: /nowhere/bin}")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    let (_, message) = client.call("lost__x", None).error();
    assert!(
        message.contains("lost") && message.contains("no-such-program-7"),
        "{message}"
    );
    let line = mux.logged("no-such-program-7");
    assert!(
        line.contains("/nowhere/bin"),
        "the log names the PATH: {line}"
    );
}

#[test]
fn a_working_directory_that_is_not_there_is_named() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend("b", &peer, "cwd: /nowhere/at/all")
        .serve();
    let (_, message) = Client::legacy(&mux).call("b__t", None).error();
    assert!(message.contains("/nowhere/at/all"), "{message}");
}

fn started(peer: &Peer) -> (std::collections::BTreeMap<String, String>, String) {
    peer.wait("a start", |events| {
        events.iter().find_map(|event| match event {
            Event::Start { env, cwd, .. } => Some((env.clone(), cwd.clone())),
            _ => None,
        })
    })
}

#[test]
fn a_child_gets_a_clean_environment_and_its_own_variables() {
    let peer = Peer::new(legacy(&["t"]));
    let other = Peer::new(legacy(&["t"]));
    let dir = tempfile::tempdir().expect("a directory can be made");
    let mux = Setup::default()
        .backend(
            "a",
            &peer,
            &format!(
                "env: {{TOKEN: \"a-${{SECRET}}\", EMPTY: \"\"}}\ncwd: {}",
                dir.path().display()
            ),
        )
        .backend("b", &other, "env: {B_ONLY: \"1\"}")
        .env("SECRET", "s3cr3t")
        .env("AWS_SECRET_ACCESS_KEY", "no")
        .env("LANG", "C.UTF-8")
        .env("LC_TIME", "C")
        .env("TZ", "UTC")
        .env("XDG_DATA_HOME", "/d")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "0")
        .env("JOURNAL_STREAM", "1:2")
        .env("CREDENTIALS_DIRECTORY", "/nowhere")
        .env("USER", "me")
        .serve();
    let (env, cwd) = started(&peer);
    assert_eq!(env.get("TOKEN").map(String::as_str), Some("a-s3cr3t"));
    assert_eq!(env.get("EMPTY").map(String::as_str), Some(""));
    assert_eq!(
        cwd,
        dir.path()
            .canonicalize()
            .expect("it is there")
            .display()
            .to_string()
    );
    for name in [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_TIME",
        "TZ",
        "XDG_DATA_HOME",
    ] {
        assert!(env.contains_key(name), "{name} is passed on: {env:?}");
    }
    let allowed = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "TZ",
        "TMPDIR",
        "TOKEN",
        "EMPTY",
        // By which what a child leaves behind is found, even outside of its group.
        "MCPMUX_INSTANCE",
    ];
    let foreign = |name: &&String| {
        !allowed.contains(&name.as_str()) && !name.starts_with("LC_") && !name.starts_with("XDG_")
    };
    let found: Vec<_> = env.keys().filter(foreign).collect();
    assert!(found.is_empty(), "these leak: {found:?}");
    let (env, cwd) = started(&other);
    assert!(
        !env.contains_key("TOKEN") && env.contains_key("B_ONLY"),
        "{env:?}"
    );
    assert!(
        !env.values().any(|value| value.contains("s3cr3t")),
        "one backend's secret reached another"
    );
    assert_eq!(
        cwd,
        std::env::current_dir()
            .expect("a directory")
            .display()
            .to_string()
    );
    drop(mux);
}

#[test]
fn a_child_that_may_inherits_the_whole_environment() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend("a", &peer, "inherit_env: true")
        .env("ODD_NAME", "1")
        .serve();
    assert_eq!(
        started(&peer).0.get("ODD_NAME").map(String::as_str),
        Some("1")
    );
    drop(mux);
}

#[test]
fn a_child_may_open_as_many_files_as_mcpmux_was_given() {
    let peer = Peer::new(legacy(&["t"]));
    let script = format!(
        "sleep 0.2; echo \"may open $(ulimit -n)\" >&2; exec {}",
        peer.command().trim_matches(['[', ']']).replace(',', "")
    );
    let setup = Setup::default().raw_backend(&format!(
        "name: b\ntransport: command\ncommand: [sh, -c, {script:?}]"
    ));
    let given = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(700),
        ..given
    };
    setrlimit(Resource::Nofile, low).expect("the limit can be lowered");
    let mux = setup.serve();
    setrlimit(Resource::Nofile, given).expect("the limit can be raised again");
    mux.logged("may open 700");
    Client::wait_for(&mux, "b__t");
}
