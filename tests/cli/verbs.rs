//! The verbs themselves: version, help, completions, wrong usage.

use std::{
    env,
    fs::{self, File},
};

use super::{Desk, err, exits, out};

#[test]
fn the_version_names_the_commit() {
    let output = Desk::new("").run(&["--version"]);
    exits(&output, 0);
    let version = out(&output);
    assert!(
        version.starts_with(concat!("mcpmux ", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );
    let hex = |word: &str| word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(
        version.split(|c: char| !c.is_ascii_alphanumeric()).any(hex),
        "no commit in {version}"
    );
}

#[test]
fn help_shows_examples_for_every_verb() {
    let desk = Desk::new("");
    let output = desk.run(&["--help"]);
    exits(&output, 0);
    for verb in [
        "serve",
        "list",
        "auth",
        "check",
        "demo-server",
        "completions",
    ] {
        assert!(out(&output).contains(verb), "{verb} is missing");
        let help = desk.run(&[verb, "--help"]);
        exits(&help, 0);
        assert!(
            out(&help).contains(&format!("mcpmux {verb}")),
            "{verb} has no example"
        );
        assert!(out(&help).contains("Example"), "{verb} has no example");
    }
    for verb in ["status", "login", "logout"] {
        let help = desk.run(&["auth", verb, "--help"]);
        exits(&help, 0);
        let example = format!("Examples:\n  mcpmux auth {verb}");
        assert!(out(&help).contains(&example), "auth {verb} has no example");
        assert!(out(&help).contains("Exit status:"), "auth {verb}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let desk = Desk::new("");
    for arguments in [
        &["fly"][..],
        &["serve", "--wings"],
        &["completions", "tcsh-like"],
        &["list", "--endpoint"],
        &["list", "--endpoint", "localhost:8080/mcp"],
    ] {
        let output = desk.run(arguments);
        exits(&output, 64);
        assert!(out(&output).is_empty());
    }
    assert!(
        err(&desk.run(&["chekc"])).contains("check"),
        "the nearest verb is named"
    );
}

#[test]
fn the_options_of_every_verb_stand_apart_from_its_own() {
    let help = out(&Desk::new("").run(&["logs", "--help"]));
    let (own, common) = help
        .split_once("Options of every command:")
        .expect("two headings");
    for (option, all) in [
        ("--follow", own),
        ("--lines", own),
        ("--config", common),
        ("--log-level", common),
        ("--log-format", common),
    ] {
        assert!(
            all.contains(&format!("{option} ")) || all.contains(&format!("{option}\n")),
            "{option}: {help}"
        );
    }
}

#[test]
fn what_cannot_be_printed_is_no_success() {
    let desk = Desk::new("backends: []");
    for arguments in [
        &["check"][..],
        &["check", "--schema"],
        &["list", "--json"],
        &["completions", "bash"],
    ] {
        let full = File::options().write(true).open("/dev/full");
        let mut command = desk.command(arguments);
        command.stdout(full.expect("a device that is full"));
        let output = command.output().expect("mcpmux can be run");
        exits(&output, 1);
        assert!(err(&output).contains("cannot print"), "{}", err(&output));
    }
}

#[test]
fn completions_are_printed_for_the_shells() {
    let desk = Desk::new("");
    for shell in ["bash", "zsh", "fish"] {
        let output = desk.run(&["completions", shell]);
        exits(&output, 0);
        assert!(out(&output).contains("demo-server"), "{shell}");
    }
}

#[test]
fn every_verb_has_a_manual_page_with_its_examples() {
    let desk = Desk::new("");
    exits(&desk.run(&["man", "share/man1"]), 0);
    let page = |name: &str| {
        let path = desk.path().join("share/man1").join(name);
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (name, parts) in [
        (
            "mcpmux.1",
            &["FILES", "ENVIRONMENT", "mcpmux\\-serve(1)"][..],
        ),
        ("mcpmux-serve.1", &["SIGNALS", "SIGHUP", "EXAMPLES"]),
        (
            "mcpmux-list.1",
            &["EXIT STATUS", "EXAMPLES", "OPTIONS OF EVERY COMMAND"],
        ),
        ("mcpmux-auth-login.1", &["NOTES", "EXIT STATUS"]),
        ("mcpmux-completions.1", &["EXAMPLE"]),
    ] {
        for part in parts {
            assert!(page(name).contains(part), "{name}: {part}: {}", page(name));
        }
    }
    assert!(!desk.path().join("share/man1/mcpmux-guard.1").exists());
}
