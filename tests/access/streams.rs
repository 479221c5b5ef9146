//! Streams end with what let their reader in.

use std::{io, time::Duration};

use serde_json::{Value, json};

use crate::{HEADERS, keys, support::*, tokens};

/// A stream that somebody opened who shows `credential`: a legacy session's, that of
/// `subscriptions/listen`, and that of a call which does not end.
fn streams(mux: &Mux, credential: (&str, &str)) -> [Reply; 3] {
    let session = {
        let mut connection = Connection::open(mux.address());
        let headers = [HEADERS[0], HEADERS[1], credential];
        connection
            .request("POST", "/mcp", &headers, &initialize("2025-11-25"))
            .expect("sent");
        let reply = connection.reply();
        assert_eq!(reply.status, 200);
        reply
            .header("mcp-session-id")
            .expect("a session")
            .to_owned()
    };
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},{meta}}}}}"#
    );
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"b__long","_meta":{{"progressToken":"p",{}}}}}"#,
        &meta["\"_meta\":{".len()..]
    );
    let modern = ("MCP-Protocol-Version", "2026-07-28");
    let opened = [
        (
            "GET",
            vec![HEADERS[1], ("Mcp-Session-Id", session.as_str())],
            String::new(),
        ),
        (
            "POST",
            vec![
                HEADERS[0],
                HEADERS[1],
                modern,
                ("Mcp-Method", "subscriptions/listen"),
            ],
            listen,
        ),
        (
            "POST",
            vec![
                HEADERS[0],
                HEADERS[1],
                modern,
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", "b__long"),
            ],
            call,
        ),
    ];
    opened.map(|(method, mut headers, body)| {
        headers.push(credential);
        let mut connection = Connection::open(mux.address());
        connection
            .request(method, "/mcp", &headers, &body)
            .expect("sent");
        let reply = connection.reply();
        assert_eq!((reply.status, reply.streams()), (200, true));
        reply
    })
}

pub(crate) fn server() -> Script {
    legacy(&["long"]).tool(
        "long",
        [progress(r#""progress":1"#), Step::Await("never".to_owned())],
    )
}

/// Reads all of them to their ends; the call is then one that its client has left.
#[track_caller]
fn end(peer: &Peer, streams: [Reply; 3]) {
    for mut stream in streams {
        while stream.event().is_some() {}
    }
    peer.message("notifications/cancelled", 1);
}

#[test]
fn the_streams_of_a_key_end_when_it_is_revoked() {
    let peer = Peer::new(server());
    let mux = Setup::one("b", &peer).serve();
    let (kept, key) = (
        keys::add(mux.home(), &["kept"]),
        keys::add(mux.home(), &["k"]),
    );
    keys::comes_to(&mux, &key, 200);
    Client::wait_for(&mux, "b__long");
    let mut others = Client::legacy(&mux).listen();
    let mut theirs = streams(&mux, ("X-API-Key", &kept));
    let streams = streams(&mux, ("X-API-Key", &key));
    peer.message("tools/call", 2);
    assert!(keys::keys(mux.home(), &["revoke", "k"]).status.success());
    end(&peer, streams);
    keys::comes_to(&mux, &key, 401);
    // Those of others go on.
    peer.set(legacy(&["long", "more"]));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    for stream in [&mut others, &mut theirs[0]] {
        let told = stream.event().expect("a notification");
        assert!(told.contains("tools/list_changed"), "{told}");
    }
}

#[test]
fn the_streams_of_a_token_end_with_it() {
    let house = tokens::house_of(Peer::new(server()), "");
    let mut claims = house.claims();
    let now = claims["iat"].as_u64().expect("a number");
    let header = json!({ "alg": "ES256", "kid": "k" });
    let bearer = |claims: &Value| format!("Bearer {}", house.signed(&header, claims));
    eventually("the tool", || {
        let listed = tokens::list(&house, &bearer(&claims));
        listed.contains("b__long").then_some(())
    });
    let mut others = streams(&house.mux, ("Authorization", &bearer(&claims)));
    // Clocks may differ by half a minute, which most of is over.
    claims["exp"] = json!(now - 20);
    let streams = streams(&house.mux, ("Authorization", &bearer(&claims)));
    house.peer.message("tools/call", 2);
    end(&house.peer, streams);
    others[0].set_patience(Duration::from_millis(200));
    let silent = others[0].try_event().expect_err("it goes on");
    assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
}
