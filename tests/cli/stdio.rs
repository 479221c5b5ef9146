//! Servers on stdin and stdout: mcpmux itself and its demo server.

use std::{env, process::Command};

use super::{DONE, Desk, err, exits, line::Line, out};
use crate::support::{
    Client, Peer, Setup, Step, at, elements, initialize, legacy, member, processes_naming,
    refusing, text,
};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[test]
fn served_on_stdio_a_legacy_client_calls_tools() {
    let peer = Peer::new(legacy(&["t", "u"]).tool(
        "u",
        [
            crate::support::progress(r#""progress":1.0"#),
            crate::support::result(DONE),
        ],
    ));
    let desk = Desk::new(&Setup::one("b", &peer).yaml());
    let mut line = Line::open(desk.command(&["serve", "--stdio"]));
    line.initialize();
    let call = |id: u32, tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b__{tool}","_meta":{{"progressToken":"p"}}}}}}"#
        )
    };
    assert_eq!(at(&line.ask(&call(1, "t")), &["result"]), DONE);
    let progress = line.ask(&call(2, "u"));
    assert_eq!(
        at(&progress, &["params"]),
        r#"{"progressToken":"p","progress":1.0}"#
    );
    let answer = line.read();
    assert_eq!(
        (at(&answer, &["id"]), at(&answer, &["result"])),
        ("2".to_owned(), DONE.to_owned())
    );
    let list = line.ask(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#);
    assert_eq!(elements(&at(&list, &["result", "tools"])).len(), 2);
    // A change comes by itself.
    peer.set(legacy(&["t"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    assert_eq!(
        at(&line.read(), &["method"]),
        r#""notifications/tools/list_changed""#
    );
    assert_eq!(line.end(), Some(0));
    assert!(
        processes_naming(peer.dir()).is_empty(),
        "a backend outlives the client"
    );
}

#[test]
fn served_on_stdio_a_modern_client_discovers_calls_and_cancels() {
    let peer = Peer::new(legacy(&["t", "waits"]).tool("waits", [Step::Await("never".to_owned())]));
    let desk = Desk::new(&Setup::one("b", &peer).yaml());
    let mut line = Line::open(desk.command(&["serve", "--stdio"]));
    let found = line.ask(&format!(
        r#"{{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{{{META}}}}}"#
    ));
    assert!(at(&found, &["result", "supportedVersions"]).contains("2026-07-28"));
    let call = |id: u32, tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b__{tool}",{META}}}}}"#
        )
    };
    assert_eq!(
        at(&line.ask(&call(1, "t")), &["result", "resultType"]),
        r#""complete""#
    );
    line.write(&call(2, "waits"));
    peer.message("tools/call", 2);
    line.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#);
    peer.message("notifications/cancelled", 1);
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":9,"method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},{META}}}}}"#
    );
    let acknowledged = line.ask(&listen);
    assert_eq!(
        at(
            &acknowledged,
            &["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
        ),
        "9"
    );
    peer.set(legacy(&["t"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let told = line.read();
    assert_eq!(
        at(
            &told,
            &["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
        ),
        "9"
    );
    assert_eq!(line.end(), Some(0));
}

#[test]
fn served_on_stdio_a_client_that_writes_nonsense_is_told() {
    let peer = Peer::new(legacy(&["t"]));
    let desk = Desk::new(&Setup::one("b", &peer).yaml());
    let mut line = Line::open(desk.command(&["serve", "--stdio"]));
    for (message, code) in [("nonsense", "-32700"), ("7", "-32600"), ("[]", "-32600")] {
        assert_eq!(
            at(&line.ask(message), &["error", "code"]),
            code,
            "{message}"
        );
    }
    let none = r#"{"jsonrpc":"2.0","id":1,"method":"no/such","params":{}}"#;
    line.initialize();
    assert_eq!(at(&line.ask(none), &["error", "code"]), "-32601");
}

#[test]
fn a_transport_of_stdio_in_the_document_needs_no_flag() {
    let peer = Peer::new(legacy(&["t"]));
    let yaml = Setup::one("b", &peer)
        .yaml()
        .replace("  address: 127.0.0.1:0\n", "  transport: stdio\n");
    let desk = Desk::new(&yaml);
    let mut line = Line::open(desk.command(&["serve"]));
    assert_eq!(
        text(&at(&line.initialize(), &["serverInfo", "name"])),
        "mcpmux"
    );
}

#[test]
fn the_demo_server_echoes_adds_tells_the_time_and_takes_its_time() {
    let mut line = Line::open(Desk::new("").command(&["demo-server"]));
    line.initialize();
    let list = line.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let tools = elements(&at(&list, &["result", "tools"]));
    let names: Vec<String> = tools
        .iter()
        .map(|tool| text(&at(tool, &["name"])))
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    assert!(
        tools
            .iter()
            .all(|tool| member(tool, "description").is_some())
    );
    for name in ["echo", "add"] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} is not in {names:?}"
        );
    }
    let slow = names
        .iter()
        .find(|name| name.contains("slow"))
        .expect("a slow tool");
    line.write(&format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"{slow}","arguments":{{}},"_meta":{{"progressToken":"p"}}}}}}"#
    ));
    let first = line.read();
    assert_eq!(
        at(&first, &["method"]),
        r#""notifications/progress""#,
        "{first}"
    );
}

#[test]
fn the_demo_server_works_behind_mcpmux() {
    let binary = env!("CARGO_BIN_EXE_mcpmux");
    let mux = Setup::default()
        .raw_backend(&format!(
            "name: demo\ntransport: command\ncommand: [{binary:?}, demo-server]"
        ))
        .serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        client.tool("demo__echo");
        let answer = client.call("demo__add", Some(r#"{"a":2,"b":40}"#)).result();
        assert!(answer.contains("42"), "{answer}");
    }
}

#[test]
fn a_client_on_stdio_is_one_of_the_mcpmux_that_runs() {
    let ask = r#"{"jsonrpc":"2.0","id":"e1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}"#;
    let script = legacy(&["ask"]).tool(
        "ask",
        [
            Step::Send(ask.to_owned()),
            Step::Await(r#"response "e1""#.to_owned()),
            crate::support::result(DONE),
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__ask");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
    let endpoint = format!("http://{}/mcp", mux.address());
    command.args(["stdio", "--endpoint", &endpoint]);
    let mut line = Line::open(command);
    let able = initialize("2025-11-25").replacen(
        r#""capabilities":{}"#,
        r#""capabilities":{"elicitation":{}}"#,
        1,
    );
    at(&line.ask(&able), &["result", "capabilities", "tools"]);
    line.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let listed = line.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    let tools = elements(&at(&listed, &["result", "tools"]));
    assert_eq!(text(&at(&tools[0], &["name"])), "b__ask");
    let asked =
        line.ask(r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"b__ask"}}"#);
    assert_eq!(text(&at(&asked, &["method"])), "elicitation/create");
    let id = at(&asked, &["id"]);
    let answer = line.ask(&format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"decline"}}}}"#
    ));
    assert_eq!(at(&answer, &["id"]), "3");
    at(&answer, &["result"]);
    assert_eq!(line.end(), Some(0));
    assert_eq!(peer.starts(), 1, "no server of its own");
}

#[test]
fn a_client_on_stdio_comes_in_by_the_unix_socket_before_tcp() {
    let peer = Peer::new(legacy(&["t"]));
    let dir = tempfile::tempdir().expect("a directory");
    let shipped = dir.path().join("mcpmux/mcpmux.sock");
    std::fs::create_dir(dir.path().join("mcpmux")).expect("a directory");
    let socket = shipped.to_str().expect("text");
    let mux = Setup::one("b", &peer)
        .listen(&format!("socket: {socket}"))
        .serve();
    Client::wait_for(&mux, "b__t");
    // Nobody is at its address: only the socket leads there.
    let (_held, address) = refusing();
    let listen = format!("listen:\n  address: {address}\n");
    let unnamed = Desk::new(&format!("{listen}backends: []"));
    let mut by_unit = unnamed.command(&["stdio"]);
    by_unit.env("XDG_RUNTIME_DIR", dir.path());
    let configured = Desk::new(&format!("{listen}  socket: {socket}\nbackends: []"));
    let at_path = format!("unix:{socket}");
    for command in [
        by_unit,
        configured.command(&["stdio"]),
        configured.command(&["stdio", "--config", "mcpmux.yaml"]),
        Desk::new("").command(&["stdio", "--endpoint", &at_path]),
    ] {
        let mut line = Line::open(command);
        line.initialize();
        let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"b__t"}}"#;
        assert_eq!(at(&line.ask(call), &["result"]), DONE);
        assert_eq!(line.end(), Some(0));
    }
    let list = Desk::new("").run(&["list", "--endpoint", &at_path]);
    exits(&list, 0);
    assert!(out(&list).contains("b__t"), "{}", out(&list));
    assert_eq!(peer.starts(), 1, "no server of its own");

    // Another configuration may be another mcpmux's than the unit's.
    let mut other = unnamed.command(&["stdio", "--config", "mcpmux.yaml"]);
    other.env("XDG_RUNTIME_DIR", dir.path());
    let output = other.output().expect("it ends");
    exits(&output, 69);
    let said = err(&output);
    assert!(
        said.contains(&address.to_string()) && said.contains("mcpmux.socket"),
        "{said}"
    );
    assert!(!said.contains(socket), "{said}");
}

#[test]
fn a_client_on_stdio_takes_tcp_where_there_is_no_socket() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let desk = Desk::new(&format!(
        "listen:\n  address: {}\n  socket: /nowhere/m.sock\nbackends: []",
        mux.address()
    ));
    let mut line = Line::open(desk.command(&["stdio"]));
    line.initialize();
    let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"b__t"}}"#;
    assert_eq!(at(&line.ask(call), &["result"]), DONE);
    assert_eq!(line.end(), Some(0));
}

#[test]
fn a_client_that_launches_mcpmux_in_vain_is_told_why_in_answer() {
    let (_held, address) = refusing();
    let listen = format!("listen: {{ address: '{address}' }}\n");
    let nobody = Desk::new(&format!("{listen}backends: []"));
    let wrong = Desk::new("backnds: []");
    for (desk, arguments, code, why) in [
        (&nobody, &["stdio"][..], 69, "mcpmux serve starts one"),
        (&wrong, &["stdio"], 78, "backnds: is not a known key"),
        (
            &wrong,
            &["serve", "--stdio"],
            78,
            "backnds: is not a known key",
        ),
    ] {
        let mut line = Line::open(desk.command(arguments));
        // As Claude Code begins: in either era.
        for (id, method) in [("7", "server/discover"), ("8", "initialize")] {
            let request =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
            let answer = line.ask(&request);
            assert_eq!(at(&answer, &["id"]), id);
            assert_eq!(at(&answer, &["error", "code"]), "-32000");
            let message = text(&at(&answer, &["error", "message"]));
            assert!(message.contains(why), "{message}");
        }
        assert_eq!(line.end(), Some(code));
    }
}

#[test]
fn a_client_on_stdio_needs_no_configuration_to_find_the_unit() {
    let peer = Peer::new(legacy(&["t"]));
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("mcpmux/mcpmux.sock");
    std::fs::create_dir(dir.path().join("mcpmux")).expect("a directory");
    let listen = format!("socket: {}", socket.display());
    let mux = Setup::one("b", &peer).listen(&listen).serve();
    Client::wait_for(&mux, "b__t");
    let desk = Desk::new("");
    std::fs::remove_file(desk.path().join("mcpmux.yaml")).expect("it was there");
    let mut command = desk.command(&["stdio"]);
    command.env("XDG_RUNTIME_DIR", dir.path());
    let mut line = Line::open(command);
    line.initialize();
    assert_eq!(line.end(), Some(0));
}
