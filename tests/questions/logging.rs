//! Log messages: each client gets those of its own calls, at the level it wants.

use super::{
    ANSWER, FORM, able, asks, call, done,
    support::{Client, Era, Peer, Script, Setup, Step, at, legacy, modern, result, text},
};

fn logs(level: &str) -> Step {
    Step::Send(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":1.0}}}}"#
    ))
}

/// A legacy server that logs at two levels in a call.
fn old() -> Script {
    legacy(&["t"])
        .on(
            "initialize",
            [result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"peer","version":"1"}}"#,
            )],
        )
        .on("logging/setLevel", [result("{}")])
        .tool("t", [logs("debug"), logs("error"), done()])
}

fn levels(client: &Client, members: &str) -> Vec<String> {
    let answer = client.send(&call(client, "b__t", members));
    answer.result();
    let levels = answer.before.iter();
    levels
        .map(|log| text(&at(log, &["params", "level"])))
        .collect()
}

fn set_level(client: &Client, level: &str) {
    let set = client.request("logging/setLevel", &format!(r#""level":"{level}""#));
    assert_eq!(set.result(), "{}");
}

#[test]
fn the_server_is_asked_for_the_lowest_level_and_each_client_gets_its_own() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    let (first, second, third) = (
        Client::legacy(&mux),
        Client::legacy(&mux),
        Client::legacy(&mux),
    );
    assert_eq!(
        levels(&third, ""),
        ["debug", "error"],
        "the server's choice"
    );
    set_level(&first, "error");
    assert_eq!(levels(&first, ""), ["error"]);
    set_level(&second, "debug");
    assert_eq!(levels(&second, ""), ["debug", "error"]);
    assert_eq!(levels(&first, ""), ["error"]);
    assert_eq!(levels(&third, ""), ["error"], "nobody chose debug for it");
    let asked: Vec<_> = peer
        .messages("logging/setLevel")
        .iter()
        .map(|message| text(&at(message, &["params", "level"])))
        .collect();
    assert_eq!(asked, ["error", "debug"]);
    let (code, _) = first
        .request("logging/setLevel", r#""level":"loud""#)
        .error();
    assert_eq!(code, -32602);
}

#[test]
fn a_modern_client_gets_log_messages_if_it_asks_for_them() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    assert_eq!(levels(&client, ""), [""; 0]);
    let wanting = client
        .spell("9", "tools/call", None, r#""name":"b__t""#)
        .replace(
            r#""_meta":{"#,
            r#""_meta":{"io.modelcontextprotocol/logLevel":"warning","#,
        );
    let answer = client.send(&wanting);
    answer.result();
    assert_eq!(answer.before.len(), 1, "{:?}", answer.before);
    assert_eq!(
        answer.before[0],
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1.0}}"#
    );
    let called = peer.message("tools/call", 2);
    assert!(!called.contains("logLevel"), "{called}");
}

#[test]
fn with_each_retry_a_modern_client_says_anew_what_it_wants() {
    let steps = [
        logs("error"),
        asks(r#""e1""#, "elicitation/create", FORM),
        Step::Await(r#"response "e1""#.to_owned()),
        logs("error"),
        done(),
    ];
    let peer = Peer::new(old().tool("t", steps));
    let mux = Setup::one("b", &peer).serve();
    let client = able(&mux, Era::Modern);
    let first = client.send(&call(&client, "b__t", ""));
    assert_eq!(first.before.len(), 0, "{:?}", first.before);
    let state = at(&first.result(), &["requestState"]);
    let retry = format!(r#""inputResponses":{{"0-0":{ANSWER}}},"requestState":{state}"#);
    let retry = call(&client, "b__t", &retry).replace(
        r#""_meta":{"#,
        r#""_meta":{"io.modelcontextprotocol/logLevel":"error","#,
    );
    assert_eq!(client.send(&retry).before.len(), 1);
}

#[test]
fn a_legacy_clients_level_goes_with_each_request_to_a_modern_server() {
    let peer = Peer::http(modern(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    set_level(&client, "notice");
    client.call("b__t", None).result();
    let meta = at(&peer.message("tools/call", 1), &["params", "_meta"]);
    assert_eq!(
        at(&meta, &["io.modelcontextprotocol/logLevel"]),
        r#""notice""#
    );
}

#[test]
fn a_server_that_never_answers_about_its_level_holds_up_no_call() {
    let peer = Peer::new(old().on("logging/setLevel", []));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    set_level(&client, "error");
    assert_eq!(levels(&client, ""), ["error"]);
}
