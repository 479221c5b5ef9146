//! What belongs to a call comes in order, before its response, and to its caller.

use std::{collections::BTreeSet, thread};

use super::House;
use crate::support::{
    Client, Peer, Script, Setup, Step, at, legacy, member, members, progress, result, text,
};

#[test]
fn progress_comes_before_the_response_in_order_and_unchanged_but_for_its_token() {
    let steps = [
        r#""progress":1.0,"total":3e0,"message":"\ud83d","x":{"y":[ ]}"#,
        r#""progress":2,"total":3"#,
        r#""message":"é","progress":2.50"#,
    ];
    let house = House::build(&["t"], |script, modern| {
        let kind = if modern {
            r#""resultType":"complete","#
        } else {
            ""
        };
        let mut tool: Vec<Step> = steps.iter().map(|members| progress(members)).collect();
        tool.push(result(&format!(r#"{{{kind}"content":[]}}"#)));
        // Over HTTP several messages need a stream, whichever answer others get.
        script.tool("t", tool)
    });
    // A JSON body carries one message only, so those backends are left out.
    house.each_cell(|client, _, backend, cell| {
        if backend.name.starts_with("json") {
            return;
        }
        for token in ["0", "9007199254740993", r#""a\/\u0062""#, r#""""#] {
            let answer = client.call_with_token(&format!("{}__t", backend.name), token);
            let expected: Vec<Vec<(String, String)>> = steps
                .iter()
                .map(|step| members(&format!(r#"{{"progressToken":{token},{step}}}"#)))
                .collect();
            let got: Vec<_> = answer
                .before
                .iter()
                .map(|m| members(&at(m, &["params"])))
                .collect();
            assert_eq!(got, expected, "{cell}, token {token}");
            assert!(answer.streamed, "{cell}");
            answer.result();
        }
        let answer = client.call(&format!("{}__t", backend.name), None);
        assert!(
            answer.before.is_empty(),
            "{cell}: progress that nobody asked for: {:?}",
            answer.before
        );
    });
}

#[test]
fn thirty_two_calls_at_once_each_get_their_own_progress_and_result() {
    let names: Vec<String> = (0..32).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = |name: &str, kind: &str| {
        vec![
            progress(&format!(r#""progress":1,"message":"{name}""#)),
            Step::Await("all here".to_owned()),
            progress(&format!(r#""progress":2,"message":"{name}""#)),
            result(&format!(r#"{{{kind}"content":[],"own":"{name}"}}"#)),
        ]
    };
    let house = House::build(&names, |script, modern| {
        let kind = if modern {
            r#""resultType":"complete","#
        } else {
            ""
        };
        names
            .iter()
            .fold(script, |script, name| script.tool(name, own(name, kind)))
    });
    house.each_cell(|client, _, backend, cell| {
        if backend.name.starts_with("json") {
            return;
        }
        let before = backend.peer.messages("tools/call").len();
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(move || {
                    // The same id and token for all: what tells them apart is the exchange.
                    let members = format!(r#""name":"{}__{name}""#, backend.name);
                    let id = if cell.starts_with("legacy") {
                        client.id()
                    } else {
                        "1".to_owned()
                    };
                    let token = if cell.starts_with("legacy") {
                        format!("{name:?}")
                    } else {
                        "7".to_owned()
                    };
                    let answer =
                        client.send(&client.spell(&id, "tools/call", Some(&token), &members));
                    for (n, message) in answer.before.iter().enumerate() {
                        let params = at(message, &["params"]);
                        assert_eq!(text(&at(&params, &["message"])), **name, "{cell}");
                        assert_eq!(at(&params, &["progress"]), (n + 1).to_string(), "{cell}");
                        assert_eq!(at(&params, &["progressToken"]), token, "{cell}");
                    }
                    assert_eq!(answer.before.len(), 2, "{cell}, {name}: {answer:?}");
                    assert_eq!(text(&at(&answer.result(), &["own"])), **name, "{cell}");
                });
            }
            backend.peer.message("tools/call", before + names.len());
            backend.peer.open("all here");
        });
        // Each had its own id and its own token at the backend.
        let calls = backend.peer.messages("tools/call").split_off(before);
        let tokens: BTreeSet<String> = calls
            .iter()
            .map(|call| at(call, &["params", "_meta", "progressToken"]))
            .collect();
        if backend.name.starts_with("stdio") {
            let ids: BTreeSet<String> = calls.iter().map(|call| at(call, &["id"])).collect();
            assert_eq!((ids.len(), tokens.len()), (32, 32), "{cell}");
        }
    });
}

#[test]
fn what_follows_the_response_never_leaves() {
    let late = progress(r#""progress":9"#);
    let script = |base: Script| {
        base.tool(
            "t",
            [
                progress(r#""progress":1"#),
                result(r#"{"content":[]}"#),
                late.clone(),
                result(r#"{"second":1}"#),
            ],
        )
    };
    let stdio = Peer::new(script(legacy(&["t"])));
    let http = Peer::http(script(legacy(&["t"])).streamed("tools/call t"));
    let mux = Setup::one("stdio", &stdio)
        .backend("http", &http, "")
        .serve();
    let client = Client::legacy(&mux);
    for tool in ["stdio__t", "http__t", "stdio__t", "http__t"] {
        // `Answer::read` reads to the stream's end and fails on what follows.
        let answer = client.call_with_token(tool, "1");
        assert_eq!(answer.before.len(), 1, "{tool}");
        assert_eq!(answer.result(), r#"{"content":[]}"#, "{tool}");
    }
}

#[test]
fn log_messages_of_a_call_over_http_come_on_its_own_stream() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"a":1.0}}}"#;
    let peer = Peer::http(
        legacy(&["t"])
            .tool(
                "t",
                [Step::Send(log.to_owned()), result(r#"{"content":[]}"#)],
            )
            .streamed("tools/call t"),
    );
    let mux = Setup::one("b", &peer).serve();
    let answer = Client::legacy(&mux).call("b__t", None);
    assert_eq!(answer.before, [log]);
}

#[test]
fn a_request_of_the_backend_within_a_call_never_hangs_the_call() {
    let ask = r#"{"jsonrpc":"2.0","id":"q1","method":"METHOD","params":{"message":"who?","requestedSchema":{"type":"object","properties":{}}}}"#;
    let elicit = Step::Send(ask.replace("METHOD", "elicitation/create"));
    let stdio = Peer::new(legacy(&["t"]).tool(
        "t",
        [
            elicit.clone(),
            Step::Await("answered".to_owned()),
            result(r#"{"content":[]}"#),
        ],
    ));
    let mux = Setup::one("b", &stdio).serve();
    let client = Client::legacy(&mux);
    thread::scope(|scope| {
        let call = scope.spawn(|| client.call("b__t", None));
        // The client declared no capability: the backend is told so, at once.
        let refusal = stdio.message("response", 1);
        assert_eq!(at(&refusal, &["id"]), r#""q1""#);
        assert!(member(&refusal, "error").is_some(), "{refusal}");
        stdio.open("answered");
        call.join().expect("the call ends").result();
    });
}

#[test]
fn a_ping_of_the_backend_is_answered() {
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#.to_owned();
    let peer = Peer::new(legacy(&["t"]).on("notifications/initialized", [Step::Send(ping)]));
    let mux = Setup::one("b", &peer).serve();
    Client::legacy(&mux).call("b__t", None).result();
    let answer = peer.message("response", 1);
    assert_eq!(
        (at(&answer, &["id"]), at(&answer, &["result"])),
        (r#""p""#.to_owned(), "{}".to_owned())
    );
}
