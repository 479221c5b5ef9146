//! Methods that the specification does not know go to whom they can belong to.

use crate::support::{Client, Peer, Setup, at, legacy, modern, result};

#[test]
fn an_unknown_method_goes_to_the_only_backend_and_its_answer_comes_back() {
    let answer = r#"{"resultType":"complete","x":1.0}"#;
    for peer in [
        Peer::new(legacy(&["t"]).on("acme/do", [result(answer)])),
        Peer::http(modern(&["t"]).on("acme/do", [result(answer)])),
    ] {
        let mux = Setup::one("b", &peer).serve();
        let client = Client::modern(&mux);
        let got = client
            .request("acme/do", r#""n":2e0,"name":"b__t""#)
            .result();
        assert_eq!(got, answer);
        let sent = at(&peer.message("acme/do", 1), &["params"]);
        assert_eq!(at(&sent, &["n"]), "2e0");
        assert_eq!(at(&sent, &["name"]), r#""b__t""#, "no name is known in it");
    }
}

#[test]
fn an_unknown_notification_goes_to_the_only_backend() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let told = r#"{"jsonrpc":"2.0","method":"notifications/acme/told","params":{"n":1.0}}"#;
    client.notify(told);
    assert_eq!(peer.message("notifications/acme/told", 1), told);
    client.notify(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    client.call("b__t", None).result();
    let roots = peer.messages("notifications/roots/list_changed");
    assert_eq!(roots.len(), 0, "it shares the backend with others");
}

#[test]
fn with_several_backends_an_unknown_method_belongs_to_nobody() {
    let peers = [Peer::new(legacy(&["t"])), Peer::new(legacy(&["u"]))];
    let mux = Setup::one("a", &peers[0])
        .backend("b", &peers[1], "")
        .serve();
    let (code, _) = Client::legacy(&mux).request("acme/do", "").error();
    assert_eq!(code, -32601);
    for peer in &peers {
        assert_eq!(peer.messages("acme/do").len(), 0);
    }
}

#[test]
fn what_one_era_has_and_the_other_has_not_is_not_taken_for_an_extension() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    for method in ["ping", "logging/setLevel", "resources/subscribe"] {
        let (code, _) = Client::modern(&mux).request(method, "").error();
        assert_eq!(code, -32601, "{method}");
    }
    for method in [
        "server/discover",
        "subscriptions/listen",
        "elicitation/create",
    ] {
        let (code, _) = Client::legacy(&mux).request(method, "").error();
        assert_eq!(code, -32601, "{method}");
    }
}

#[test]
fn with_several_backends_an_extensions_method_belongs_to_the_one_that_has_the_extension() {
    let has = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"com.acme/skills":{}}},"ttlMs":0,"cacheScope":"private"}"#;
    let script = modern(&["t"])
        .on("server/discover", [result(has)])
        .on("skills/get", [result(r#"{"resultType":"complete"}"#)]);
    let (skilled, other) = (Peer::http(script), Peer::new(legacy(&["u"])));
    let mux = Setup::one("a", &other).backend("b", &skilled, "").serve();
    Client::wait_for(&mux, "b__t");
    Client::modern(&mux).request("skills/get", "").result();
    assert_eq!(other.messages("skills/get").len(), 0);
    let (code, _) = Client::modern(&mux).request("other/get", "").error();
    assert_eq!(code, -32601);
}
