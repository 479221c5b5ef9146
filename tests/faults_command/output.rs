//! What children write where: stderr without end, garbage and lines too long on stdout.

use super::DONE;
use crate::support::{Client, Peer, Setup, Step, legacy, result};

#[test]
fn a_child_that_floods_stderr_is_not_blocked_by_it() {
    let peer = Peer::new(
        legacy(&["t", "loud"])
            .start([Step::FloodStderr(8 << 20)])
            .tool("loud", [Step::FloodStderr(24 << 20), result(DONE)]),
    );
    let mux = Setup::one("b", &peer).log_level("info").serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("b__loud", None).result(), DONE);
    assert_eq!(client.call("b__t", None).result(), DONE);
}

#[test]
fn a_childs_stderr_is_logged_line_by_line_with_its_name() {
    let peer = Peer::new(legacy(&["t"]).tool(
        "t",
        [Step::Stderr("the disk\nis full".to_owned()), result(DONE)],
    ));
    let mux = Setup::one("files", &peer).serve();
    Client::legacy(&mux).call("files__t", None).result();
    assert!(mux.logged("the disk").contains("files"));
    let second = mux.logged("is full");
    assert!(
        second.contains("files") && !second.contains("the disk"),
        "{second}"
    );
}

#[test]
fn garbage_on_stdout_is_said_and_skipped() {
    let junk =
        "Server running on stdio!\n\n{\"half\": \n[1,2]\n\u{1b}[1mhello\u{1b}[0m\n{}\nnull\n";
    let peer = Peer::new(
        legacy(&["t"])
            .start([Step::Bytes(junk.to_owned())])
            .tool("t", [Step::Bytes(junk.to_owned()), result(DONE)]),
    );
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("b__t", None).result(), DONE);
    assert!(mux.logged("no MCP message").contains("WARN"));
}

#[test]
fn answers_to_nothing_disturb_nobody() {
    let stray = r#"{"jsonrpc":"2.0","id":424242,"result":{}}"#.to_owned();
    let token = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"strange","progress":1}}"#;
    let peer = Peer::new(legacy(&["t"]).tool(
        "t",
        [
            Step::Send(stray),
            Step::Send(token.to_owned()),
            result(DONE),
        ],
    ));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    for _ in 0..3 {
        let answer = client.call_with_token("b__t", "1");
        assert!(answer.before.is_empty(), "{:?}", answer.before);
        assert_eq!(answer.result(), DONE);
    }
}

#[test]
fn a_line_over_the_limit_ends_the_child_and_not_mcpmux() {
    let peer = Peer::new(legacy(&["t", "endless"]).tool(
        "endless",
        [Step::LongLine(17 << 20), Step::Await("never".to_owned())],
    ));
    let other = Peer::new(legacy(&["t"]));
    let mux = Setup::one("shaky", &peer)
        .backend("other", &other, "")
        .serve();
    let client = Client::legacy(&mux);
    let (_, message) = client.call("shaky__endless", None).error();
    assert!(message.contains("shaky"), "{message}");
    assert_eq!(client.call("other__t", None).result(), DONE);
    mux.logged("max_message");
    client.await_names(&["shaky__t", "shaky__endless", "other__t"]);
}

#[test]
fn a_message_just_under_the_limit_passes() {
    let text = "x".repeat((16 << 20) - 4096);
    let value = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
    let peer = Peer::new(legacy(&["t"]).tool("t", [result(&value)]));
    let mux = Setup::one("b", &peer).serve();
    assert!(
        Client::legacy(&mux).call("b__t", None).result() == value,
        "the text arrives whole"
    );
}
