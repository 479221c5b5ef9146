//! Tasks of both kinds: relayed where both sides know them, seen by who began
//! them only, and followed to their end for a client whose era has no form for
//! them.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

use support::{Client, Era, Peer, Script, Setup, Step, at, elements, legacy, modern, result, text};

const ABLE: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;
const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

/// A server of 2025-11-25 whose tool `t` runs as a task, and must.
fn old(id: &str) -> Script {
    let task = format!(
        r#"{{"taskId":"{id}","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000}}"#
    );
    legacy(&["t"])
        .on(
            "initialize",
            [result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"peer","version":"1"}}"#,
            )],
        )
        .on(
            "tools/list",
            [result(
                r#"{"tools":[{"name":"t","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}]}"#,
            )],
        )
        .tool("t", [result(&format!(r#"{{"task":{task}}}"#))])
        .on("tasks/get", [result(&task)])
        .on("tasks/result", [result(DONE)])
        .on("tasks/cancel", [result(&task)])
}

/// A modern server whose tool `t` answers with a task that takes three looks.
fn new() -> Script {
    let task = |kind: &str, status: &str, more: &str| {
        result(&format!(
            r#"{{"resultType":"{kind}","taskId":"m1","status":"{status}","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000,"pollIntervalMs":50{more}}}"#
        ))
    };
    let asks = r#","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}"#;
    let end = format!(r#","result":{{"resultType":"complete",{}"#, &DONE[1..]);
    modern(&["t"])
        .on(
            "server/discover",
            [result(
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"ttlMs":0,"cacheScope":"private"}"#,
            )],
        )
        .tool("t", [task("task", "working", "")])
        .turns(
            "tasks/get",
            [
                vec![task("complete", "working", "")],
                vec![task("complete", "input_required", asks)],
                vec![task("complete", "completed", &end)],
            ],
        )
        .on("tasks/update", [result(r#"{"resultType":"complete"}"#)])
        .on("tasks/cancel", [result(r#"{"resultType":"complete"}"#)])
}

fn id(of: &str) -> String {
    format!(r#""taskId":"{of}""#)
}

#[test]
fn a_legacy_clients_tasks_go_to_who_runs_them_and_are_nobody_elses() {
    let peers = [Peer::new(old("a1")), Peer::http(old("b1"))];
    let mux = Setup::one("a", &peers[0])
        .backend("b", &peers[1], "")
        .serve();
    Client::wait_for(&mux, "a__t");
    Client::wait_for(&mux, "b__t");
    let (mine, other) = (Client::legacy(&mux), Client::legacy(&mux));
    for (name, task) in [("a", "a1"), ("b", "b1")] {
        let begun = mine
            .request(
                "tools/call",
                &format!(r#""name":"{name}__t","task":{{"ttl":5.0}}"#),
            )
            .result();
        assert_eq!(text(&at(&begun, &["task", "taskId"])), task);
        let looked = mine.request("tasks/get", &id(task)).result();
        assert_eq!(text(&at(&looked, &["taskId"])), task);
        assert_eq!(mine.request("tasks/result", &id(task)).result(), DONE);
        let (code, why) = other.request("tasks/get", &id(task)).error();
        assert_eq!(code, -32602, "{why}");
    }
    let sent = peers[0].message("tools/call", 1);
    assert_eq!(at(&sent, &["params", "task"]), r#"{"ttl":5.0}"#);
    let listed = |client: &Client| {
        let list = client.request("tasks/list", "").result();
        let tasks = elements(&at(&list, &["tasks"])).into_iter();
        tasks
            .map(|task| text(&at(&task, &["taskId"])))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&mine), ["a1", "b1"]);
    assert_eq!(listed(&other), [""; 0]);
    mine.request("tasks/cancel", &id("a1")).result();
    assert_eq!(peers[0].messages("tasks/cancel").len(), 1);
    assert_eq!(peers[1].messages("tasks/cancel").len(), 0);
}

#[test]
fn a_modern_client_gets_the_result_of_a_tool_that_only_runs_as_a_task() {
    for peer in [Peer::new(old("a1")), Peer::http(old("a1"))] {
        let mux = Setup::one("a", &peer).serve();
        let called = Client::modern(&mux).call("a__t", None).result();
        let expected = format!(r#"{},"resultType":"complete"}}"#, &DONE[..DONE.len() - 1]);
        assert_eq!(called, expected);
        let sent = peer.message("tools/call", 1);
        assert_eq!(at(&sent, &["params", "task"]), "{}");
        let asked = peer.message("tasks/result", 1);
        assert_eq!(text(&at(&asked, &["params", "taskId"])), "a1");
    }
}

#[test]
fn a_legacy_client_gets_the_result_of_a_modern_servers_task_and_is_asked_for_it() {
    for peer in [Peer::new(new()), Peer::http(new())] {
        let mux = Setup::one("a", &peer).serve();
        let client = Client::able(&mux, Era::Legacy("2025-11-25"), ABLE);
        let message = client.spell("7", "tools/call", None, r#""name":"a__t""#);
        let answer = client.converse(&message, |_| r#"{"action":"accept"}"#.to_owned());
        assert_eq!(answer.before.len(), 1, "{:?}", answer.before);
        assert_eq!(answer.result(), DONE);
        let declared = at(
            &peer.message("tools/call", 1),
            &[
                "params",
                "_meta",
                "io.modelcontextprotocol/clientCapabilities",
            ],
        );
        assert!(
            declared.contains("io.modelcontextprotocol/tasks"),
            "{declared}"
        );
        let updated = at(&peer.message("tasks/update", 1), &["params"]);
        assert_eq!(
            at(&updated, &["inputResponses"]),
            r#"{"k":{"action":"accept"}}"#
        );
        assert_eq!(
            peer.messages("tasks/cancel").len(),
            0,
            "it has ended itself"
        );
    }
}

#[test]
fn a_modern_client_follows_a_modern_servers_task_itself() {
    let (peer, other) = (Peer::http(new()), Peer::new(modern(&["u"])));
    let mux = Setup::one("a", &peer).backend("b", &other, "").serve();
    let client = Client::modern(&mux);
    let begun = client.call("a__t", None).result();
    assert_eq!(text(&at(&begun, &["resultType"])), "task");
    let looked = client.request("tasks/get", &id("m1"));
    assert_eq!(text(&at(&looked.result(), &["status"])), "working");
    let asked = peer.requests();
    let look = asked.iter().find(|r| r.body.contains("tasks/get"));
    assert_eq!(look.and_then(|look| look.header("mcp-name")), Some("m1"));
}

#[test]
fn a_followed_task_whose_client_no_longer_wants_it_is_cancelled() {
    let script = new().on(
        "tasks/get",
        [result(
            r#"{"resultType":"complete","taskId":"m1","status":"working","pollIntervalMs":50}"#,
        )],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("a", &peer).serve();
    let client = Client::legacy(&mux);
    let waiting = client.post(&client.spell("7", "tools/call", None, r#""name":"a__t""#));
    peer.message("tasks/get", 2);
    client
        .notify(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
    let cancelled = peer.message("tasks/cancel", 1);
    assert_eq!(text(&at(&cancelled, &["params", "taskId"])), "m1");
    drop(waiting);
}

#[test]
fn a_task_that_fails_is_an_error_of_its_call() {
    let script = new().on(
        "tasks/get",
        [Step::Send(
            r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","taskId":"m1","status":"failed","error":{"code":-5,"message":"Broke \u0061"}}}"#.to_owned(),
        )],
    );
    let peer = Peer::http(script);
    let mux = Setup::one("a", &peer).serve();
    let (code, why) = Client::legacy(&mux).call("a__t", None).error();
    assert_eq!((code, why.as_str()), (-5, "Broke a"));
}

#[test]
fn a_server_that_runs_a_task_is_not_ended_for_want_of_calls() {
    let peer = Peer::new(old("a1"));
    let mux = Setup::default()
        .backend("a", &peer, "idle_stop: 100ms")
        .serve();
    Client::wait_for(&mux, "a__t");
    let client = Client::legacy(&mux);
    client
        .request("tools/call", r#""name":"a__t","task":{"ttl":60000}"#)
        .result();
    // As many times as it would take to end it.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let before = peer.starts();
    assert_eq!(client.request("tasks/result", &id("a1")).result(), DONE);
    assert_eq!(peer.starts(), before, "the process that runs the task");
}
