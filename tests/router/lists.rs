//! How lists are made: whole, ordered, bounded, from memory.

use std::thread;

use super::DONE;
use crate::support::{
    Client, Peer, Setup, Step, at, definitions, elements, eventually, legacy, member, modern,
    result,
};

fn page(tools: &[&str], next: Option<&str>) -> Vec<Step> {
    let next = next
        .map(|next| format!(r#","nextCursor":"{next}""#))
        .unwrap_or_default();
    vec![result(&format!(
        r#"{{"tools":[{}]{next}}}"#,
        definitions(tools)
    ))]
}

#[test]
fn lists_keep_the_order_of_the_document_and_of_each_backend() {
    let slow = Peer::new(
        legacy(&["z", "a", "m"]).turns(
            "initialize",
            [[
                vec![Step::Await("go".to_owned())],
                legacy(&[]).on["initialize"][0].clone(),
            ]
            .concat()],
        ),
    );
    let fast = Peer::new(legacy(&["q", "b"]));
    let mux = Setup::one("zeta", &slow)
        .backend("alpha", &fast, "")
        .serve();
    let client = Client::legacy(&mux);
    slow.message("initialize", 1);
    slow.open("go");
    let order = ["zeta__z", "zeta__a", "zeta__m", "alpha__q", "alpha__b"];
    client.await_names(&order);
    for client in [Client::modern(&mux), Client::legacy(&mux)] {
        let first = client.request("tools/list", "").result();
        assert_eq!(client.names(), order);
        assert_eq!(client.request("tools/list", "").result(), first);
    }
}

#[test]
fn all_pages_of_a_list_are_read() {
    for http in [false, true] {
        let script = legacy(&["a", "b", "c"])
            .on("tools/list", page(&["a"], Some("p 2/\u{e9}")))
            .on("tools/list p 2/\u{e9}", page(&["b"], Some("")))
            .on("tools/list ", page(&["c"], None));
        let peer = if http {
            Peer::http(script)
        } else {
            Peer::new(script)
        };
        let mux = Setup::one("b", &peer).serve();
        let client = Client::legacy(&mux);
        client.await_names(&["b__a", "b__b", "b__c"]);
        client.call("b__c", None).result();
    }
}

#[test]
fn a_cursor_that_comes_again_ends_the_list_with_a_warning() {
    let peer = Peer::new(
        legacy(&["a", "b"])
            .on("tools/list", page(&["a"], Some("again")))
            .on("tools/list again", page(&["b"], Some("again"))),
    );
    let mux = Setup::one("loops", &peer).serve();
    let client = Client::legacy(&mux);
    client.await_names(&["loops__a", "loops__b"]);
    let warning = mux.logged("cursor");
    assert!(
        warning.contains("loops") && warning.contains("WARN"),
        "{warning}"
    );
    assert!(peer.messages("tools/list").len() <= 3);
}

#[test]
fn a_list_without_end_is_bounded() {
    let endless = result(r#"{"tools":[],"nextCursor":"c$ID"}"#);
    let peer = Peer::new(legacy(&["a"]).on("tools/list", [endless]));
    let other = Peer::new(legacy(&["t"]));
    let mux = Setup::one("endless", &peer)
        .backend("other", &other, "")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("other__t", None).result(), DONE);
    mux.logged("pages");
}

#[test]
fn a_tool_that_comes_twice_is_listed_once() {
    let peer = Peer::new(
        legacy(&["a", "b"])
            .on("tools/list", page(&["a"], Some("2")))
            .on("tools/list 2", page(&["b", "a"], None)),
    );
    let mux = Setup::one("b", &peer).serve();
    Client::legacy(&mux).await_names(&["b__a", "b__b"]);
}

#[test]
fn what_is_no_definition_is_left_out_and_said() {
    let tools = r#"{"tools":[7,{"description":"nameless"},{"name":3},{"name":""},{"name":"good","inputSchema":{"type":"object"}}]}"#;
    let peer = Peer::new(legacy(&["good"]).on("tools/list", [result(tools)]));
    let mux = Setup::one("odd", &peer).serve();
    Client::legacy(&mux).await_names(&["odd__good"]);
    let line = mux.logged("a tool is left out");
    assert!(line.contains("WARN") && line.contains("odd"), "{line}");
}

#[test]
fn a_tool_with_a_broken_header_annotation_is_left_out_over_http() {
    let tool = |name: &str, property: &str| {
        format!(
            r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{{property}}}}}}}"#
        )
    };
    let tools = [
        tool("good", r#""a":{"type":"string","x-mcp-header":"A"}"#),
        tool("empty", r#""a":{"type":"string","x-mcp-header":""}"#),
        tool("space", r#""a":{"type":"string","x-mcp-header":"A B"}"#),
        tool("kind", r#""a":{"type":"number","x-mcp-header":"A"}"#),
        tool(
            "twice",
            r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}"#,
        ),
        tool(
            "array",
            r#""a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}"#,
        ),
    ]
    .join(",");
    let list = result(&format!(
        r#"{{"resultType":"complete","tools":[{tools}],"ttlMs":0,"cacheScope":"private"}}"#
    ));
    let peer = Peer::http(modern(&["good"]).on("tools/list", [list]));
    let mux = Setup::one("web", &peer).serve();
    Client::modern(&mux).await_names(&["web__good"]);
    assert!(mux.logged("x-mcp-header").contains("web"));
}

#[test]
fn lists_are_answered_without_asking_the_backend() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let asked = peer.messages("tools/list").len();
    for _ in 0..20 {
        client.names();
    }
    assert_eq!(peer.messages("tools/list").len(), asked);
}

#[test]
fn a_client_that_invents_a_cursor_is_told() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        assert_eq!(
            client
                .request("tools/list", r#""cursor":"invented""#)
                .error()
                .0,
            -32602
        );
    }
}

#[test]
fn a_backend_that_is_not_enabled_is_not_started() {
    let off = Peer::new(legacy(&["t"]));
    let on = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend("off", &off, "enabled: false")
        .backend("on", &on, "")
        .serve();
    let client = Client::legacy(&mux);
    client.await_names(&["on__t"]);
    client.call("off__t", None).error();
    assert_eq!(off.starts(), 0);
}

#[test]
fn no_backends_at_all_is_an_empty_list() {
    let mux = Setup::default().serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        assert_eq!(
            at(&client.request("tools/list", "").result(), &["tools"]),
            "[]"
        );
    }
}

#[test]
fn the_first_list_waits_for_the_backends_that_are_on_their_way() {
    let slow = Peer::new(
        legacy(&["t"]).turns(
            "initialize",
            [[
                vec![Step::Wait(700)],
                legacy(&[]).on["initialize"][0].clone(),
            ]
            .concat()],
        ),
    );
    let mux = Setup::one("slow", &slow).serve();
    assert_eq!(Client::modern(&mux).names(), ["slow__t"]);
}

#[test]
fn a_call_waits_for_its_backend_that_is_on_its_way_and_others_do_not() {
    let slow = Peer::new(
        legacy(&["t"]).turns(
            "initialize",
            [[
                vec![Step::Await("go".to_owned())],
                legacy(&[]).on["initialize"][0].clone(),
            ]
            .concat()],
        ),
    );
    let fast = Peer::new(legacy(&["t"]));
    let mux = Setup::one("slow", &slow).backend("fast", &fast, "").serve();
    let client = Client::modern(&mux);
    thread::scope(|scope| {
        let waits = scope.spawn(|| client.call("slow__t", None).result());
        client.call("fast__t", None).result();
        slow.message("initialize", 1);
        slow.open("go");
        assert!(waits.join().expect("the call ends").contains("done"));
    });
}

#[test]
fn a_catalog_of_many_backends_and_tools_is_whole() {
    let names: Vec<String> = (0..200).map(|n| format!("tool-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let peers: Vec<Peer> = (0..5).map(|_| Peer::new(legacy(&names))).collect();
    let setup = peers
        .iter()
        .enumerate()
        .fold(Setup::default(), |setup, (n, peer)| {
            setup.backend(&format!("b{n}"), peer, "")
        });
    let mux = setup.serve();
    let client = Client::legacy(&mux);
    eventually("a thousand tools", || {
        (client.names().len() == 1000).then_some(())
    });
    let list = client.request("tools/list", "").result();
    assert_eq!(member(&list, "nextCursor"), None);
    assert_eq!(elements(&at(&list, &["tools"])).len(), 1000);
}
