//! Messages that are malformed, unknown or meaningless.

use super::{BOTH, DONE, JSON, ask, code, house, post};
use crate::support::{Client, Connection, Era, Peer, Setup, at, elements, legacy};

#[test]
fn an_unknown_method_is_not_found() {
    let (_peer, mux) = house();
    for method in ["no/such", "ping", "logging/setLevel", "initialized"] {
        let answer = Client::modern(&mux).request(method, "");
        assert_eq!((answer.status, answer.error().0), (404, -32601), "{method}");
    }
    let answer = Client::legacy(&mux).request("no/such", "");
    assert_eq!((answer.status, answer.error().0), (200, -32601));
}

#[test]
fn an_unknown_tool_is_invalid_params() {
    let (_peer, mux) = house();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        client.tool("b__t");
        for tool in ["b__u", "c__t", "t", "__t", "b__", ""] {
            let (code, message) = client.call(tool, None).error();
            assert_eq!(code, -32602, "{tool:?}: {message}");
            assert!(message.contains(tool), "{message}");
        }
    }
}

#[test]
fn a_call_that_names_no_tool_is_invalid_params() {
    let (_peer, mux) = house();
    let client = Client::legacy(&mux);
    for members in ["", r#""name":7"#, r#""name":null"#, r#""arguments":{}"#] {
        assert_eq!(
            client.request("tools/call", members).error().0,
            -32602,
            "{members}"
        );
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}"#;
    assert_eq!(client.send(body).error().0, -32602);
}

#[test]
fn malformed_messages_are_told_from_malformed_json() {
    let (_peer, mux) = house();
    for (body, expected) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\nb\"}", -32700),
        ("7", -32600),
        ("null", -32600),
        (r#""ping""#, -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        ("[]", -32600),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
            -32600,
        ),
    ] {
        assert_eq!(post(&mux, &[], body), (400, Some(expected)), "{body}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_a_parse_error() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    let body = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}";
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        mux.address(),
        body.len()
    );
    connection
        .send(&[head.as_bytes(), body].concat())
        .expect("mcpmux reads");
    let reply = connection.reply();
    assert_eq!((reply.status, code(&reply.text())), (400, Some(-32700)));
}

#[test]
fn a_ping_is_answered_here() {
    let (peer, mux) = house();
    assert_eq!(Client::legacy(&mux).request("ping", "").result(), "{}");
    assert!(peer.messages("ping").is_empty());
}

#[test]
fn an_unknown_notification_is_accepted_and_kept_here() {
    // The only server there is would get it.
    let peers = [(); 2].map(|()| Peer::new(legacy(&["t"])));
    let mux = Setup::one("b", &peers[0])
        .backend("c", &peers[1], "")
        .serve();
    let client = Client::legacy(&mux);
    for tool in ["b__t", "c__t"] {
        client.tool(tool);
    }
    client.notify(r#"{"jsonrpc":"2.0","method":"notifications/strange","params":{"x":1.0}}"#);
    for tool in ["b__t", "c__t"] {
        client.call(tool, None).result();
    }
    for peer in &peers {
        assert!(peer.messages("notifications/strange").is_empty());
    }
}

#[test]
fn a_response_to_nothing_is_taken_without_harm() {
    let (_peer, mux) = house();
    let client = Client::legacy(&mux);
    let reply = client.start(r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    assert!(matches!(reply.status, 202 | 400), "{}", reply.status);
    assert_eq!(client.call("b__t", None).result(), DONE);
}

#[test]
fn a_batch_is_answered_in_the_one_revision_that_has_it() {
    let (_peer, mux) = house();
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b__t"}},{"jsonrpc":"2.0","method":"notifications/strange"},7,{"jsonrpc":"2.0","id":"2","method":"ping"}]"#;
    let send = |version, batch: &str| {
        let client = Client::new(&mux, Era::Legacy(version));
        client.tool("b__t");
        let session = ("Mcp-Session-Id", client.session());
        ask(&mux, "POST", "/mcp", &[JSON, BOTH, session], batch)
    };
    let (status, body) = send("2025-03-26", batch);
    assert_eq!(status, 200);
    let answers = elements(&body);
    assert_eq!(answers.len(), 3, "{body}");
    assert_eq!(at(&answers[0], &["result"]), DONE);
    assert_eq!(at(&answers[1], &["error", "code"]), "-32600");
    assert_eq!(at(&answers[2], &["id"]), r#""2""#);
    let told = r#"[{"jsonrpc":"2.0","method":"notifications/strange"}]"#;
    assert_eq!(send("2025-03-26", told), (202, String::new()));
    for version in ["2025-06-18", "2025-11-25"] {
        let (status, body) = send(version, batch);
        assert_eq!((status, code(&body)), (400, Some(-32600)), "{version}");
    }
}
