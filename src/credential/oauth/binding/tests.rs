//! When tokens are bound, and what is done with those that are.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::{
    config::{Auth, Environment},
    credential::{
        Credential, Tries,
        oauth::{
            Login, dpop,
            faults::{Answer, Server},
            unattended::tests::login,
        },
    },
};

/// A backend with this challenge and these members more in its metadata, and in
/// that of its authorization server, which binds what it can.
async fn server(challenge: &'static str, resource: Value, server: Value) -> Server {
    let binds = server.get("dpop_signing_alg_values_supported").is_some();
    Server::start(move |base, asked| {
        let found = |mut document: Value, more: &Value| {
            for (name, value) in more.as_object().expect("an object") {
                document[name] = value.clone();
            }
            Answer::filled(&document, base)
        };
        match &*asked.line {
            "POST /mcp" => Answer::Page(401).with("www-authenticate", challenge),
            "POST /token" => {
                let is_bound = binds && asked.headers.contains_key("dpop");
                let kind = if is_bound { "DPoP" } else { "Bearer" };
                let token = json!({ "access_token": "t", "token_type": kind });
                Answer::Json(200, token).with("dpop-nonce", "of-server")
            }
            line if line.contains("oauth-protected-resource") => found(
                json!({ "resource": "BASE/mcp", "authorization_servers": ["BASE"] }),
                &resource,
            ),
            line if line.contains("oauth-authorization-server") => found(
                json!({ "issuer": "BASE", "token_endpoint": "BASE/token" }),
                &server,
            ),
            _ => Answer::Page(404),
        }
    })
    .await
}

fn es256() -> Value {
    json!({ "dpop_signing_alg_values_supported": ["RS256", "ES256"] })
}

fn own(server: &Server, dpop: &str) -> Arc<Login> {
    login(
        server,
        &format!("grant: client_credentials, client_id: c, client_secret: s, dpop: {dpop}"),
    )
}

/// Whether the token that is had is bound; else why there is none.
async fn is_bound(server: &Server, dpop: &str) -> Result<bool, String> {
    let (access, _) = own(server, dpop)
        .token()
        .await
        .map_err(|failure| failure.to_string())?;
    Ok(access.expect("a token").prover.is_some())
}

#[tokio::test]
async fn tokens_are_bound_where_both_sides_want_it() {
    let none = || json!({});
    let required = json!({ "dpop_bound_access_tokens_required": true });
    for (challenge, resource, of_server, expected) in [
        ("DPoP", none(), es256(), true),
        ("Bearer, DPoP algs=\"ES256\"", none(), es256(), true),
        ("Bearer", required.clone(), es256(), true),
        ("Bearer", none(), es256(), false),
        ("DPoP algs=\"EdDSA\"", none(), es256(), false),
        ("DPoP", required.clone(), none(), false),
        (
            "DPoP",
            required,
            json!({ "dpop_signing_alg_values_supported": ["RS256"] }),
            false,
        ),
    ] {
        let said = format!("{challenge} {resource} {of_server}");
        let server = server(challenge, resource, of_server).await;
        assert_eq!(is_bound(&server, "auto").await, Ok(expected), "{said}");
        assert_eq!(is_bound(&server, "off").await, Ok(false), "{said}");
    }
}

#[tokio::test]
async fn where_bound_tokens_are_required_no_others_are_used() {
    let bearer = "Bearer";
    let able = server(bearer, json!({}), es256()).await;
    assert_eq!(is_bound(&able, "required").await, Ok(true));
    let unable = server(bearer, json!({}), json!({})).await;
    let error = is_bound(&unable, "required").await.expect_err("no token");
    assert!(
        error.contains("not bound to a key, which auth.dpop requires"),
        "{error}"
    );
    let others = json!({ "dpop_signing_alg_values_supported": ["RS256"] });
    let others = server(bearer, json!({}), others).await;
    let error = is_bound(&others, "required").await.expect_err("no token");
    assert!(
        error.contains("no proofs of possession by ES256"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bound_token_is_carried_with_a_proof_and_the_nonce_that_is_wanted() {
    let server = server("DPoP", json!({}), es256()).await;
    let credential = Credential::new(
        &Auth::None,
        &Environment::default(),
        Some(own(&server, "auto")),
    );
    let uri = Uri::from_static("http://b.example/mcp?q");
    let carried = async || {
        let carried = credential.headers(&Method::GET, &uri).await;
        let carried = carried.expect("headers");
        assert_eq!(carried.headers["authorization"], "DPoP t");
        assert!(carried.headers.values().all(HeaderValue::is_sensitive));
        let claims = dpop::tests::claims(&carried.headers["dpop"]);
        assert_eq!(claims["htm"], "GET");
        assert_eq!(claims["htu"], "http://b.example/mcp");
        (carried.used, claims["nonce"].clone())
    };
    let asked = || {
        let lines = server.lines();
        lines.iter().filter(|line| *line == "POST /token").count()
    };
    let (used, nonce) = carried().await;
    assert_eq!(nonce, Value::Null);
    let mut refused = HeaderMap::new();
    refused.insert(
        "www-authenticate",
        HeaderValue::from_static("DPoP error=\"use_dpop_nonce\""),
    );
    refused.insert("dpop-nonce", HeaderValue::from_static("n"));
    let mut tries = Tries::default();
    let mut again = async |used: &_| {
        let again =
            credential.is_to_be_sent_again(used, &mut tries, StatusCode::UNAUTHORIZED, &refused);
        again.await.expect("an answer")
    };
    assert!(again(&used).await);
    assert_eq!(asked(), 1, "the token is as good as before");
    let (used, nonce) = carried().await;
    assert_eq!(nonce, "n");
    // It has what it wanted: now the token itself is tried.
    assert!(again(&used).await);
    assert_eq!(asked(), 2);
    assert!(!again(&carried().await.0).await);
    assert_eq!(asked(), 2);
    let keys: std::collections::BTreeSet<_> = server
        .asked()
        .iter()
        .filter_map(|asked| {
            Some(
                asked
                    .headers
                    .get("dpop")?
                    .to_str()
                    .ok()?
                    .split('.')
                    .next()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(keys.len(), 1, "one key for one login");
}

#[tokio::test]
async fn a_key_outlives_its_process_and_an_unbound_token_no_change_of_mind() {
    let server = server("DPoP", json!({}), es256()).await;
    let login = own(&server, "auto");
    login.token().await.expect("a token");
    let record = login.state().record.clone().expect("a record");
    let text = record.write().expect("text");
    let read = super::Record::read(&text).expect("a record");
    let thumbprint = |record: &super::Record| {
        let prover = record.dpop.as_ref().expect("a key");
        prover.thumbprint().to_owned()
    };
    assert_eq!(thumbprint(&read), thumbprint(&record));
    assert!(read.tokens.as_ref().expect("tokens").bound);
    assert!(own(&server, "required").bound(read).tokens.is_some());

    // As versions without bound tokens wrote it.
    let mut old: Value = serde_json::from_str(text.expose()).expect("JSON");
    old.as_object_mut().expect("an object").remove("dpop");
    old["tokens"]
        .as_object_mut()
        .expect("an object")
        .remove("bound");
    let old = crate::Secret::new(old.to_string());
    let read = || super::Record::read(&old).expect("a record");
    assert!(own(&server, "auto").bound(read()).tokens.is_some());
    assert!(own(&server, "required").bound(read()).tokens.is_none());
}
