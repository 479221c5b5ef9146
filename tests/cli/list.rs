//! `mcpmux list`.

use std::{env, fs, path::Path, process::Output};

use super::{Desk, err, exits, out};
use crate::support::{
    Client, Peer, Script, Setup, Step, legacy, legacy_with, modern, modern_with, processes_naming,
    refusing,
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
    assert!(
        out(&output).contains("fails  unavailable\n"),
        "{}",
        out(&output)
    );
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
fn an_endpoint_that_is_elsewhere_or_speaks_no_tls_is_said_to() {
    let (peer, elsewhere) = (Peer::new(legacy(&["t"])), Peer::http(legacy(&["t"])));
    let plain = Setup::one("b", &peer).serve();
    let redirect = Step::Respond {
        status: 307,
        headers: vec![(
            "Location".to_owned(),
            format!("{}?token=hush", elsewhere.url()),
        )],
        body: String::new(),
    };
    let moved = Peer::http(Script::default().on("server/discover", [redirect]));
    let yaml = format!(
        "backends:\n  - {{ name: plain, transport: http, endpoint: 'https://{}/' }}\n  - {{ name: moved, transport: http, endpoint: '{}' }}\n",
        plain.address(),
        moved.url()
    );
    let output = Desk::new(&yaml).run(&["list"]);
    exits(&output, 1);
    let said = err(&output);
    assert!(
        said.contains("plain: cannot connect: it does not speak TLS"),
        "{said}"
    );
    let origin = elsewhere.url().replace("/mcp", "");
    assert!(
        said.contains(&format!("another origin ({origin})")),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn a_list_without_backends_says_that_there_are_none() {
    let output = Desk::new("backends: []").run(&["list"]);
    exits(&output, 0);
    assert!(err(&output).contains("mcpmux.yaml has no backend"));
}

#[test]
fn what_a_process_said_before_it_failed_is_shown() {
    let desk = Desk::new(
        "connect_retry: { attempt_timeout: 2s }
backends:
  - { name: works, transport: command, command: [sh, -c, 'echo no word of this >&2; exec mcpmux demo-server'] }
  - { name: dies, transport: command, command: [sh, -c, 'echo no such key: K >&2; exit 3'] }
  - { name: chats, transport: command, command: [sh, -c, 'echo Welcome!; sleep 60'] }
",
    );
    for verb in [&["list"][..], &["check", "--connect"]] {
        let said = err(&demo(&desk, verb));
        assert!(!said.contains("no word of this"), "{said}");
        assert!(
            said.contains("exit status: 3)\n    no such key: K\n"),
            "{said}"
        );
        // What a log in the way of messages looks like.
        let chats = said.split_once("mcpmux: chats: ").expect("it fails").1;
        assert!(
            chats.contains("\n    (no MCP message, on its stdout) Welcome!\n"),
            "{said}"
        );
    }
    // The reasons stand above it, once.
    let checked = demo(&desk, &["check", "--connect"]);
    exits(&checked, 1);
    assert!(
        out(&checked).ends_with("\n1/3 backends up, 4 tools\n"),
        "{}",
        out(&checked)
    );
}

const ALL: &str = r#"{"tools":{},"prompts":{},"resources":{}}"#;

/// A server that has something of everything.
fn everything(script: Script) -> Script {
    script
        .list("tools", r#"{"name":"t","inputSchema":{"type":"object"}}"#)
        .list("prompts", r#"{"name":"p","description":"Prompts for\nit"}"#)
        .list(
            "resources",
            r#"{"uri":"doc:1","name":"one","title":"The first","mimeType":"text/plain"}"#,
        )
        .list(
            "resourceTemplates",
            r#"{"uriTemplate":"doc:{n}","name":"nth"}"#,
        )
}

#[test]
fn everything_is_listed_by_backend_and_kind() {
    let old = Peer::new(everything(legacy_with(ALL)));
    let new = Peer::http(everything(modern_with(ALL)));
    let desk = Desk::new(&Setup::one("old", &old).backend("new", &new, "").yaml());
    let output = desk.run(&["list"]);
    exits(&output, 0);
    assert_eq!(
        out(&output),
        "\
old  legacy 2025-11-25, peer 1
  tools
    old__t
  resources
    doc:1  The first
  resource templates
    doc:{n}  nth
  prompts
    old__p

new  modern 2026-07-28
  tools
    new__t
  resources
    new+doc:1  The first
  resource templates
    new+doc:{n}  nth
  prompts
    new__p
"
    );
    let output = desk.run(&["list", "-d", "--prompts"]);
    exits(&output, 0);
    assert!(out(&output).contains("    old__p  Prompts for it\n"));
    for other in ["old__t", "doc:"] {
        assert!(!out(&output).contains(other), "{}", out(&output));
    }
    let output = desk.run(&["list", "--tools", "--resources"]);
    for (part, listed) in [("old__t", true), ("doc:{n}", true), ("old__p", false)] {
        assert_eq!(out(&output).contains(part), listed, "{}", out(&output));
    }
}

fn json(output: &std::process::Output) -> Vec<serde_json::Value> {
    let document: serde_json::Value = serde_json::from_str(&out(output)).expect("it is JSON");
    document["backends"].as_array().expect("backends").clone()
}

#[test]
fn the_document_says_everything_that_is_known() {
    let (one, two) = (
        Peer::new(everything(legacy_with(ALL))),
        Peer::new(everything(legacy_with(ALL))),
    );
    let desk = Desk::new(&Setup::one("one", &one).backend("two", &two, "").yaml());
    let output = desk.run(&["list", "--json"]);
    exits(&output, 0);
    let two = &json(&output)[1];
    for (key, value) in [
        ("state", "up"),
        ("era", "legacy"),
        ("revision", "2025-11-25"),
        ("server", "peer 1"),
    ] {
        assert_eq!(two[key], value);
    }
    assert_eq!(two["lastKnown"], false);
    assert_eq!(
        two["resources"],
        serde_json::json!([{
            "uri": "two+doc:1", "resource": "doc:1", "name": "one", "title": "The first",
            "mimeType": "text/plain",
        }])
    );
    assert_eq!(two["resourceTemplates"][0]["template"], "doc:{n}");
    assert_eq!(two["prompts"][0]["prompt"], "p");
    assert_eq!(two["tools"][0]["name"], "two__t");
    let output = desk.run(&["list", "--json", "--prompts"]);
    assert!(json(&output)[0].get("tools").is_none());
}

#[test]
fn what_a_backend_offered_before_it_went_away_is_marked() {
    // It ends as soon as it is up; the other one takes longer than that.
    let script = everything(modern_with(
        r#"{"tools":{"listChanged":true},"resources":{}}"#,
    ));
    let dies = Peer::new(script.on("subscriptions/listen", [Step::Exit(3)]));
    let slow = Peer::new(
        legacy(&["t"]).on(
            "tools/list",
            [
                vec![Step::Wait(1500)],
                legacy(&["t"]).on["tools/list"][0].clone(),
            ]
            .concat(),
        ),
    );
    let desk = Desk::new(&Setup::one("dies", &dies).backend("slow", &slow, "").yaml());
    let output = desk.run(&["list"]);
    exits(&output, 0);
    for part in [
        "dies  unavailable, as last known\n",
        "dies__t",
        "doc:1",
        "slow__t",
    ] {
        assert!(out(&output).contains(part), "{}", out(&output));
    }
    assert!(err(&output).contains("dies"), "{}", err(&output));
    let dies = &json(&desk.run(&["list", "--json"]))[0];
    assert_eq!(dies["state"], "unavailable");
    assert_eq!(dies["lastKnown"], true);
    assert!(
        dies["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains('3'))
    );
    assert_eq!(dies["tools"][0]["name"], "dies__t");
}

#[test]
fn a_list_of_an_endpoint_asks_the_one_that_runs() {
    let peer = Peer::new(everything(legacy_with(ALL)));
    let mux = Setup::one("b", &peer).serve();
    Client::legacy(&mux).tool("b__t");
    let desk = Desk::new("");
    let output = desk.run(&[
        "list",
        "--endpoint",
        &format!("http://{}/mcp", mux.address()),
    ]);
    exits(&output, 0);
    for part in [
        "b__t",
        "b__p",
        "doc:1",
        "doc:{n}",
        "modern 2026-07-28, mcpmux",
    ] {
        assert!(out(&output).contains(part), "{}", out(&output));
    }
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
    let output = demo(&desk, &["list"]);
    exits(&output, 0);
    assert!(out(&output).contains("__echo"), "{}", out(&output));
}

/// Runs mcpmux where backends find it on the PATH, as after an installation.
fn demo(desk: &Desk, arguments: &[&str]) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_mcpmux"))
        .parent()
        .expect("a directory");
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap_or_default());
    let mut command = desk.command(arguments);
    command
        .env("PATH", path)
        .output()
        .expect("mcpmux can be run")
}
