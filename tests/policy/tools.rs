//! Which of a backend's tools are offered, and how.

use std::{env, fs, process::Command};

use crate::{
    call,
    support::{Client, Era, Peer, Setup, at, eventually, legacy, member, modern, result, text},
};

const ERAS: [Era; 2] = [Era::Legacy("2025-11-25"), Era::Modern];

#[test]
fn what_is_not_allowed_is_not_there() {
    let tools = ["get_a", "get_b", "get_secret", "set_a", "Get_c"];
    let peer = Peer::new(legacy(&tools));
    let open = Peer::new(modern(&["set_a"]));
    let mux = Setup::default()
        .backend(
            "some",
            &peer,
            "tools: { allow: ['get_?*', set_*], deny: ['*secret*', set_b] }",
        )
        .backend("all", &open, "")
        .serve();
    for era in ERAS {
        let client = Client::new(&mux, era);
        client.await_names(&["some__get_a", "some__get_b", "some__set_a", "all__set_a"]);
        let unknown = call(&client, "some__no_such");
        assert!(unknown.contains("Unknown tool: NAME"), "{unknown}");
        for hidden in ["some__get_secret", "some__Get_c"] {
            assert_eq!(call(&client, hidden), unknown, "{hidden}");
        }
        client.call("some__get_b", None).result();
    }
    let called = peer.messages("tools/call");
    assert!(
        called.iter().all(|call| call.contains("get_b")),
        "{called:?}"
    );
}

#[test]
fn read_only_goes_by_the_annotation_alone() {
    let tool = |name: &str, more: &str| {
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}{more}}}"#)
    };
    let tools = [
        tool("write", r#","annotations":{"readOnlyHint":true}"#),
        tool("read", ""),
        tool(
            "get",
            r#","annotations":{"title":"Get","readOnlyHint":false}"#,
        ),
    ];
    let list = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
    let peer = Peer::new(legacy(&["write", "read", "get"]).on("tools/list", [result(&list)]));
    let mux = Setup::default()
        .backend("b", &peer, "read_only: true")
        .serve();
    for era in ERAS {
        let client = Client::new(&mux, era);
        client.await_names(&["b__write"]);
        assert_eq!(call(&client, "b__read"), call(&client, "b__nothing"));
        assert_eq!(call(&client, "b__get"), call(&client, "b__nothing"));
        client.call("b__write", None).result();
    }
    peer.set(legacy(&[]).on(
        "tools/list",
        [result(&format!(
            r#"{{"tools":[{}]}}"#,
            tool("read", r#","annotations":{"readOnlyHint":true}"#)
        ))],
    ));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    Client::modern(&mux).await_names(&["b__read"]);
}

#[test]
fn a_tool_gets_another_name_and_description_and_nothing_else_of_it_changes() {
    let odd = r#"{ "name":"t\u0065st" ,"title":"A\u0042","description":"Old.","inputSchema":{"type":"object","properties":{"x":{"default":1.0}}}, "x":1e3}"#;
    let list =
        format!(r#"{{"tools":[{odd},{{"name":"plain","inputSchema":{{"type":"object"}}}}]}}"#);
    let peer = Peer::new(legacy(&["test", "plain"]).on("tools/list", [result(&list)]));
    let mux = Setup::default()
        .backend(
            "b",
            &peer,
            "description: Ours.\ntools:\n  rename: { test: probe, plain: b.2 }\n  describe: { test: 'New \"one\"' }",
        )
        .serve();
    for era in ERAS {
        let client = Client::new(&mux, era);
        client.await_names(&["b__probe", "b__b.2"]);
        assert_eq!(
            client.tool("b__probe"),
            odd.replace(r#""t\u0065st""#, r#""b__probe""#)
                .replace(r#""Old.""#, r#""Ours.\n\nNew \"one\"""#)
        );
        let called = peer.messages("tools/call").len();
        client.call("b__probe", Some("{}")).result();
        let sent = peer.message("tools/call", called + 1);
        assert_eq!(text(&at(&sent, &["params", "name"])), "test");
        assert_eq!(call(&client, "b__test"), call(&client, "b__nothing"));
        assert!(member(&client.tool("b__b.2"), "title").is_none());
    }
}

#[test]
fn names_that_collide_or_fit_no_tool_are_warned_of_by_name() {
    let peer = Peer::new(legacy(&["a", "b", "c", "d"]));
    let lines = "tools:
  deny: [d]
  rename: { a: b, c: d, gone: x, d: y }
  describe: { lost: Text }";
    let setup = Setup::default().backend("s", &peer, lines);
    let yaml = setup.yaml();
    let mux = setup.serve();
    Client::modern(&mux).await_names(&["s__a", "s__b", "s__d"]);
    let warnings = [
        r#"tools.rename: "a" keeps its name, another tool is named "b""#,
        r#"tools.rename: no tool "gone" is offered"#,
        r#"tools.rename: no tool "d" is offered"#,
        r#"tools.describe: no tool "lost" is offered"#,
    ];
    for warning in warnings {
        mux.logged(warning);
    }
    let dir = tempfile::tempdir().expect("a directory can be made");
    let config = dir.path().join("mcpmux.yaml");
    fs::write(&config, yaml).expect("it can be stored");
    let output = Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .args(["check", "--connect", "--config"])
        .arg(&config)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .output()
        .expect("mcpmux can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    for warning in warnings {
        assert!(said.contains(&format!("warning: s: {warning}")), "{said}");
    }
    // What comes later fits.
    peer.set(legacy(&["a", "b", "c", "d", "gone", "lost"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let client = Client::legacy(&mux);
    eventually("the new name", || {
        client.names().contains(&"s__x".to_owned()).then_some(())
    });
}
