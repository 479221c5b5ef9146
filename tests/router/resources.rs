//! Resources and their templates: whole, under their own URIs, from memory.

use crate::support::{
    Client, Peer, Setup, at, elements, error, legacy_with, member, modern_with, result, text,
};

const OFFERED: &str = r#"{"resources":{"listChanged":true}}"#;

fn uris(list: &str, member: &str, key: &str) -> Vec<String> {
    let uri = |definition: &String| text(&at(definition, &[key]));
    elements(&at(list, &[member])).iter().map(uri).collect()
}

#[test]
fn definitions_arrive_as_they_left_in_each_eras_form() {
    let resource = r#"{ "uri":"file:///a\u0062","name":"A","size":1e3, "_meta":{"x/y":[ 1.0 ]},"annotations":{"priority":0.70}}"#;
    let template = r#"{"uriTemplate":"file:///{+path}","name":"T" ,"icons":[{"src":"data:,"}]}"#;
    for script in [legacy_with(OFFERED), modern_with(OFFERED)] {
        let script = script
            .list("resources", resource)
            .list("resourceTemplates", template);
        for peer in [Peer::new(script.clone()), Peer::http(script)] {
            let mux = Setup::default()
                .backend("b", &peer, "description: About it")
                .serve();
            let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
            for (method, list, definition) in [
                ("resources/list", "resources", resource),
                ("resources/templates/list", "resourceTemplates", template),
            ] {
                assert_eq!(
                    old.list(method, "file:"),
                    format!(r#"{{"{list}":[{definition}]}}"#)
                );
                let result = new.list(method, "file:");
                assert_eq!(at(&result, &[list]), format!("[{definition}]"));
                assert_eq!(at(&result, &["resultType"]), r#""complete""#);
                assert_eq!(at(&result, &["cacheScope"]), r#""private""#);
                at(&result, &["ttlMs"]);
                at(&result, &["_meta", "io.modelcontextprotocol/serverInfo"]);
                let asked = peer.messages(method).len();
                new.request(method, "").result();
                assert_eq!(peer.messages(method).len(), asked, "it is asked again");
            }
        }
    }
}

#[test]
fn a_uri_that_two_backends_list_stays_with_the_first() {
    let script = |own: &str| {
        let resource = |uri: &str| format!(r#"{{"uri":"{uri}","name":"n","x":1.0}}"#);
        legacy_with(OFFERED)
            .list(
                "resources",
                &format!("{},{}", resource("doc:shared"), resource(own)),
            )
            .list("resourceTemplates", r#"{"uriTemplate":"t:{x}","name":"T"}"#)
    };
    let (one, two) = (Peer::new(script("doc:1")), Peer::http(script("doc:2")));
    // The order is the document's, whoever comes first.
    let mux = Setup::one("zeta", &one).backend("alpha", &two, "").serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        let list = client.list("resources/list", "alpha+doc:shared");
        assert_eq!(
            uris(&list, "resources", "uri"),
            ["doc:shared", "doc:1", "alpha+doc:shared", "doc:2"]
        );
        assert_eq!(
            elements(&at(&list, &["resources"]))[2],
            r#"{"uri":"alpha+doc:shared","name":"n","x":1.0}"#
        );
        let list = client.list("resources/templates/list", "alpha");
        assert_eq!(
            uris(&list, "resourceTemplates", "uriTemplate"),
            ["t:{x}", "alpha+t:{x}"]
        );
    }
}

#[test]
fn all_pages_are_read_and_a_cursor_that_comes_again_ends_the_list() {
    let page = |uri: &str, next: &str| {
        [result(&format!(
            r#"{{"resources":[{{"uri":"{uri}","name":"n"}}],"nextCursor":"{next}"}}"#
        ))]
    };
    let script = legacy_with(OFFERED)
        .on("resources/list", page("r:1", "two"))
        .on("resources/list two", page("r:2", "three"))
        .on("resources/list three", page("r:3", "two"))
        .on(
            "resources/templates/list",
            [error(-32601, "Method not found")],
        );
    for peer in [Peer::new(script.clone()), Peer::http(script)] {
        let mux = Setup::one("b", &peer).serve();
        let client = Client::legacy(&mux);
        let list = client.list("resources/list", "r:3");
        assert_eq!(uris(&list, "resources", "uri"), ["r:1", "r:2", "r:3"]);
        let warning = mux.logged("cursor");
        assert!(warning.contains("resource"), "{warning}");
        assert_eq!(peer.messages("resources/list").len(), 3);
        // Not having templates is nothing to speak of.
        assert_eq!(
            client.request("resources/templates/list", "").result(),
            r#"{"resourceTemplates":[]}"#
        );
        assert!(!mux.log().contains("could not be read"), "{}", mux.log());
    }
}

#[test]
fn a_list_without_end_is_bounded() {
    let endless = result(r#"{"resources":[],"nextCursor":"c$ID"}"#);
    let peer = Peer::new(legacy_with(OFFERED).on("resources/list", [endless]));
    let mux = Setup::one("endless", &peer).serve();
    let warning = mux.logged("does not end");
    assert!(warning.contains("resource"), "{warning}");
}

#[test]
fn a_list_that_cannot_be_read_takes_nothing_else_with_it() {
    let script = legacy_with(r#"{"tools":{},"resources":{},"prompts":{}}"#)
        .list("tools", r#"{"name":"t","inputSchema":{"type":"object"}}"#)
        .list(
            "resources",
            r#"{"name":"no uri"},{"uri":"r:1","name":"n"},{"uri":"r:1","name":"again"}"#,
        )
        .on("resources/templates/list", [error(-32603, "not today")])
        .on("prompts/list", [result(r#"{"prompts":7}"#)]);
    let peer = Peer::new(script);
    let mux = Setup::one("odd", &peer).serve();
    let client = Client::modern(&mux);
    client.await_names(&["odd__t"]);
    let list = client.list("resources/list", "r:1");
    assert_eq!(at(&list, &["resources"]), r#"[{"uri":"r:1","name":"n"}]"#);
    for said in [
        "not today",
        "list of prompts",
        "it has no uri",
        "listed twice",
    ] {
        let line = mux.logged(said);
        assert!(line.contains("WARN") && line.contains("odd"), "{line}");
    }
}

#[test]
fn what_is_not_offered_is_not_asked_for() {
    let peer = Peer::new(legacy_with(r#"{"prompts":{}}"#).list("prompts", ""));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    for (method, empty) in [
        ("tools/list", r#"{"tools":[]}"#),
        ("resources/list", r#"{"resources":[]}"#),
        ("resources/templates/list", r#"{"resourceTemplates":[]}"#),
        ("prompts/list", r#"{"prompts":[]}"#),
    ] {
        assert_eq!(client.request(method, "").result(), empty);
        let offered = usize::from(method == "prompts/list");
        assert_eq!(peer.messages(method).len(), offered, "{method}");
    }
}

#[test]
fn a_client_that_invents_a_cursor_is_told() {
    let peer = Peer::new(legacy_with(OFFERED));
    let mux = Setup::one("b", &peer).serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        for method in ["resources/list", "resources/templates/list", "prompts/list"] {
            let answer = client.request(method, r#""cursor":"invented""#);
            assert_eq!(answer.error().0, -32602, "{method}");
            let list = client.request(method, r#""cursor":null"#).result();
            assert_eq!(member(&list, "nextCursor"), None);
        }
    }
}
