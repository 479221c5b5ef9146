//! What a token endpoint is sent, and what is made of its answers.

use std::collections::BTreeMap;

use http::header;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::*;
use crate::credential::oauth::{
    client::{Client, Origin},
    faults::{Answer as Reply, Asked, Server},
    metadata::ServerMetadata,
    web::Web,
};

fn client(method: AuthMethod) -> Client {
    Client {
        id: "the client".to_owned(),
        secret: Some(Secret::new("s3cret:&".to_owned())),
        method,
        origin: Origin::Configured,
        expires_at: None,
        redirect_uri: None,
    }
}

fn metadata(server: &Server, web: &Web) -> ServerMetadata {
    let document = json!({ "issuer": server.base, "token_endpoint": server.url("/token") });
    ServerMetadata::parse(document.to_string().as_bytes(), web.policy()).expect("metadata")
}

fn fields(asked: &Asked) -> BTreeMap<String, String> {
    form_urlencoded::parse(asked.body.as_bytes())
        .into_owned()
        .collect()
}

async fn shown(
    client: &Client,
    scopes: &[&str],
    status: u16,
    answer: Value,
) -> (Result<Tokens, RequestError>, Asked) {
    let server = Server::start(move |_, _| Reply::Json(status, answer.clone())).await;
    let web = Web::new(&server.url("/mcp")).expect("a client");
    let metadata = metadata(&server, &web);
    let requests = Requests::new(&web, &metadata, client, Some("https://r"), None);
    let scopes: Vec<_> = scopes.iter().map(|&scope| scope.to_owned()).collect();
    let jwt = Secret::new("a.jwt".to_owned());
    let tokens = requests.jwt_bearer(&jwt, &scopes).await;
    (tokens, server.asked().remove(0))
}

fn good() -> Value {
    json!({ "access_token": "t", "token_type": "Bearer" })
}

#[tokio::test]
async fn a_jwt_is_shown_as_rfc_7523_has_it() {
    let (tokens, asked) = shown(&client(AuthMethod::Post), &["a", "b"], 200, good()).await;
    assert_eq!(tokens.expect("tokens").scopes, ["a", "b"]);
    assert_eq!(asked.line, "POST /token");
    let expected = [
        ("assertion", "a.jwt"),
        ("client_id", "the client"),
        ("client_secret", "s3cret:&"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("resource", "https://r"),
        ("scope", "a b"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(&asked), BTreeMap::from(expected));
}

#[tokio::test]
async fn a_client_proves_itself_as_it_is_registered() {
    let (_, asked) = shown(&client(AuthMethod::Basic), &[], 200, good()).await;
    let basic = STANDARD.encode("the+client:s3cret%3A%26");
    assert_eq!(
        asked.headers[header::AUTHORIZATION],
        format!("Basic {basic}")
    );
    let names: Vec<_> = fields(&asked).into_keys().collect();
    assert_eq!(names, ["assertion", "grant_type", "resource"]);

    let (_, asked) = shown(&client(AuthMethod::None), &[], 200, good()).await;
    assert_eq!(fields(&asked)["client_id"], "the client");
    assert!(!asked.body.contains("s3cret"), "{}", asked.body);

    let (_, asked) = shown(&Client::unnamed(), &[], 200, good()).await;
    assert!(!fields(&asked).contains_key("client_id"));
    assert!(!asked.headers.contains_key(header::AUTHORIZATION));
}

#[tokio::test]
async fn a_refusal_is_told_and_what_may_be_a_token_is_not() {
    let unnamed = Client::unnamed();
    for status in [200, 400] {
        let answer = json!({ "error": "invalid_grant", "error_description": "too\nold" });
        let error = shown(&unnamed, &[], status, answer).await.0;
        let error = error.expect_err("a refusal");
        assert!(error.is("invalid_grant"));
        assert_eq!(
            error.to_string(),
            "the authorization server answered invalid_grant: too old"
        );
    }
    for (status, answer) in [
        (200, json!({ "token": "s3cret" })),
        (500, json!({ "access_token": "s3cret" })),
        (
            200,
            json!({ "access_token": "s3cret", "token_type": "mac" }),
        ),
    ] {
        let error = shown(&unnamed, &[], status, answer).await.0;
        let error = error.expect_err("no token");
        assert!(matches!(error, RequestError::Unanswered(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}
