//! The eras of backends: found by probing, fixed by the document, bridged.

use crate::support::{
    Client, Event, Peer, Setup, Step, at, elements, error, legacy, members, modern, result,
};

#[test]
fn each_legacy_revision_of_a_backend_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let peers = [
            Peer::new(crate::support::legacy_of(version, &["t"])),
            Peer::http(crate::support::legacy_of(version, &["t"])),
        ];
        let mux = Setup::one("stdio", &peers[0])
            .backend("http", &peers[1], "")
            .serve();
        let client = Client::modern(&mux);
        client.call("stdio__t", None).result();
        client.call("http__t", None).result();
        for peer in &peers {
            assert!(
                peer.messages("notifications/initialized").len() == 1,
                "{version}"
            );
        }
        let requests = peers[1].requests();
        let call = requests
            .iter()
            .find(|r| r.body.contains("tools/call"))
            .expect("a call");
        let header = call.header("mcp-protocol-version");
        assert!(
            header == Some(version) || version < "2025-06-18",
            "{version}: {header:?}"
        );
    }
}

#[test]
fn an_era_that_is_set_is_not_probed() {
    let old = Peer::new(legacy(&["t"]).on("server/discover", [Step::Exit(1)]));
    let new = Peer::new(modern(&["t"]).on("initialize", [Step::Exit(1)]));
    let mux = Setup::default()
        .backend("old", &old, "era: legacy")
        .backend("new", &new, "era: modern")
        .serve();
    let client = Client::modern(&mux);
    client.call("old__t", None).result();
    client.call("new__t", None).result();
    assert_eq!(
        (old.messages("server/discover").len(), old.starts()),
        (0, 1)
    );
    assert_eq!((new.messages("initialize").len(), new.starts()), (0, 1));
}

#[test]
fn an_old_server_is_found_whatever_it_makes_of_discovery() {
    let odd = [
        ("unknown", vec![error(-32601, "Method not found")]),
        ("params", vec![error(-32602, "Invalid request parameters")]),
        ("early", vec![error(-32002, "Server not initialized")]),
        ("exits", vec![Step::Exit(1)]),
        ("agrees", vec![result("{}")]),
        ("numbers", vec![result(r#"{"supportedVersions":1}"#)]),
    ];
    let peers =
        odd.map(|(name, steps)| (name, Peer::new(legacy(&["t"]).on("server/discover", steps))));
    let setup = peers.iter().fold(Setup::default(), |setup, (name, peer)| {
        setup.backend(name, peer, "")
    });
    let mux = setup.serve();
    let client = Client::legacy(&mux);
    for (name, _) in &peers {
        assert_eq!(
            client.call(&format!("{name}__t"), None).result(),
            r#"{"content":[{"type":"text","text":"done"}]}"#
        );
    }
}

#[test]
fn an_old_http_server_is_found_whatever_it_makes_of_discovery() {
    let answer = |status: u16, body: &str| {
        vec![Step::Respond {
            status,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.to_owned(),
        }]
    };
    let odd = [
        ("empty", answer(400, "")),
        (
            "session",
            answer(
                400,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}"#,
            ),
        ),
        ("missing", answer(404, "Not Found")),
        ("method", vec![error(-32601, "Method not found")]),
        ("unprocessable", answer(422, "Unexpected message")),
        ("agrees", vec![result("{}")]),
    ];
    let peers = odd.map(|(name, steps)| {
        (
            name,
            Peer::http(legacy(&["t"]).on("server/discover", steps)),
        )
    });
    let setup = peers.iter().fold(Setup::default(), |setup, (name, peer)| {
        setup.backend(name, peer, "")
    });
    let mux = setup.serve();
    let client = Client::legacy(&mux);
    for (name, _) in &peers {
        client.call(&format!("{name}__t"), None).result();
    }
}

#[test]
fn a_server_that_is_silent_on_discovery_is_found_to_be_old() {
    let peer = Peer::new(legacy(&["t"]).on("server/discover", []));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.call("b__t", None).result();
    // Where it answers late after all, that answer disturbs nothing.
    assert!(
        peer.events()
            .iter()
            .any(|event| matches!(event, Event::Message(m) if m.contains("server/discover")))
    );
}

#[test]
fn a_list_of_a_modern_client_says_how_long_it_holds() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let list = client.request("tools/list", "").result();
    assert_eq!(at(&list, &["resultType"]), r#""complete""#);
    assert_eq!(at(&list, &["cacheScope"]), r#""private""#);
    at(&list, &["ttlMs"]);
    let old = Client::legacy(&mux).request("tools/list", "").result();
    let keys: Vec<String> = members(&old).into_iter().map(|(key, _)| key).collect();
    assert!(
        keys.iter().all(|key| key == "tools" || key == "_meta"),
        "{keys:?}"
    );
    assert_eq!(
        elements(&at(&list, &["tools"])),
        elements(&at(&old, &["tools"]))
    );
}

#[test]
fn a_request_for_input_and_its_answer_pass_between_modern_peers_untouched() {
    let wants = r#"{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"s\u0074ate=="}"#;
    let given = r#"{"who":{"action":"accept","content":{"n":1.0}}}"#;
    let script = || {
        modern(&["t"]).turns(
            "tools/call t",
            [
                vec![result(wants)],
                vec![result(r#"{"resultType":"complete","content":[]}"#)],
            ],
        )
    };
    let peers = [Peer::new(script()), Peer::http(script())];
    let mux = Setup::one("stdio", &peers[0])
        .backend("http", &peers[1], "")
        .serve();
    let client = Client::modern(&mux);
    for (peer, tool) in peers.iter().zip(["stdio__t", "http__t"]) {
        assert_eq!(client.call(tool, None).result(), wants);
        let members =
            format!(r#""name":"{tool}","inputResponses":{given},"requestState":"s\u0074ate==""#);
        assert_eq!(
            at(
                &client.request("tools/call", &members).result(),
                &["content"]
            ),
            "[]"
        );
        let again = peer.message("tools/call", 2);
        assert_eq!(at(&again, &["params", "inputResponses"]), given);
        assert_eq!(at(&again, &["params", "requestState"]), r#""s\u0074ate==""#);
    }
}

#[test]
fn a_request_for_input_that_a_legacy_client_cannot_read_is_an_error() {
    let wants = r#"{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{}}},"requestState":"x"}"#;
    let peer = Peer::new(modern(&["t"]).tool("t", [result(wants)]));
    let mux = Setup::one("asks", &peer).serve();
    let (_, message) = Client::legacy(&mux).call("asks__t", None).error();
    assert!(message.contains("asks"), "{message}");
}

#[test]
fn a_legacy_result_that_has_a_result_type_of_its_own_gets_no_second_one() {
    let odd = r#"{"content":[],"resultType":"complete","ttlMs":1}"#;
    let peer = Peer::new(legacy(&["t"]).tool("t", [result(odd)]));
    let mux = Setup::one("b", &peer).serve();
    let found = members(&Client::modern(&mux).call("b__t", None).result());
    let kinds = found.iter().filter(|(key, _)| key == "resultType").count();
    assert_eq!(kinds, 1, "{found:?}");
}
