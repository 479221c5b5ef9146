//! What a policy that is wrong is told, and what a role is shown on the command
//! line.

use std::{
    env, fs,
    process::{Command, Output},
};

use crate::support::{Peer, Setup, legacy};

fn run(yaml: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let config = dir.path().join("mcpmux.yaml");
    fs::write(&config, yaml).expect("it can be stored");
    Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .args(arguments)
        .arg("--config")
        .arg(&config)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .output()
        .expect("mcpmux can be run")
}

#[test]
fn a_role_that_there_is_not_and_a_rule_that_is_none_are_errors() {
    for (access, said) in [
        (
            "{ default_role: a }",
            "access.default_role: there is no role \"a\" in access.roles",
        ),
        (
            "{ roles: { reader: {} }, assign: [{ role: raeder, user: 1 }] }",
            "access.assign[0].role: there is no role \"raeder\" in access.roles; did you mean \"reader\"?",
        ),
        (
            "{ roles: { a: {} }, assign: [{ role: a }] }",
            "access.assign[0]: says of nobody that they have the role",
        ),
        (
            "{ roles: { a: { allow: ['tools:x/y'] } } }",
            "access.roles.a.allow[0]: \"tools:x/y\" names a kind that there is not",
        ),
        (
            "{ roles: { a: {} }, assign: [{ role: a, socket: x }] }",
            "access.assign[0].socket: \"x\" is neither the path of a unix socket",
        ),
        (
            "{ assign: [{ user: 1 }] }",
            "access.assign[0].role: is missing",
        ),
    ] {
        let output = run(&format!("access: {access}\nbackends: []\n"), &["check"]);
        assert_eq!(output.status.code(), Some(78), "{access}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{access}: {told}");
    }
}

#[test]
fn a_list_is_what_a_role_sees() {
    let peer = Peer::new(legacy(&["get_x", "set_x"]));
    let own = rustix::process::geteuid().as_raw();
    let yaml = Setup::one("b", &peer)
        .top(&format!(
            "access: {{ roles: {{ reader: {{ allow: ['b/get_*'] }}, writer: {{ allow: [b] }} }},
              assign: [{{ role: reader, user: {own} }}] }}"
        ))
        .yaml();
    for (arguments, names) in [
        (&["list"][..], &["b__get_x"][..]),
        (&["list", "--role", "writer"], &["b__get_x", "b__set_x"]),
    ] {
        let output = run(&yaml, arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let listed: Vec<_> = said.lines().filter(|line| line.contains("b__")).collect();
        assert_eq!(listed.len(), names.len(), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
    }
    let output = run(&yaml, &["list", "--role", "nobody"]);
    assert_eq!(output.status.code(), Some(64));
}
