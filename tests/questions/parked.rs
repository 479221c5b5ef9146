//! Calls that wait for a modern client's answers end cleanly, however it goes.

use std::{net::TcpListener, thread, time::Duration};

use super::{
    ANSWER, able, asking, call,
    support::{Client, Era, Mux, Peer, Setup, at, eventually, text},
};

fn begin(mux: &Mux) -> (Client, String) {
    let client = able(mux, Era::Modern);
    let first = client.send(&call(&client, "b__ask", "")).result();
    assert_eq!(text(&at(&first, &["resultType"])), "input_required");
    (client, at(&first, &["requestState"]))
}

fn retry(client: &Client, tool: &str, state: &str, more: &str) -> super::support::Answer {
    let members = format!(r#""inputResponses":{{"0-0":{ANSWER}}},"requestState":{state}{more}"#);
    client.send(&call(client, tool, &members))
}

#[test]
fn a_handle_is_good_once() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (client, state) = begin(&mux);
    retry(&client, "b__ask", &state, "").result();
    let (code, why) = retry(&client, "b__ask", &state, "").error();
    assert_eq!(code, -32602);
    assert!(why.contains("used before"), "{why}");
}

#[test]
fn a_call_that_waits_keeps_an_idle_mcpmux_there() {
    let peer = Peer::new(asking());
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let mux = Setup::one("b", &peer)
        .listen("idle_exit: 1s")
        .handed(&socket)
        .serve();
    let (client, state) = begin(&mux);
    // Longer than that; there is no event for "did not end".
    thread::sleep(Duration::from_millis(2500));
    assert!(
        retry(&client, "b__ask", &state, "")
            .result()
            .contains("content")
    );
    assert!(mux.ended().success());
    mux.logged("the next one starts mcpmux again");
}

#[test]
fn a_handle_that_was_changed_or_is_for_another_request_is_refused_and_the_call_goes_on() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (client, state) = begin(&mux);
    let mut changed = state.clone().into_bytes();
    let last = changed.len() - 3;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("text");
    for (tool, state, more) in [
        ("b__ask", changed.as_str(), ""),
        ("b__wait", state.as_str(), ""),
        ("b__ask", state.as_str(), r#","arguments":{"other":1}"#),
    ] {
        let (code, why) = retry(&client, tool, state, more).error();
        assert_eq!(code, -32602, "{why}");
        assert!(why.contains("does not belong"), "{why}");
    }
    retry(&client, "b__ask", &state, "").result();
}

#[test]
fn a_question_without_an_answer_is_asked_again() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (client, state) = begin(&mux);
    let members = format!(r#""inputResponses":{{}},"requestState":{state}"#);
    let again = client.send(&call(&client, "b__ask", &members)).result();
    assert_eq!(text(&at(&again, &["resultType"])), "input_required");
    at(&again, &["inputRequests", "0-0"]);
    retry(&client, "b__ask", &at(&again, &["requestState"]), "").result();
    assert_eq!(peer.messages("tools/call").len(), 1);
}

#[test]
fn a_server_that_dies_meanwhile_is_told_of_when_the_client_comes_back() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (client, state) = begin(&mux);
    peer.exit(3);
    mux.logged("lost:");
    let (code, why) = retry(&client, "b__ask", &state, "").error();
    assert_eq!(code, -32000, "{why}");
}

#[test]
fn after_a_restart_the_model_is_told_to_call_again() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (_, state) = begin(&mux);
    mux.stop();
    drop(mux);
    let mux = Setup::one("b", &peer).serve();
    let client = able(&mux, Era::Modern);
    let told = retry(&client, "b__ask", &state, "").result();
    assert_eq!(at(&told, &["isError"]), "true");
    assert!(told.contains("restarted"), "{told}");
}

#[test]
fn stopping_does_not_wait_for_clients_that_never_come_back() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    begin(&mux);
    let stopping = std::time::Instant::now();
    mux.stop();
    assert!(stopping.elapsed() < std::time::Duration::from_secs(8));
}

#[test]
fn a_call_whose_client_never_comes_back_ends_at_its_limit() {
    let peer = Peer::new(asking());
    let mux = Setup::default()
        .backend("b", &peer, "timeout: 1s\nmax_timeout: 1s")
        .serve();
    let (client, state) = begin(&mux);
    peer.message("notifications/cancelled", 1);
    let told = eventually("it has expired", || {
        let answer = retry(&client, "b__ask", &state, "");
        answer
            .response
            .contains("waited too long")
            .then(|| answer.result())
    });
    assert_eq!(at(&told, &["isError"]), "true");
}

#[test]
fn answers_that_cannot_be_read_are_refused_and_the_call_goes_on() {
    let peer = Peer::new(asking());
    let mux = Setup::one("b", &peer).serve();
    let (client, state) = begin(&mux);
    let broken = format!(r#""inputResponses":[],"requestState":{state}"#);
    let (code, _) = client.send(&call(&client, "b__ask", &broken)).error();
    assert_eq!(code, -32602);
    retry(&client, "b__ask", &state, "").result();
}
