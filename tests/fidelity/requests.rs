//! What a client asks reaches the backend as it was spelled.

use super::{House, same};
use crate::support::{Client, Connection, Mux, Peer, Setup, Step, at, member, modern, result};

#[test]
fn arguments_and_unknown_members_reach_the_backend_as_they_were_spelled() {
    let house = House::build(&["t"], |script, _| script);
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    let arguments = format!(
        r#"{{ "a":1.0,"b" : 0.1,"c":1e400,"d":9223372036854775808,"s":"\ud800\/é","name":"t","x":1,"x":2,"deep":{deep},"text":"{}" }}"#,
        "y".repeat(3 << 20)
    );
    house.each_cell(|client, client_modern, backend, cell| {
        let before = backend.peer.messages("tools/call").len();
        let members = format!(
            r#""zeta":[1.50],"name":"{}__t","arguments":{arguments},"alpha":null"#,
            backend.name
        );
        client.request("tools/call", &members).result();
        let call = backend.peer.message("tools/call", before + 1);
        let params = at(&call, &["params"]);
        same(&at(&params, &["arguments"]), &arguments, cell);
        assert_eq!(at(&params, &["zeta"]), "[1.50]", "{cell}");
        assert_eq!(at(&params, &["alpha"]), "null", "{cell}");
        assert_eq!(at(&params, &["name"]), r#""t""#, "{cell}");
        let order: Vec<String> = crate::support::members(&params)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let order: Vec<&str> = order
            .iter()
            .map(String::as_str)
            .filter(|key| *key != "_meta")
            .collect();
        assert_eq!(order, ["zeta", "name", "arguments", "alpha"], "{cell}");
        let meta = member(&params, "_meta").unwrap_or_default();
        assert_eq!(
            meta.contains("io.modelcontextprotocol/"),
            backend.modern,
            "{cell}: {meta}"
        );
        if client_modern && backend.modern {
            assert_eq!(
                at(&meta, &["io.modelcontextprotocol/clientInfo"]),
                r#"{"name":"test","version":"1"}"#
            );
        }
    });
}

#[test]
fn absent_arguments_stay_absent_and_null_ones_null() {
    let house = House::build(&["t"], |script, _| script);
    house.each_cell(|client, _, backend, cell| {
        let before = backend.peer.messages("tools/call").len();
        let tool = format!("{}__t", backend.name);
        client.call(&tool, None).result();
        client.call(&tool, Some("null")).result();
        client.call(&tool, Some("{}")).result();
        for (n, expected) in [(1, None), (2, Some("null")), (3, Some("{}"))] {
            let call = backend.peer.message("tools/call", before + n);
            assert_eq!(
                member(&at(&call, &["params"]), "arguments").as_deref(),
                expected,
                "{cell}"
            );
        }
    });
}

#[test]
fn unknown_meta_reaches_the_backend_and_the_protocols_own_stays_in_its_era() {
    let house = House::build(&["t"], |script, _| script);
    house.each_cell(|client, client_modern, backend, cell| {
        let own = if client_modern {
            r#","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#
        } else {
            ""
        };
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"_meta":{{"com.example/a":[1.0, "\ud800"]{own},"traceparent":"00-1"}},"name":"{}__t"}}}}"#,
            backend.name
        );
        let before = backend.peer.messages("tools/call").len();
        client.send(&message).result();
        let call = backend.peer.message("tools/call", before + 1);
        let meta = at(&call, &["params", "_meta"]);
        assert_eq!(at(&meta, &["com.example/a"]), r#"[1.0, "\ud800"]"#, "{cell}");
        assert_eq!(at(&meta, &["traceparent"]), r#""00-1""#, "{cell}");
        for key in ["protocolVersion", "clientCapabilities"] {
            let value = member(&meta, &format!("io.modelcontextprotocol/{key}"));
            assert_eq!(value.is_some(), backend.modern, "{cell}: {key}");
        }
    });
}

#[test]
fn a_modern_http_backend_gets_headers_that_match_its_own_name_of_the_tool() {
    let peer = Peer::http(modern(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        client.call("b__t", None).result();
    }
    let calls: Vec<_> = peer
        .requests()
        .into_iter()
        .filter(|r| r.body.contains("tools/call"))
        .collect();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call.header("mcp-method"), Some("tools/call"));
        assert_eq!(call.header("mcp-name"), Some("t"));
        assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(call.header("mcp-session-id"), None);
        let accept = call.header("accept").unwrap_or_default();
        assert!(
            accept.contains("application/json") && accept.contains("text/event-stream"),
            "{accept}"
        );
        let agent = call.header("user-agent").unwrap_or_default();
        assert!(agent.starts_with("mcpmux/"), "{agent}");
    }
}

#[test]
fn parameters_that_a_modern_backend_wants_in_headers_are_mirrored_into_them() {
    let tools = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"Count"},"gone":{"type":"string","x-mcp-header":"Gone"}}}}]}"#;
    let peer = Peer::http(modern(&["t"]).on("tools/list", [result(tools)]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client
        .call("b__t", Some(r#"{"region":"Zürich","n":42}"#))
        .result();
    let requests = peer.requests();
    let call = requests
        .iter()
        .find(|r| r.body.contains("tools/call"))
        .expect("a call");
    assert_eq!(
        call.header("mcp-param-region"),
        Some("=?base64?WsO8cmljaA==?=")
    );
    assert_eq!(call.header("mcp-param-count"), Some("42"));
    assert_eq!(call.header("mcp-param-gone"), None);
}

/// Posts a modern call with exactly these `Mcp-*` headers; the HTTP status.
fn call_with_headers(client: &Client, mux: &Mux, body: &str, own: &[(&str, &str)]) -> u16 {
    let method = [("Mcp-Method", "tools/call")];
    post_with_headers(client, mux, body, &[&method, own].concat())
}

fn post_with_headers(client: &Client, mux: &Mux, body: &str, own: &[(&str, &str)]) -> u16 {
    let headers = client.headers(None, None);
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .chain(own.iter().copied())
        .collect();
    let mut connection = Connection::open(mux.address());
    connection
        .request("POST", "/mcp", &headers, body)
        .expect("mcpmux reads the request");
    connection.reply().status
}

#[test]
fn a_name_that_no_header_can_hold_is_encoded_both_ways() {
    let peer = Peer::http(modern(&["größe"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__größe");
    let body = client.spell("1", "tools/call", None, r#""name":"b__gr\u00f6ße""#);
    let name = ("Mcp-Name", "=?base64?Yl9fZ3LDtsOfZQ==?=");
    assert_eq!(call_with_headers(&client, &mux, &body, &[name]), 200);
    let requests = peer.requests();
    let call = requests
        .iter()
        .find(|r| r.body.contains("tools/call"))
        .expect("a call");
    assert_eq!(call.header("mcp-name"), Some("=?base64?Z3LDtsOfZQ==?="));
}

#[test]
fn a_clients_own_parameter_headers_are_checked_and_passed_on() {
    let tools = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}"#;
    let peer = Peer::http(modern(&["t"]).on("tools/list", [result(tools)]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let body = client.spell(
        "1",
        "tools/call",
        None,
        r#""name":"b__t","arguments":{"region":"eu"}"#,
    );
    let name = ("Mcp-Name", "b__t");
    let region = ("Mcp-Param-Region", "eu");
    for wrong in [&[name, ("Mcp-Param-Region", "us")][..], &[name]] {
        assert_eq!(
            call_with_headers(&client, &mux, &body, wrong),
            400,
            "{wrong:?}"
        );
    }
    let unknown = ("Mcp-Param-Odd", "1");
    assert_eq!(
        call_with_headers(&client, &mux, &body, &[name, region, unknown]),
        200
    );
    let requests = peer.requests();
    let calls: Vec<_> = requests
        .iter()
        .filter(|r| r.body.contains("tools/call"))
        .collect();
    assert_eq!(calls.len(), 1, "what was refused did not reach the backend");
    assert_eq!(calls[0].header("mcp-param-region"), Some("eu"));
    assert_eq!(calls[0].header("mcp-param-odd"), Some("1"));
}

#[test]
fn what_a_request_of_an_extension_names_is_named_to_the_backend_too() {
    let got = result(r#"{"resultType":"complete"}"#);
    let script = modern(&["t"])
        .on("tasks/get", [got.clone()])
        .on("x/y", [got]);
    let peer = Peer::http(script);
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let task = client.spell("1", "tasks/get", None, r#""taskId":"k-1""#);
    let odd = client.spell("2", "x/y", None, "");
    let said = |method, name| [("Mcp-Method", method), ("Mcp-Name", name)];
    for (body, headers, status) in [
        (&task, said("tasks/get", "k-1"), 200),
        (&task, said("tasks/get", "k-2"), 400),
        (&odd, said("x/y", "z"), 200),
    ] {
        let answered = post_with_headers(&client, &mux, body, &headers);
        assert_eq!(answered, status, "{headers:?}");
    }
    let requests = peer.requests();
    let named: Vec<_> = requests
        .iter()
        .filter(|r| r.header("mcp-name").is_some())
        .map(|r| (r.header("mcp-method"), r.header("mcp-name")))
        .collect();
    assert_eq!(
        named,
        [(Some("tasks/get"), Some("k-1")), (Some("x/y"), Some("z"))]
    );
}

#[test]
fn a_backend_that_wants_other_headers_is_asked_for_its_tools_and_called_again() {
    let tools = |annotation: &str| {
        result(&format!(
            r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{{"name":"t","inputSchema":{{"type":"object","properties":{{"region":{{"type":"string"{annotation}}}}}}}}}]}}"#
        ))
    };
    let mismatch = Step::Respond {
        status: 400,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"Header mismatch"}}"#
            .to_owned(),
    };
    let done = result(r#"{"resultType":"complete","content":[]}"#);
    let peer = Peer::http(
        modern(&["t"])
            .turns(
                "tools/list",
                [vec![tools("")], vec![tools(r#","x-mcp-header":"Region""#)]],
            )
            .turns("tools/call t", [vec![mismatch], vec![done]]),
    );
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.call("b__t", Some(r#"{"region":"eu"}"#)).result();
    let requests = peer.requests();
    let sent: Vec<_> = requests
        .iter()
        .filter(|r| r.body.contains("tools/call"))
        .map(|r| r.header("mcp-param-region"))
        .collect();
    assert_eq!(sent, [None, Some("eu")]);
}
