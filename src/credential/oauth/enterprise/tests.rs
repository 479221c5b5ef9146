//! The two exchanges, against an identity provider and an authorization server
//! that do as told.

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded;

use crate::credential::oauth::{
    faults::{Answer, Server},
    unattended::tests::login,
};
use serde_json::json;

/// The server that is everything: the backend's metadata, the authorization
/// server at `/as`, and the identity provider at `/idp`, which answers an
/// exchange with `granted`.
async fn server(status: u16, granted: Value) -> Server {
    let metadata = [
        (
            "GET /.well-known/oauth-protected-resource/mcp",
            json!({ "resource": "BASE/mcp", "authorization_servers": ["BASE/as"] }),
        ),
        (
            "GET /.well-known/oauth-authorization-server/as",
            json!({
                "issuer": "BASE/as", "token_endpoint": "BASE/as/token",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }),
        ),
        (
            "GET /.well-known/openid-configuration/idp",
            json!({
                "issuer": "BASE/idp", "token_endpoint": "BASE/idp/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }),
        ),
    ];
    Server::start(move |base, asked| match &*asked.line {
        "POST /idp/token" => Answer::Json(status, granted.clone()),
        "POST /as/token" => Answer::Json(200, json!({ "access_token": "t" })),
        line => {
            let found = metadata.iter().find(|(own, _)| *own == line);
            found.map_or(Answer::Page(404), |(_, document)| {
                Answer::filled(document, base)
            })
        }
    })
    .await
}

fn granted() -> Value {
    json!({
        "access_token": "an.id.jag", "token_type": "N_A", "scope": "a",
        "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag",
    })
}

fn keys(place: &str) -> String {
    format!(
        "scopes: [a, b], grant: enterprise_managed, identity_token: s3cret.id.token, \
         client_id: at-as, client_secret: s3cret-as, idp_client_id: at-idp, {place}"
    )
}

/// What was posted to `path`, and with which `Authorization`.
fn posted(server: &Server, path: &str) -> (BTreeMap<String, String>, Option<String>) {
    let line = format!("POST {path}");
    let mut asked: Vec<_> = server.asked();
    asked.retain(|asked| asked.line == line);
    assert_eq!(asked.len(), 1, "{path}");
    let authorization = asked[0].headers.get("authorization");
    (
        form_urlencoded::parse(asked[0].body.as_bytes())
            .into_owned()
            .collect(),
        authorization.map(|value| value.to_str().expect("text").to_owned()),
    )
}

fn form(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    fields.iter().map(owned).collect()
}

#[tokio::test]
async fn an_identity_token_becomes_a_grant_and_that_an_access_token() {
    let server = server(200, granted()).await;
    let place = format!(
        "idp_issuer: '{}/idp', idp_client_secret: s3cret-idp",
        server.base
    );
    let login = login(&server, &keys(&place));
    let (token, _) = login.token().await.expect("a token");
    assert_eq!(token.expect("a token").token.expose(), "t");
    let (exchange, authorization) = posted(&server, "/idp/token");
    let (issuer, resource) = (
        format!("{}/as", server.base),
        format!("{}/mcp", server.base),
    );
    assert_eq!(
        exchange,
        form(&[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange"
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:id-jag"
            ),
            ("audience", &issuer),
            ("resource", &resource),
            ("scope", "a b"),
            ("subject_token", "s3cret.id.token"),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token"
            ),
            ("client_id", "at-idp"),
            ("client_secret", "s3cret-idp"),
        ])
    );
    assert_eq!(authorization, None);
    let (token, authorization) = posted(&server, "/as/token");
    assert_eq!(
        token,
        form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", "an.id.jag"),
            ("resource", &resource),
        ])
    );
    assert!(authorization.expect("a proof").starts_with("Basic "));
    let state = login.state();
    assert_eq!(state.tokens().expect("tokens").scopes, ["a"]);
}

#[tokio::test]
async fn a_public_client_of_a_provider_known_by_its_token_endpoint_names_itself() {
    let server = server(200, granted()).await;
    let place = format!("idp_token_endpoint: '{}/idp/token'", server.base);
    let login = login(&server, &keys(&place));
    login.token().await.expect("a token");
    let (exchange, authorization) = posted(&server, "/idp/token");
    assert_eq!(exchange["client_id"], "at-idp");
    assert_eq!(authorization, None);
    assert!(!server.lines().iter().any(|line| line.contains("openid")));
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_as_its_word_and_goes_no_further() {
    let refused = json!({ "error": "access_denied", "error_description": "not yours" });
    let another = json!({
        "access_token": "s3cret", "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    for (status, answer, expected) in [
        (
            400,
            refused,
            "the identity provider answered access_denied: not yours",
        ),
        (200, another, "the identity provider gave another token"),
        (
            200,
            json!({ "access_token": "s3cret" }),
            "the identity provider gave another token",
        ),
        (502, json!({}), "the identity provider gave an answer (502"),
    ] {
        let server = server(status, answer).await;
        let place = format!("idp_token_endpoint: '{}/idp/token'", server.base);
        let login = login(&server, &keys(&place));
        let error = login.token().await.expect_err("no token").to_string();
        assert!(
            error.contains(expected) && !error.contains("s3cret"),
            "{error}"
        );
        assert!(!server.lines().contains(&"POST /as/token".to_owned()));
    }
}
