//! `mcpmux list`.

use std::{env, fs, path::Path};

use super::{Desk, err, exits, out};
use crate::support::{
    Client, Peer, Script, Setup, Step, legacy, modern, processes_naming, refusing,
};

#[test]
fn a_list_is_one_tool_a_line_by_backend() {
    let (one, two) = (Peer::new(legacy(&["b", "a"])), Peer::http(modern(&["t"])));
    let desk = Desk::new(&Setup::one("one", &one).backend("two", &two, "").yaml());
    let output = desk.run(&["list"]);
    exits(&output, 0);
    let printed = out(&output);
    let lines: Vec<&str> = printed
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("__"))
        .collect();
    assert_eq!(lines, ["one__b", "one__a", "two__t"]);
    assert!(
        processes_naming(one.dir()).is_empty(),
        "a backend outlives the list"
    );
    let described = desk.run(&["list", "-d"]);
    exits(&described, 0);
    for part in ["one__b", "About b.", "About t."] {
        assert!(out(&described).contains(part), "{}", out(&described));
    }
    let json = desk.run(&["list", "--json"]);
    exits(&json, 0);
    serde_json::from_str::<serde_json::Value>(&out(&json)).expect("it is JSON");
    for part in ["one__b", "one__a", "two__t"] {
        assert!(out(&json).contains(part));
    }
}

#[test]
fn a_backend_that_fails_is_told_on_stderr_and_the_rest_is_listed() {
    let (works, fails) = (
        Peer::new(legacy(&["t"])),
        Peer::new(Script::default().start([Step::Exit(3)])),
    );
    let desk = Desk::new(
        &Setup::one("fails", &fails)
            .backend("works", &works, "")
            .yaml(),
    );
    let output = desk.run(&["list"]);
    exits(&output, 0);
    assert!(out(&output).contains("works__t"));
    assert!(err(&output).contains("fails"), "{}", err(&output));
    assert!(!out(&output).contains("fails"), "{}", out(&output));
}

#[test]
fn a_list_of_nothing_but_failures_fails() {
    let fails = Peer::new(Script::default().start([Step::Exit(3)]));
    let desk = Desk::new(&Setup::one("fails", &fails).yaml());
    let output = desk.run(&["list"]);
    exits(&output, 1);
    assert!(err(&output).contains("fails"));
}

#[test]
fn a_list_of_an_endpoint_asks_the_one_that_runs() {
    let peer = Peer::new(legacy(&["t", "u"]));
    let mux = Setup::one("b", &peer).serve();
    Client::legacy(&mux).tool("b__t");
    let desk = Desk::new("");
    let output = desk.run(&[
        "list",
        "--endpoint",
        &format!("http://{}/mcp", mux.address()),
    ]);
    exits(&output, 0);
    assert!(
        out(&output).contains("b__t") && out(&output).contains("b__u"),
        "{}",
        out(&output)
    );
    assert_eq!(peer.starts(), 1, "it starts nothing of its own");
}

#[test]
fn a_list_of_an_endpoint_where_nobody_listens_is_unavailable() {
    let (_held, address) = refusing();
    let output = Desk::new("").run(&["list", "--endpoint", &format!("http://{address}/mcp")]);
    exits(&output, 69);
    assert!(
        err(&output).contains(&address.to_string()),
        "{}",
        err(&output)
    );
}

#[test]
fn the_example_works_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcpmux.example.yaml");
    let example = fs::read_to_string(path).expect("the example is there");
    let desk = Desk::new(&example);
    exits(&desk.run(&["check"]), 0);
    // Its command finds mcpmux on the PATH, as after an installation.
    let bin = Path::new(env!("CARGO_BIN_EXE_mcpmux"))
        .parent()
        .expect("a directory");
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    let output = desk
        .command(&["list"])
        .env("PATH", path)
        .output()
        .expect("mcpmux can be run");
    exits(&output, 0);
    assert!(out(&output).contains("__echo"), "{}", out(&output));
}
