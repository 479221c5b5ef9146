//! `mcpmux logs` where no mcpmux runs: what the journal has of it, and what is said
//! where there is none. A stand-in for journalctl shows what it is asked.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// `mcpmux logs` with these arguments, where programs are looked for in `path`.
fn logs(home: &Path, path: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .arg("logs")
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", path)
        .env("MCPMUX_CONTROL", home.join("nobody"))
        .output()
        .unwrap()
}

/// Puts a journalctl there that runs this line of shell.
fn stand_in(path: &Path, line: &str) {
    let program = path.join("journalctl");
    fs::write(&program, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[track_caller]
fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn while_no_mcpmux_runs_the_journal_is_asked_for_the_unit_of_that_name() {
    let (home, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    stand_in(path.path(), r#"echo "$@""#);
    let output = logs(home.path(), path.path(), &["-f", "-n", "5", "my files"]);
    let asked = String::from_utf8(output.stdout).unwrap();
    for part in [
        "--lines=5 --follow",
        r"_SYSTEMD_USER_UNIT=mcpmux-backend-my\x20files.service _UID=",
        r" + _SYSTEMD_UNIT=mcpmux-backend-my\x20files.service + ",
        "_SYSTEMD_USER_UNIT=mcpmux.service MCPMUX_BACKEND=my files _UID=",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[test]
fn where_there_is_nothing_it_is_said_what_to_do() {
    let (home, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |name| logs(home.path(), path.path(), &[name]);
    fails(&run("github"), 69, "there is no journal (journalctl: ");
    stand_in(path.path(), "exit 0");
    fails(&run("github"), 69, "the journal has nothing of a server");
    fails(&run("github"), 69, "`mcpmux serve`");
    // A name that was misspelt is seen where the configuration can be read.
    let config = "backends: [{ name: github, transport: command, command: [true] }]";
    fs::write(home.path().join("mcpmux.yaml"), config).unwrap();
    fails(&run("gihtub"), 1, "did you mean \"github\"?");
    fails(&run("github"), 69, "the journal has nothing of a server");
}
