//! What is recorded of calls: each one once, with who, what and how it went, and
//! never what was said in it.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use serde_json::Value;
use support::{
    Client, Connection, Era, Mux, Peer, Script, Setup, Step, error, eventually, legacy, result,
};

const SECRET: &str = "what-was-said";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A mcpmux that records in a file, and that file.
struct Recorded {
    mux: Mux,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Recorded {
    fn new(peer: &Peer, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("log/audit.jsonl");
        let top = format!("audit:\n  file: {}\n{more}", path.display());
        Self {
            mux: Setup::one("b", peer).top(&top).serve(),
            path,
            _directory: directory,
        }
    }

    /// The first `count` records, once there are so many.
    #[track_caller]
    fn records(&self, count: usize) -> Vec<Value> {
        eventually("records", || {
            let text = fs::read_to_string(&self.path).ok()?;
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let records: Vec<Value> = lines.collect();
            (records.len() >= count).then_some(records)
        })
    }
}

fn server() -> Script {
    legacy(&["good", "bad", "broken", "slow"])
        .on(
            "tools/call good",
            [result(&format!(
                r#"{{"content":[{{"type":"text","text":"{SECRET}"}}]}}"#
            ))],
        )
        .on(
            "tools/call bad",
            [result(r#"{"content":[],"isError":true}"#)],
        )
        .on("tools/call broken", [error(-32055, SECRET)])
        .on("tools/call slow", [Step::Await("never".to_owned())])
}

#[test]
fn each_call_is_recorded_with_its_outcome_and_nothing_that_was_said() {
    for era in [Era::Legacy("2025-11-25"), Era::Modern] {
        let peer = Peer::new(server());
        let recorded = Recorded::new(&peer, "");
        let client = Client::new(&recorded.mux, era);
        client.tool("b__good");
        let arguments = format!(r#"{{"a":"{SECRET}"}}"#);
        client.call("b__good", Some(&arguments)).result();
        client.call("b__bad", Some(&arguments)).result();
        client.call("b__broken", Some(&arguments)).error();
        client.call("b__nothing", Some(&arguments)).error();
        let records = recorded.records(4);
        let of = |key: &str| -> Vec<Value> {
            records.iter().map(|record| record[key].clone()).collect()
        };
        assert_eq!(of("outcome"), ["ok", "tool error", "error", "refused"]);
        assert_eq!(of("name"), ["good", "bad", "broken", "b__nothing"]);
        assert_eq!(records[2]["code"], -32055);
        assert_eq!(records[0]["backend"], "b");
        assert_eq!(records[3].get("backend"), None);
        for record in &records {
            assert_eq!(record["method"], "tools/call");
            assert_eq!(record["role"], "default");
            assert!(record["caller"].is_string(), "{record}");
            assert!(record["milliseconds"].is_u64(), "{record}");
            let received = usize::try_from(record["received"].as_u64().unwrap()).unwrap();
            assert!(received > arguments.len(), "{record}");
            assert!(record["sent"].as_u64().unwrap() > 20, "{record}");
            let time = record["time"].as_str().unwrap();
            assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
        }
        assert_eq!(records.len(), 4, "handshakes and lists are no calls");
        let text = fs::read_to_string(&recorded.path).unwrap();
        assert!(!text.contains(SECRET), "{text}");
        let mode = fs::metadata(&recorded.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_caller_that_goes_away_and_one_that_is_refused_are_recorded() {
    let peer = Peer::new(server());
    let recorded = Recorded::new(&peer, "");
    let client = Client::modern(&recorded.mux);
    client.tool("b__slow");
    let waiting =
        client.post(&client.spell(&client.id(), "tools/call", None, r#""name":"b__slow""#));
    peer.message("tools/call", 1);
    drop(waiting);
    let gone = &recorded.records(1)[0];
    assert_eq!(
        (&gone["outcome"], &gone["name"]),
        (&"gone".into(), &"slow".into())
    );

    let mut connection = Connection::open(recorded.mux.address());
    let headers = [("Host", "evil.example")];
    connection.request("POST", "/mcp", &headers, "{}").unwrap();
    let reply = connection.reply();
    assert_eq!(reply.status, 403);
    let refused = &recorded.records(2)[1];
    assert_eq!(refused["outcome"], "refused");
    assert!(refused["why"].as_str().unwrap().contains("evil.example"));

    let mut connection = Connection::open(recorded.mux.address());
    let headers = [("X-API-Key", "mcpmux_wrong")];
    connection.request("POST", "/mcp", &headers, "{}").unwrap();
    assert_eq!(connection.reply().status, 401);
    let text = recorded.records(3)[2].to_string();
    assert!(text.contains("its credential is wrong"), "{text}");
    assert!(!text.contains("mcpmux_wrong"), "{text}");
}

#[test]
fn arguments_are_recorded_of_the_tools_that_are_named() {
    let peer = Peer::new(server());
    let recorded = Recorded::new(&peer, "  arguments: [\"b/go*\"]");
    let client = Client::legacy(&recorded.mux);
    client.tool("b__good");
    let members = |tool: &str| {
        format!(r#""name":"{tool}","arguments":{{"a":1.0}},"_meta":{{"traceparent":"{PARENT}"}}"#)
    };
    for tool in ["b__good", "b__bad"] {
        client.request("tools/call", &members(tool)).result();
    }
    // Whoever reads line by line must not take what a client wrote for a record.
    let forged = "\"name\":\"b__good\",\"arguments\":{\"a\":\r\n{\"caller\":\"root\"}\n}";
    client.request("tools/call", forged).result();
    let third = &recorded.records(3)[2];
    assert_eq!(third["arguments"]["a"]["caller"], "root", "{third}");
    assert_ne!(third["caller"], "root");
    let text = fs::read_to_string(&recorded.path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains(r#""arguments":{"a":1.0}"#), "{text}");
    assert!(!lines[1].contains("arguments"), "{text}");
    let trace = r#""trace":"0af7651916cd43dd8448eb211c80319c""#;
    assert_eq!(lines.len(), 3, "{text}");
    let traced = |line: &&str| line.contains(trace);
    assert!(lines[..2].iter().all(traced), "{text}");
}

#[test]
fn a_file_that_is_moved_is_begun_anew_and_one_that_cannot_be_written_stops_no_call() {
    let peer = Peer::new(server());
    let recorded = Recorded::new(&peer, "");
    let client = Client::legacy(&recorded.mux);
    client.tool("b__good");
    client.call("b__good", None).result();
    recorded.records(1);
    fs::rename(&recorded.path, recorded.path.with_extension("1")).unwrap();
    client.call("b__bad", None).result();
    assert_eq!(recorded.records(1)[0]["name"], "bad");

    fs::remove_file(&recorded.path).unwrap();
    fs::create_dir(&recorded.path).unwrap();
    client.call("b__good", None).result();
    recorded.mux.logged("calls are not recorded");
    fs::remove_dir(&recorded.path).unwrap();
    client.call("b__good", None).result();
    let records = recorded.records(2);
    assert_eq!(
        (&records[0]["lost"], &records[1]["name"]),
        (&1.into(), &"good".into())
    );
    recorded.mux.logged("calls are recorded again");
    // Whoever may read the directory may not read the file.
    fs::set_permissions(
        recorded.path.parent().unwrap(),
        Permissions::from_mode(0o755),
    )
    .unwrap();
    let mode = fs::metadata(&recorded.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_was_recorded_is_in_the_file_when_mcpmux_has_ended() {
    let peer = Peer::new(server());
    let recorded = Recorded::new(&peer, "");
    let client = Client::legacy(&recorded.mux);
    client.tool("b__good");
    for _ in 0..200 {
        client.call("b__good", None).result();
    }
    recorded.mux.stop();
    let text = fs::read_to_string(&recorded.path).unwrap();
    assert_eq!(text.lines().count(), 200);
}
