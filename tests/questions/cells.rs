//! The four combinations of eras, over both transports.

use super::{
    ANSWER, FORM, able, able_legacy, asking, asking_in_rounds, asks, call, done,
    support::{Client, Era, Peer, Setup, Step, at, legacy, member, members, modern, result, text},
};

/// The answer of the client as a legacy server got it under `id`.
fn answered(peer: &Peer, id: &str) -> String {
    peer.wait("the answer", |events| {
        events.iter().find_map(|event| {
            let message = match event {
                super::support::Event::Message(message) => message.clone(),
                super::support::Event::Request(request) => request.body.clone(),
                _ => return None,
            };
            let is_it = message.starts_with('{')
                && member(&message, "method").is_none()
                && member(&message, "id").as_deref() == Some(id);
            is_it.then_some(message)
        })
    })
}

fn legacy_backends() -> [(&'static str, Peer); 2] {
    [
        ("stdio", Peer::new(asking())),
        ("http", Peer::http(asking().streamed("tools/call ask"))),
    ]
}

#[test]
fn a_legacy_client_is_asked_by_a_legacy_server_as_if_there_were_nothing_between() {
    for version in ["2025-06-18", "2025-11-25"] {
        for (name, peer) in legacy_backends() {
            let mux = Setup::one(name, &peer).serve();
            let client = able(&mux, Era::Legacy(version));
            let answer = client.converse(&call(&client, &format!("{name}__ask"), ""), |request| {
                assert_eq!(text(&at(request, &["method"])), "elicitation/create");
                assert_eq!(members(&at(request, &["params"])), members(FORM), "{name}");
                ANSWER.to_owned()
            });
            assert_eq!(answer.before.len(), 1, "{name}");
            assert_eq!(
                answer.result(),
                r#"{"content":[{"type":"text","text":"done"}]}"#
            );
            let got = answered(&peer, r#""e1""#);
            assert_eq!(at(&got, &["result"]), ANSWER, "{name}");
        }
    }
}

#[test]
fn a_modern_client_of_a_legacy_server_is_asked_in_a_round() {
    for (name, peer) in legacy_backends() {
        let mux = Setup::one(name, &peer).serve();
        let client = able(&mux, Era::Modern);
        let tool = format!("{name}__ask");
        let first = client.send(&call(&client, &tool, "")).result();
        assert_eq!(text(&at(&first, &["resultType"])), "input_required");
        let requests = members(&at(&first, &["inputRequests"]));
        assert_eq!(requests.len(), 1, "{first}");
        let (key, request) = &requests[0];
        assert_eq!(text(&at(request, &["method"])), "elicitation/create");
        assert_eq!(members(&at(request, &["params"])), members(FORM));
        let state = at(&first, &["requestState"]);
        let retry = format!(r#""inputResponses":{{{key}:{ANSWER}}},"requestState":{state}"#);
        let retry = retry.replace(&format!("{key}:"), &format!("\"{key}\":"));
        let second = client.send(&call(&client, &tool, &retry)).result();
        assert_eq!(
            second,
            r#"{"content":[{"type":"text","text":"done"}],"resultType":"complete"}"#
        );
        assert_eq!(at(&answered(&peer, r#""e1""#), &["result"]), ANSWER);
        assert_eq!(peer.messages("tools/call").len(), 1, "one call, not two");
    }
}

#[test]
fn a_legacy_client_of_a_modern_server_is_asked_and_the_rounds_are_driven_for_it() {
    let backends = [
        ("stdio", Peer::new(asking_in_rounds())),
        ("http", Peer::http(asking_in_rounds())),
    ];
    for (name, peer) in backends {
        let mux = Setup::one(name, &peer).serve();
        let client = able_legacy(&mux);
        let answer = client.converse(&call(&client, &format!("{name}__ask"), ""), |request| {
            assert_eq!(members(&at(request, &["params"])), members(FORM), "{name}");
            ANSWER.to_owned()
        });
        assert_eq!(answer.result(), r#"{"content":[]}"#);
        let first = peer.message("tools/call", 1);
        let second = peer.message("tools/call", 2);
        assert_ne!(at(&first, &["id"]), at(&second, &["id"]));
        let responses = at(&second, &["params", "inputResponses"]);
        assert_eq!(members(&responses), [("k1".to_owned(), ANSWER.to_owned())]);
        assert_eq!(at(&second, &["params", "requestState"]), r#""st\u0061te""#);
        let abilities = at(
            &first,
            &[
                "params",
                "_meta",
                "io.modelcontextprotocol/clientCapabilities",
            ],
        );
        assert_eq!(abilities, super::ABLE, "the session's own");
    }
}

#[test]
fn a_request_that_a_modern_server_must_not_make_holds_up_no_round() {
    let again = result(r#"{"resultType":"input_required","requestState":"s"}"#);
    let done = result(r#"{"resultType":"complete","content":[]}"#);
    let script = modern(&["ask"]).turns(
        "tools/call ask",
        [
            vec![asks(r#""e1""#, "elicitation/create", FORM), again],
            vec![done],
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    let answer = client.converse(&call(&client, "b__ask", ""), |_| ANSWER.to_owned());
    assert_eq!(answer.result(), r#"{"content":[]}"#);
    assert_eq!(peer.messages("tools/call").len(), 2);
}

#[test]
fn rounds_between_a_modern_client_and_a_modern_server_are_theirs() {
    let peer = Peer::http(asking_in_rounds());
    let mux = Setup::one("b", &peer).serve();
    let client = able(&mux, Era::Modern);
    let first = client.send(&call(&client, "b__ask", "")).result();
    assert_eq!(at(&first, &["requestState"]), r#""st\u0061te""#);
    let retry = format!(r#""inputResponses":{{"k1":{ANSWER}}},"requestState":"st\u0061te""#);
    let second = client.send(&call(&client, "b__ask", &retry)).result();
    assert_eq!(text(&at(&second, &["resultType"])), "complete");
    let sent = at(&peer.message("tools/call", 2), &["params"]);
    assert_eq!(
        at(&sent, &["inputResponses"]),
        format!(r#"{{"k1":{ANSWER}}}"#)
    );
    assert_eq!(at(&sent, &["requestState"]), r#""st\u0061te""#);
}

#[test]
fn sampling_and_roots_go_the_same_way() {
    let script = legacy(&["ask"]).tool(
        "ask",
        [
            asks(
                "7",
                "sampling/createMessage",
                r#"{"messages":[],"maxTokens":1}"#,
            ),
            Step::Await("response 7".to_owned()),
            asks("8", "roots/list", "{}"),
            Step::Await("response 8".to_owned()),
            done(),
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    let answer = client.converse(&call(&client, "b__ask", ""), |request| {
        match text(&at(request, &["method"])).as_str() {
            "sampling/createMessage" => r#"{"model":"m"}"#.to_owned(),
            _ => r#"{"roots":[]}"#.to_owned(),
        }
    });
    answer.result();
    assert_eq!(at(&answered(&peer, "7"), &["result"]), r#"{"model":"m"}"#);
    assert_eq!(at(&answered(&peer, "8"), &["result"]), r#"{"roots":[]}"#);
}

#[test]
fn what_a_client_has_not_declared_it_is_not_asked() {
    for (era, abilities) in [
        (Era::Legacy("2025-11-25"), r#"{"roots":{}}"#),
        (Era::Modern, r#"{"sampling":{}}"#),
    ] {
        for (name, peer) in legacy_backends() {
            let mux = Setup::one(name, &peer).serve();
            let client = Client::able(&mux, era, abilities);
            let answer = client.send(&call(&client, &format!("{name}__ask"), ""));
            assert_eq!(answer.before.len(), 0);
            answer.result();
            let refusal = answered(&peer, r#""e1""#);
            assert_eq!(at(&refusal, &["error", "code"]), "-32601", "{refusal}");
        }
    }
}

#[test]
fn a_legacy_server_that_wants_a_url_visited_first_is_called_again_after_a_round() {
    let refusal = r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32042,"message":"Visit","data":{"elicitations":[{"mode":"url","elicitationId":"x1","url":"https://a.example/\u0061","message":"Go"}]}}}"#;
    let refuses = || vec![Step::Send(refusal.to_owned())];
    let script = legacy(&["ask"]).turns("tools/call ask", [refuses(), vec![done()], refuses()]);
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able(&mux, Era::Modern);
    let first = client.send(&call(&client, "b__ask", "")).result();
    let asked = at(&first, &["inputRequests", "url-0", "params"]);
    assert_eq!(
        asked,
        r#"{"mode":"url","url":"https://a.example/\u0061","message":"Go"}"#
    );
    let state = at(&first, &["requestState"]);
    let retry =
        format!(r#""inputResponses":{{"url-0":{{"action":"accept"}}}},"requestState":{state}"#);
    let second = client.send(&call(&client, "b__ask", &retry)).result();
    assert_eq!(text(&at(&second, &["resultType"])), "complete");
    let params = at(&peer.message("tools/call", 2), &["params"]);
    assert_eq!(params, r#"{"name":"ask"}"#);

    let unable = Client::able(&mux, Era::Modern, r#"{"elicitation":{}}"#);
    let (code, _) = unable.send(&call(&unable, "b__ask", "")).error();
    assert_eq!(code, -32021);

    // A client of the server's own era knows the error.
    let old = able_legacy(&mux);
    let answer = old.send(&call(&old, "b__ask", ""));
    assert!(answer.response.contains(r#""elicitationId":"x1""#));
}
