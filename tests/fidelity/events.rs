//! Event streams of backends, however they are spelled and cut.

use super::same;
use crate::support::{Client, Peer, Setup, Step, legacy, member, result};

#[test]
fn line_breaks_within_a_result_survive_over_http() {
    let value = "{\n  \"content\": [\r\n  ],\n  \"x\": 1.0\n}";
    let streamed = Peer::http(
        legacy(&["t"])
            .tool("t", [result(value)])
            .streamed("tools/call t"),
    );
    let plain = Peer::http(legacy(&["t"]).tool("t", [result(value)]));
    let mux = Setup::one("streamed", &streamed)
        .backend("plain", &plain, "")
        .serve();
    let client = Client::legacy(&mux);
    same(&client.call("plain__t", None).result(), value, "JSON");
    // Lines of an event end at CR LF as well as at LF, so only that can change.
    same(
        &client.call("streamed__t", None).result(),
        &value.replace('\r', ""),
        "SSE",
    );
}

#[test]
fn events_are_read_however_the_stream_spells_and_cuts_them() {
    let response = r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"x":"é😀"}}"#;
    let (head, tail) = response.split_at(r#"{"jsonrpc":"2.0","id":$ID,"#.len());
    let cases = [
        (
            "crlf",
            format!("event: message\r\nid: 7\r\ndata: {response}\r\n\r\n"),
        ),
        ("bare", format!("data:{response}\n\n")),
        (
            "comments",
            format!(": hi\n\nretry: 10\nid: 1\ndata:\n\n: x\ndata: {response}\nodd\n\n"),
        ),
        ("lines", format!("data: {head}\ndata: {tail}\n\n")),
        ("mark", format!("\u{feff}data: {response}\n\n")),
        (
            "other",
            format!("event: else\ndata: nothing\n\ndata: {response}\n\n"),
        ),
    ];
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    for cut in [Step::Bytes, Step::Drip] {
        let script = cases.iter().fold(legacy(&names), |script, (name, bytes)| {
            script.tool(name, [Step::Sse(Vec::new()), cut(bytes.clone())])
        });
        let peer = Peer::http(script);
        let mux = Setup::one("b", &peer).serve();
        let client = Client::legacy(&mux);
        for name in &names {
            let answer = client.call(&format!("b__{name}"), None);
            assert_eq!(
                member(&answer.response, "result").as_deref(),
                Some(r#"{"content":[],"x":"é😀"}"#),
                "{name}"
            );
        }
    }
}

#[test]
fn lines_of_events_end_at_a_bare_carriage_return_too() {
    let response = r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}"#;
    let bytes = Step::Bytes(format!("event: message\rdata: {response}\r\r"));
    let peer = Peer::http(legacy(&["t"]).tool("t", [Step::Sse(Vec::new()), bytes]));
    let mux = Setup::one("b", &peer).serve();
    let answer = Client::legacy(&mux).call("b__t", None);
    assert_eq!(answer.result(), r#"{"content":[]}"#);
}
