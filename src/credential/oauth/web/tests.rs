//! Tests against servers that answer wrongly.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;

use super::*;
use crate::credential::oauth::faults::{Answer, Server};

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

/// The client of a backend on loopback.
fn near() -> Web {
    Web::new(&url("http://127.0.0.1:1/mcp")).expect("a client")
}

/// The client of a backend at a public address, where every name resolves to
/// `address`.
fn far(address: SocketAddr) -> Web {
    let endpoint = url("https://1.1.1.1/mcp");
    Web::with_policy(Policy::with_lookup(&endpoint, move |_| {
        Box::pin(async move { Ok(vec![address]) })
    }))
}

async fn failure(web: &Web, url: &Url) -> String {
    web.get(url).await.expect_err("no answer").to_string()
}

async fn answering(answer: Answer) -> Server {
    Server::start(move |_, _| answer.clone()).await
}

#[tokio::test]
async fn a_document_is_asked_for_as_json_and_by_name() {
    let server = answering(Answer::Json(200, json!({ "a": 1 }))).await;
    let response = near().get(&server.url("/x?y=1")).await.expect("an answer");
    assert_eq!(response.body().as_ref(), b"{\"a\":1}");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /x?y=1");
    assert_eq!(asked.headers["accept"], "application/json");
    assert_eq!(asked.headers["user-agent"], USER_AGENT);
    assert!(asked.headers.contains_key("mcp-protocol-version"));
    for absent in ["accept-encoding", "cookie", "authorization"] {
        assert!(!asked.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    for answer in [Answer::Endless, Answer::Large(MAX_BODY + 1)] {
        let server = answering(answer).await;
        let failure = failure(&near(), &server.url("/x")).await;
        assert_eq!(
            failure,
            format!("GET {}/x answers with more than 1048576 bytes", server.base)
        );
    }
    let server = answering(Answer::Large(MAX_BODY)).await;
    assert!(near().get(&server.url("/x")).await.is_ok());
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_given_up() {
    for answer in [Answer::Drip, Answer::Silent] {
        let server = answering(answer).await;
        let web = near().within(Duration::from_millis(300));
        let error = web.get(&server.url("/x")).await.expect_err("no answer");
        assert!(matches!(error.kind, WebErrorKind::Slow(_)), "{error}");
        assert!(error.kind.is_transient());
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named_without_what_may_be_secret() {
    let server = answering(Answer::Silent).await;
    let gone = server.url("/x?token=s3cret#s3cret");
    drop(server);
    let error = near().get(&gone).await.expect_err("nobody");
    assert!(matches!(error.kind, WebErrorKind::Unreached(_)), "{error}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("/x cannot be reached") && !text.contains("s3cret"),
        "{text}"
    );
}

#[tokio::test]
async fn redirects_are_followed_three_times() {
    let server = Server::start(|base, asked| match asked.line.as_str() {
        "GET /3" => Answer::Redirect(302, "/2".to_owned()),
        "GET /2" => Answer::Redirect(308, format!("{base}/1")),
        "GET /1" => Answer::Redirect(303, "0#fragment".to_owned()),
        "GET /0" => Answer::Json(200, json!({})),
        _ => Answer::Redirect(301, "/3".to_owned()),
    })
    .await;
    assert!(near().get(&server.url("/3")).await.is_ok());
    let failure = failure(&near(), &server.url("/4")).await;
    assert_eq!(
        failure,
        format!(
            "GET {0}/4 redirects to {0}/0, which is one redirect too many",
            server.base
        )
    );
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_could_not_be_asked_directly() {
    for to in [
        "https://169.254.169.254/latest/meta-data/",
        "http://192.168.1.1/admin",
        "https://[fe80::1]/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ] {
        let server = answering(Answer::Redirect(302, to.to_owned())).await;
        let error = near().get(&server.url("/x")).await.expect_err(to);
        assert!(
            matches!(error.kind, WebErrorKind::Redirected { .. }),
            "{to}: {error}"
        );
        assert!(!error.kind.is_transient());
    }
}

#[test]
fn a_redirect_never_gives_up_tls() {
    let [secure, plain] = ["https://localhost/x", "http://localhost/x"].map(url);
    assert!(is_downgrade(&secure, &plain));
    assert!(!is_downgrade(&secure, &secure));
    assert!(!is_downgrade(&plain, &plain) && !is_downgrade(&plain, &secure));
}

#[tokio::test]
async fn a_backend_at_a_public_address_reaches_no_server_here_by_any_name() {
    let server = answering(Answer::Json(200, json!({}))).await;
    let address: SocketAddr = server.url("").socket_addrs(|| None).expect("an address")[0];
    let port = address.port();
    for name in [
        format!("https://rebound.example.com:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:7f00:1]:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("http://127.0.0.1:{port}/"),
    ] {
        let error = far(address).get(&url(&name)).await.expect_err(&name);
        assert!(
            matches!(error.kind, WebErrorKind::Refused(_)),
            "{name}: {error}"
        );
    }
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn every_request_is_made_to_an_address_that_was_judged_for_it() {
    let server = answering(Answer::Json(200, json!({}))).await;
    let address: SocketAddr = server.url("").socket_addrs(|| None).expect("an address")[0];
    let looked_up = Arc::new(AtomicUsize::new(0));
    // A name of this machine that is, from the second time on, another one.
    let lookup = {
        let looked_up = looked_up.clone();
        move |_| -> super::super::address::Found {
            let first = looked_up.fetch_add(1, Ordering::Relaxed) == 0;
            let elsewhere = SocketAddr::from(([169, 254, 169, 254], 80));
            Box::pin(async move { Ok(vec![if first { address } else { elsewhere }]) })
        }
    };
    let web = Web::with_policy(Policy::with_lookup(&url("http://127.0.0.1/"), lookup));
    let name = url(&format!("http://as.localhost:{}/", address.port()));
    assert!(web.get(&name).await.is_ok());
    let error = web.get(&name).await.expect_err("another address");
    assert!(matches!(error.kind, WebErrorKind::Refused(_)), "{error}");
    assert_eq!(looked_up.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_sent_is_never_sent_on() {
    let server = answering(Answer::Redirect(307, "/elsewhere?code=s3cret".to_owned())).await;
    let request = Request::post(server.url("/token").as_str())
        .header("authorization", "Basic s3cret")
        .body(b"grant_type=x".to_vec())
        .expect("a request");
    let error = near()
        .send(request)
        .await
        .expect_err("a redirect")
        .to_string();
    assert!(
        error.starts_with("POST ") && error.contains("/elsewhere, which"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
    assert_eq!(server.lines(), ["POST /token"]);
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let server = answering(Answer::Json(400, json!({ "error": "invalid_grant" }))).await;
    let request = Request::post(server.url("/token").as_str());
    let request = request.body(b"grant_type=x".to_vec()).expect("a request");
    let response = near().send(request).await.expect("an answer");
    assert_eq!(response.status(), 400);
    assert_eq!(response.body(), b"{\"error\":\"invalid_grant\"}");
    assert_eq!(server.asked()[0].body, "grant_type=x");
}
