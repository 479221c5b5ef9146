//! What a modern request must say in its headers and its `_meta`.

use super::{BOTH, JSON, ask, code, house, post};
use crate::support::{at, elements};

const PLAIN_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn modern_call(name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}",{PLAIN_META}}}}}"#
    )
}

#[test]
fn headers_that_do_not_match_the_body_are_refused() {
    let (peer, mux) = house();
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "b__t");
    let body = modern_call("b__t");
    assert_eq!(post(&mux, &[version, method, name], &body).0, 200);
    for (why, headers) in [
        (
            "another method",
            &[version, ("Mcp-Method", "tools/list"), name][..],
        ),
        (
            "another case",
            &[version, ("Mcp-Method", "Tools/Call"), name],
        ),
        ("no method", &[version, name]),
        ("another name", &[version, method, ("Mcp-Name", "b__u")]),
        (
            "the backend's own name",
            &[version, method, ("Mcp-Name", "t")],
        ),
        ("no name", &[version, method]),
        (
            "a broken encoding",
            &[version, method, ("Mcp-Name", "=?base64?%%%?=")],
        ),
        (
            "another version",
            &[("MCP-Protocol-Version", "2025-11-25"), method, name],
        ),
    ] {
        assert_eq!(post(&mux, headers, &body), (400, Some(-32020)), "{why}");
    }
    // An encoded name is decoded before it is compared.
    assert_eq!(
        post(
            &mux,
            &[version, method, ("Mcp-Name", "=?base64?Yl9fdA==?=")],
            &body
        )
        .0,
        200
    );
    assert_eq!(
        peer.messages("tools/call").len(),
        2,
        "nothing that was refused reached the backend"
    );
}

#[test]
fn a_modern_request_without_its_meta_is_refused() {
    let (_peer, mux) = house();
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/list"),
    ];
    for params in [
        "{}",
        r#"{"_meta":{}}"#,
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
        r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{params}}}"#);
        assert_eq!(post(&mux, &headers, &body), (400, Some(-32602)), "{params}");
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(post(&mux, &headers, body), (400, Some(-32602)), "no params");
}

#[test]
fn an_unknown_version_is_refused_with_those_that_are_known() {
    let (_peer, mux) = house();
    let body = r#"{"jsonrpc":"2.0","id":9,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [
        JSON,
        BOTH,
        ("MCP-Protocol-Version", "2099-01-01"),
        ("Mcp-Method", "server/discover"),
    ];
    let (status, body) = ask(&mux, "POST", "/mcp", &headers, body);
    assert_eq!((status, code(&body)), (400, Some(-32022)), "{body}");
    let data = at(&body, &["error", "data"]);
    assert!(
        elements(&at(&data, &["supported"])).contains(&r#""2026-07-28""#.to_owned()),
        "{data}"
    );
    assert_eq!(at(&data, &["requested"]), r#""2099-01-01""#);
    assert_eq!(at(&body, &["id"]), "9");
}
