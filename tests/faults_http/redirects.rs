//! Redirects to another origin, which must learn no secret.

use crate::support::{Client, Peer, Script, Setup, Step, legacy};

#[test]
fn a_redirect_to_another_origin_never_carries_the_credential() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Peer::http(legacy(&["t"]));
        let redirect = Step::Respond {
            status,
            headers: vec![("Location".to_owned(), elsewhere.url())],
            body: String::new(),
        };
        let peer = Peer::http(
            Script::default()
                .on("server/discover", [redirect.clone()])
                .on("initialize", [redirect]),
        );
        let mux = Setup::default()
            .backend(
                "web",
                &peer,
                "auth: {type: bearer, token: hush-hush}\nheaders: {X-Api-Key: hush-too}",
            )
            .serve();
        peer.message("server/discover", 1);
        // It is unavailable or works without: the answer of a call tells that all was tried.
        Client::legacy(&mux).call("web__t", None);
        let sent = format!("{:?}", elsewhere.requests());
        assert!(!sent.contains("hush"), "{status}: {sent}");
        assert!(
            format!("{:?}", peer.requests()).contains("Bearer hush-hush"),
            "{status}"
        );
    }
}

#[test]
fn a_redirect_of_a_call_is_not_followed_with_the_session_either() {
    let elsewhere = Peer::http(legacy(&["t"]));
    let redirect = Step::Respond {
        status: 307,
        headers: vec![("Location".to_owned(), elsewhere.url())],
        body: String::new(),
    };
    let peer = Peer::http(legacy(&["t"]).sessions(&["s-1"]).tool("t", [redirect]));
    let mux = Setup::default()
        .backend("web", &peer, "auth: {type: bearer, token: hush-hush}")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("web__t");
    client.call("web__t", Some(r#"{"x":1}"#));
    for request in elsewhere.requests() {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("mcp-session-id"), None);
    }
}

#[test]
fn a_redirect_within_the_origin_is_followed_with_method_body_and_credential() {
    let redirect = Step::Respond {
        status: 307,
        headers: vec![("Location".to_owned(), "/mcp/".to_owned())],
        body: String::new(),
    };
    let peer = Peer::http(legacy(&["t"]).on("/mcp", [redirect]));
    let mux = Setup::default()
        .backend("web", &peer, "auth: {type: bearer, token: hush-hush}")
        .serve();
    let client = Client::legacy(&mux);
    client.call("web__t", Some(r#"{"x":1.0}"#)).result();
    let requests = peer.requests();
    let call = requests
        .iter()
        .find(|r| r.path == "/mcp/" && r.body.contains("tools/call"))
        .expect("the call arrives");
    assert!(
        call.body.contains(r#""arguments":{"x":1.0}"#),
        "{}",
        call.body
    );
    assert_eq!(call.header("authorization"), Some("Bearer hush-hush"));
}
