//! A request that names no call belongs to the one in flight, or to nobody.

use std::thread;

use super::{
    ANSWER, FORM, able_legacy, asking, asks, call, done,
    support::{Event, Peer, Setup, Step, at, legacy, member},
};

fn refusals(events: &[Event]) -> Vec<String> {
    let messages = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.clone()),
        Event::Request(request) => Some(request.body.clone()),
        _ => None,
    });
    messages
        .filter(|message| message.starts_with('{') && member(message, "error").is_some())
        .collect()
}

#[test]
fn with_two_calls_on_a_shared_pipe_a_question_is_refused_and_the_setting_named() {
    let script = asking().tool("wait", [Step::Await("go".to_owned()), done()]);
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let (waiting, asked) = (able_legacy(&mux), able_legacy(&mux));
    thread::scope(|scope| {
        let slow = scope.spawn(|| waiting.send(&call(&waiting, "b__wait", "")));
        peer.message("tools/call", 1);
        let answer = asked.send(&call(&asked, "b__ask", ""));
        assert_eq!(answer.before.len(), 0, "nobody is asked");
        answer.result();
        peer.open("go");
        let slow = slow.join().expect("the other call");
        assert_eq!(slow.before.len(), 0, "nobody is asked");
    });
    let refusals = refusals(&peer.events());
    assert_eq!(refusals.len(), 1);
    let why = at(&refusals[0], &["error", "message"]);
    assert!(why.contains("session: client"), "{why}");
}

#[test]
fn a_question_outside_of_any_call_is_refused() {
    let peer =
        Peer::new(legacy(&["t"]).on("notifications/initialized", [asks("1", "roots/list", "{}")]));
    let mux = Setup::one("b", &peer).serve();
    super::support::Client::wait_for(&mux, "b__t");
    let refusal = peer.wait("a refusal", |events| refusals(events).pop());
    let why = at(&refusal, &["error", "message"]);
    assert!(why.contains("no call is in flight"), "{why}");
}

#[test]
fn over_http_each_call_has_a_stream_of_its_own_and_questions_need_no_guess() {
    let script = asking()
        .tool("wait", [Step::Await("go".to_owned()), done()])
        .streamed("tools/call ask");
    let peer = Peer::http(script);
    let mux = Setup::one("b", &peer).serve();
    let (waiting, asked) = (able_legacy(&mux), able_legacy(&mux));
    thread::scope(|scope| {
        let slow = scope.spawn(|| waiting.send(&call(&waiting, "b__wait", "")));
        peer.message("tools/call", 1);
        let answer = asked.converse(&call(&asked, "b__ask", ""), |_| ANSWER.to_owned());
        assert_eq!(answer.before.len(), 1);
        peer.open("go");
        assert_eq!(slow.join().expect("the other call").before.len(), 0);
    });
}

#[test]
fn a_question_on_the_stream_beside_belongs_to_the_one_call_in_flight() {
    let script = legacy(&["ask"])
        .on("GET", [Step::Sse(Vec::new()), Step::Relay])
        .tool("ask", [Step::Await(r#"response "e9""#.to_owned()), done()]);
    let peer = Peer::http(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    thread::scope(|scope| {
        let called =
            scope.spawn(|| client.converse(&call(&client, "b__ask", ""), |_| ANSWER.to_owned()));
        peer.relaying("GET");
        peer.message("tools/call", 1);
        peer.emit(&format!(
            r#"{{"jsonrpc":"2.0","id":"e9","method":"elicitation/create","params":{FORM}}}"#
        ));
        let answer = called.join().expect("the call");
        assert_eq!(answer.before.len(), 1);
        answer.result();
    });
}

#[test]
fn a_question_that_the_server_takes_back_is_taken_back_from_the_client() {
    let script = legacy(&["ask"]).tool(
        "ask",
        [
            asks(r#""e1""#, "elicitation/create", FORM),
            Step::Send(
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"e1","reason":"never mind"}}"#.to_owned(),
            ),
            done(),
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    let answer = client.send(&call(&client, "b__ask", ""));
    assert_eq!(answer.before.len(), 2, "{:?}", answer.before);
    let asked = at(&answer.before[0], &["id"]);
    let taken_back = at(&answer.before[1], &["params", "requestId"]);
    assert_eq!(asked, taken_back);
    answer.result();
}

#[test]
fn a_question_that_is_open_when_the_call_ends_is_taken_back() {
    let script =
        legacy(&["ask"]).tool("ask", [asks(r#""e1""#, "elicitation/create", FORM), done()]);
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    let answer = client.send(&call(&client, "b__ask", ""));
    let methods: Vec<_> = answer
        .before
        .iter()
        .map(|message| at(message, &["method"]))
        .collect();
    assert_eq!(
        methods,
        [r#""elicitation/create""#, r#""notifications/cancelled""#]
    );
    answer.result();
    let told = peer.message("response", 1);
    assert_eq!(at(&told, &["id"]), r#""e1""#);
    assert_eq!(at(&told, &["error", "code"]), "-32603");
}
