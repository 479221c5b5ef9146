//! What is new in each sending, seen from the server.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::json;
use url::form_urlencoded;

use super::*;
use crate::{
    Secret,
    credential::oauth::{
        dpop,
        faults::{Answer, Server},
    },
};

fn key() -> Secret {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let key = STANDARD.encode(key.expect("a key").as_ref());
    Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"
    ))
}

/// What the server that `answer`s the numbered requests was sent: the claims of
/// the proof, and the form.
async fn sent(
    answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
) -> (
    StatusCode,
    Vec<(serde_json::Value, BTreeMap<String, String>)>,
) {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, _| answer(count.fetch_add(1, Ordering::SeqCst))).await;
    let web = Web::new(&server.url("/mcp")).expect("a client");
    let (key, prover) = (key(), Prover::new().expect("a key"));
    let sender = Sender {
        web: &web,
        to: None,
        asserted: Some(Asserted {
            key: SigningKey {
                pem: &key,
                algorithm: None,
            },
            client_id: "c",
            audience: "https://as.example",
        }),
        prover: Some(&prover),
    };
    let request = http::Request::post(server.url("/token?tenant=1").as_str());
    let request = request.body(b"grant_type=x".to_vec()).expect("a request");
    let response = sender.call(request).await.expect("an answer");
    let asked = server.asked().into_iter().map(|asked| {
        let claims = dpop::tests::claims(&asked.headers["dpop"]);
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], server.url("/token").as_str());
        let form = form_urlencoded::parse(asked.body.as_bytes()).into_owned();
        (claims, form.collect())
    });
    (response.status(), asked.collect())
}

fn wants(nonce: &'static str) -> Answer {
    Answer::Json(400, json!({ "error": "use_dpop_nonce" })).with("dpop-nonce", nonce)
}

#[tokio::test]
async fn a_request_is_sent_again_with_the_nonce_that_is_wanted() {
    let (status, sent) = sent(|number| match number {
        0 => wants("n"),
        _ => Answer::Json(200, json!({})),
    })
    .await;
    assert_eq!((status, sent.len()), (StatusCode::OK, 2));
    assert_eq!(sent[0].0.get("nonce"), None);
    assert_eq!(sent[1].0["nonce"], "n");
    assert_ne!(sent[0].0["jti"], sent[1].0["jti"]);
    // An assertion is good once as well.
    let assertions = [&sent[0].1, &sent[1].1].map(|form| &form["client_assertion"]);
    assert_ne!(assertions[0], assertions[1]);
    assert!(sent.iter().all(|(_, form)| form["grant_type"] == "x"));
}

#[tokio::test]
async fn a_server_that_is_never_content_is_not_asked_for_ever() {
    const NONCES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let (status, asked) = sent(|_| wants("n")).await;
    assert_eq!((status, asked.len()), (StatusCode::BAD_REQUEST, 2));
    let (status, asked) = sent(|number| wants(NONCES[number])).await;
    assert_eq!((status, asked.len()), (StatusCode::BAD_REQUEST, 3));
    let other = json!({ "error": "invalid_grant" });
    let (_, asked) = sent(move |_| Answer::Json(400, other.clone()).with("dpop-nonce", "n")).await;
    assert_eq!(asked.len(), 1);
}
