//! Sessions of legacy clients, and what is said when a client comes.

use std::thread;

use super::{BOTH, DONE, JSON, ask, house, post};
use crate::support::{
    Client, Era, Peer, Setup, Step, at, elements, initialize, legacy, member, result, text,
};

#[test]
fn a_session_is_needed_known_and_ended_by_its_client() {
    let (_peer, mux) = house();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(post(&mux, &[], list).0, 400, "no session");
    assert_eq!(
        post(&mux, &[("Mcp-Session-Id", "unknown")], list).0,
        404,
        "an unknown session"
    );
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let session = ("Mcp-Session-Id", client.session());
    assert!(client.session().len() >= 16 && client.session().bytes().all(|b| b.is_ascii_graphic()));
    assert_eq!(post(&mux, &[session], list).0, 200);
    assert_eq!(
        post(
            &mux,
            &[session, ("MCP-Protocol-Version", "2099-01-01")],
            list
        )
        .0,
        400,
        "an unknown version"
    );
    let unknown = ("Mcp-Session-Id", "unknown");
    assert_eq!(
        ask(
            &mux,
            "GET",
            "/mcp",
            &[("Accept", "text/event-stream"), unknown],
            ""
        )
        .0,
        404
    );
    // Without one they are what no modern client may send either.
    for method in ["GET", "DELETE"] {
        let (status, body) = ask(&mux, method, "/mcp", &[("Accept", "text/event-stream")], "");
        assert_eq!(status, 405, "{method} without a session");
        // A person may have come by.
        assert!(body.contains("an MCP endpoint"), "{method}: {body:?}");
    }
    assert_eq!(ask(&mux, "DELETE", "/mcp", &[unknown], "").0, 404);
    let mut stream = client.listen();
    let (status, _) = ask(&mux, "DELETE", "/mcp", &[session], "");
    assert!(matches!(status, 200 | 204), "{status}");
    assert_eq!(stream.event(), None, "the session's stream ends with it");
    assert_eq!(post(&mux, &[session], list).0, 404, "an ended session");
    assert_eq!(ask(&mux, "DELETE", "/mcp", &[session], "").0, 404);
}

#[test]
fn sessions_differ_and_do_not_see_each_others_calls() {
    let peer = Peer::new(legacy(&["t"]).tool("t", [Step::Await("go".to_owned()), result(DONE)]));
    let mux = Setup::one("b", &peer).serve();
    let (one, two) = (Client::legacy(&mux), Client::legacy(&mux));
    assert_ne!(one.session(), two.session());
    let call = one.spell("5", "tools/call", None, r#""name":"b__t""#);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| one.send(&call));
        peer.message("tools/call", 1);
        // The other session's cancellation of the same id means its own call.
        two.notify(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#,
        );
        two.request("ping", "").result();
        assert!(peer.messages("notifications/cancelled").is_empty());
        peer.open("go");
        assert_eq!(waiting.join().expect("the call ends").result(), DONE);
    });
}

#[test]
fn each_legacy_revision_is_agreed_to_and_an_unknown_one_answered_with_ours() {
    let (_peer, mux) = house();
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = Client::new(&mux, Era::Legacy(version));
        assert_eq!(
            text(&at(client.initialized(), &["protocolVersion"])),
            version
        );
        client.tool("b__t");
        assert_eq!(client.call("b__t", None).result(), DONE);
    }
    let (status, body) = ask(
        &mux,
        "POST",
        "/mcp",
        &[JSON, BOTH],
        &initialize("1999-01-01"),
    );
    assert_eq!(status, 200);
    assert_eq!(at(&body, &["result", "protocolVersion"]), r#""2025-11-25""#);
}

#[test]
fn a_legacy_client_without_a_version_header_is_served() {
    let (_peer, mux) = house();
    let client = Client::legacy(&mux);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(
        post(&mux, &[("Mcp-Session-Id", client.session())], list).0,
        200
    );
}

#[test]
fn discovery_says_who_and_what() {
    let (_peer, mux) = house();
    let client = Client::modern(&mux);
    let answer = client.request("server/discover", "");
    assert_eq!(answer.status, 200);
    let found = answer.result();
    assert_eq!(at(&found, &["resultType"]), r#""complete""#);
    assert!(elements(&at(&found, &["supportedVersions"])).contains(&r#""2026-07-28""#.to_owned()));
    assert_eq!(
        at(&found, &["capabilities", "tools", "listChanged"]),
        "true"
    );
    assert_eq!(
        at(
            &found,
            &["_meta", "io.modelcontextprotocol/serverInfo", "name"]
        ),
        r#""mcpmux""#
    );
    let old = Client::legacy(&mux);
    assert_eq!(
        at(old.initialized(), &["capabilities", "tools", "listChanged"]),
        "true"
    );
    assert_eq!(
        at(old.initialized(), &["serverInfo", "name"]),
        r#""mcpmux""#
    );
    assert_eq!(member(old.initialized(), "resultType"), None);
}
