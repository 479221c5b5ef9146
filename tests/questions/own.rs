//! `session: client`: a process or session for each client, started when it is
//! first needed, ended when the client goes.

use std::thread;

use super::{
    ABLE, ANSWER, able, able_legacy, asking, call, done,
    support::{Client, Era, Mux, Peer, Setup, Step, at, eventually, text},
};

const OWN: &str = "session: client";

fn serve(peer: &Peer) -> Mux {
    let mux = Setup::default().backend("b", peer, OWN).serve();
    Client::wait_for(&mux, "b__ask");
    mux
}

#[test]
fn each_client_has_its_own_process_which_knows_what_it_can_do_and_ends_with_it() {
    let script = asking().tool("wait", [Step::Await("go".to_owned()), done()]);
    let peer = Peer::new(script);
    let mux = serve(&peer);
    let (first, second) = (able_legacy(&mux), Client::legacy(&mux));
    assert_eq!(peer.starts(), 1, "nobody has called yet");
    thread::scope(|scope| {
        let slow = scope.spawn(|| second.send(&call(&second, "b__wait", "")));
        peer.message("tools/call", 1);
        let answer = first.converse(&call(&first, "b__ask", ""), |_| ANSWER.to_owned());
        assert_eq!(answer.before.len(), 1, "no guess was needed");
        answer.result();
        peer.open("go");
        slow.join().expect("the other call").result();
    });
    assert_eq!(peer.starts(), 3);
    let declared: Vec<_> = peer
        .messages("initialize")
        .iter()
        .map(|message| at(message, &["params", "capabilities"]))
        .collect();
    assert!(declared.contains(&"{}".to_owned()), "{declared:?}");
    let able = |declared: &String| {
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        parsed(declared) == parsed(ABLE)
    };
    assert!(declared.iter().any(able), "{declared:?}");
    let ends = || {
        let events = peer.events();
        let end =
            |event: &&super::support::Event| matches!(event, super::support::Event::EndOfInput);
        events.iter().filter(end).count()
    };
    assert_eq!(ends(), 0);
    first.leave();
    eventually("its process ends", || (ends() == 1).then_some(()));
    second.call("b__wait", None).result();
    assert_eq!(peer.starts(), 3, "the other one's goes on");
}

#[test]
fn an_answer_counts_though_the_call_is_over_with_which_the_question_came() {
    let mut ask = asking().on["tools/call ask"][0].clone();
    ask.insert(0, Step::Await("go".to_owned()));
    let script = asking().tool("ask", ask);
    let peer = Peer::new(script.tool("wait", [Step::Await("end".to_owned()), done()]));
    let mux = serve(&peer);
    let client = able_legacy(&mux);
    thread::scope(|scope| {
        let older = scope.spawn(|| client.send(&call(&client, "b__ask", "")));
        peer.message("tools/call", 1);
        let newer = client.post(&call(&client, "b__wait", ""));
        peer.message("tools/call", 2);
        peer.open("go");
        let mut newer = newer.reply();
        let question = newer.event().expect("a question");
        peer.open("end");
        let last = newer.event().expect("a response");
        assert!(last.contains("done"), "{last}");
        assert_eq!(newer.event(), None);
        let id = at(&question, &["id"]);
        client.notify(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{ANSWER}}}"#
        ));
        older.join().expect("the other call").result();
    });
    let answers = peer.messages("response");
    assert_eq!(answers.len(), 1);
    assert_eq!(at(&answers[0], &["result"]), ANSWER);
}

#[test]
fn calls_of_modern_clients_at_once_have_one_each_and_give_it_back() {
    let peer = Peer::new(asking());
    let mux = serve(&peer);
    let client = able(&mux, Era::Modern);
    let mut states = Vec::new();
    for _ in 0..3 {
        let first = client.send(&call(&client, "b__ask", "")).result();
        assert_eq!(text(&at(&first, &["resultType"])), "input_required");
        states.push(at(&first, &["requestState"]));
    }
    assert_eq!(peer.starts(), 4, "three wait at once, and the shared one");
    for state in states {
        let members = format!(r#""inputResponses":{{"0-0":{ANSWER}}},"requestState":{state}"#);
        let last = client.send(&call(&client, "b__ask", &members)).result();
        assert_eq!(text(&at(&last, &["resultType"])), "complete");
    }
    client.send(&call(&client, "b__ask", "")).result();
    assert_eq!(peer.starts(), 4, "one that was given back serves again");
}

#[test]
fn over_http_each_client_has_a_session() {
    let script = asking().sessions(&["s1", "s2", "s3"]);
    let peer = Peer::http(script.tool("wait", [done()]));
    let mux = serve(&peer);
    for session in ["s2", "s3"] {
        let client = able_legacy(&mux);
        client.call("b__wait", None).result();
        let calls = peer.requests();
        let last = calls.iter().rfind(|r| r.body.contains("tools/call"));
        let used = last.and_then(|call| call.header("mcp-session-id").map(str::to_owned));
        assert_eq!(used.as_deref(), Some(session));
    }
}

#[test]
fn what_is_asked_outside_of_any_call_reaches_the_client_on_the_stream_of_its_session() {
    let roots = r#"{"jsonrpc":"2.0","id":"r1","method":"roots/list"}"#;
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}"#;
    let script = asking().tool("wait", [done()]).on(
        "notifications/initialized",
        [
            Step::Await("ask".to_owned()),
            Step::Send(roots.to_owned()),
            Step::Send(log.to_owned()),
        ],
    );
    for peer in [
        Peer::new(script.clone()),
        Peer::http(script.clone().on("notifications/initialized", []).on(
            "GET",
            [
                Step::Sse(Vec::new()),
                Step::Await("ask".to_owned()),
                Step::Send(roots.to_owned()),
                Step::Send(log.to_owned()),
                Step::Relay,
            ],
        )),
    ] {
        let mux = serve(&peer);
        let client = able_legacy(&mux);
        let mut stream = client.listen();
        client.call("b__wait", None).result();
        // No call is in flight now.
        peer.open("ask");
        let asked = eventually("a question", || {
            stream.event().filter(|event| event.contains("roots/list"))
        });
        let own = at(&asked, &["id"]);
        client.notify(&format!(
            r#"{{"jsonrpc":"2.0","id":{own},"result":{{"roots":[{{"uri":"file:///\u0061"}}]}}}}"#
        ));
        let answered = peer.wait("the answer", |events| {
            let messages = events.iter().filter_map(|event| match event {
                super::support::Event::Message(message) => Some(message.clone()),
                super::support::Event::Request(request) => Some(request.body.clone()),
                _ => None,
            });
            let mut answers =
                messages.filter(|m| m.contains(r#""id":"r1""#) && m.contains(r#""result""#));
            answers.next()
        });
        assert_eq!(
            at(&answered, &["result"]),
            r#"{"roots":[{"uri":"file:///\u0061"}]}"#
        );
        let told = eventually("a log message", || stream.event());
        assert_eq!(told, log);
    }
}

#[test]
fn that_a_clients_roots_are_other_ones_is_told_to_its_own_process_only() {
    let peer = Peer::new(asking().tool("wait", [done()]));
    let mux = serve(&peer);
    let (client, other) = (able_legacy(&mux), able_legacy(&mux));
    for client in [&client, &other] {
        client.call("b__wait", None).result();
    }
    let told = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    client.notify(told);
    assert_eq!(peer.message("notifications/roots/list_changed", 1), told);
    for client in [&client, &other] {
        client.call("b__wait", None).result();
    }
    let all = peer.messages("notifications/roots/list_changed");
    assert_eq!(all.len(), 1, "{all:?}");
}
