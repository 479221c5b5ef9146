//! Tests of registration, against servers of every opinion.

use super::*;
use crate::credential::oauth::client::ClientRecord;
use crate::credential::oauth::faults::{Answer, Server};

const REDIRECTS: [&str; 2] = [
    "http://127.0.0.1:8080/oauth/callback",
    "http://localhost/cb",
];

fn metadata(server: &Server, methods: Option<&[&str]>) -> ServerMetadata {
    let mut metadata = ServerMetadata::assumed(&server.url("/")).expect("endpoints");
    metadata.token_endpoint_auth_methods_supported =
        methods.map(|methods| methods.iter().map(|method| (*method).to_owned()).collect());
    metadata
}

async fn registering(
    answer: Answer,
    methods: Option<&[&str]>,
) -> (Server, Result<Client, RegistrationError>) {
    let server = Server::start(move |_, _| answer.clone()).await;
    let registered = register_at(&server, methods).await;
    (server, registered)
}

async fn register_at(
    server: &Server,
    methods: Option<&[&str]>,
) -> Result<Client, RegistrationError> {
    let web = Web::new(&server.url("/mcp")).expect("a client");
    let wanted = Wanted {
        client_name: "mcpmux on here",
        redirect_uris: &REDIRECTS.map(str::to_owned),
        scopes: Some(&["a".to_owned(), "b".to_owned()]),
        grant_types: &["authorization_code", "refresh_token"],
        application_type: "native",
    };
    register(&web, &metadata(server, methods), &wanted).await
}

fn sent(server: &Server, number: usize) -> Value {
    serde_json::from_str(&server.asked()[number].body).expect("JSON")
}

#[tokio::test]
async fn what_is_asked_for_is_a_native_client_with_refresh_tokens() {
    let answer = Answer::Json(201, json!({ "client_id": "id" }));
    let (server, registered) = registering(answer, Some(&["none"])).await;
    assert_eq!(
        sent(&server, 0),
        json!({
            "client_name": "mcpmux on here",
            "redirect_uris": REDIRECTS,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "scope": "a b",
        })
    );
    assert_eq!(server.lines(), ["POST /register"]);
    assert_eq!(
        server.asked()[0].headers["content-type"],
        "application/json"
    );
    let expected = Client {
        id: "id".to_owned(),
        secret: None,
        method: AuthMethod::None,
        origin: Origin::Dynamic,
        expires_at: None,
        redirect_uri: Some(REDIRECTS[0].to_owned()),
    };
    assert_eq!(registered.expect("a client"), expected);
}

#[tokio::test]
async fn the_method_is_what_the_server_takes_and_then_what_it_says() {
    let secret = json!({ "client_id": "id", "client_secret": "s3cret" });
    let with = |method: &str| {
        let mut answer = secret.clone();
        answer["token_endpoint_auth_method"] = json!(method);
        answer
    };
    let bare = json!({ "client_id": "id" });
    let (basic, post) = ("client_secret_basic", "client_secret_post");
    for (methods, answer, asked, used) in [
        (Some(&[basic][..]), with(basic), basic, AuthMethod::Basic),
        (Some(&[post]), with(post), post, AuthMethod::Post),
        (Some(&["none"]), with("none"), "none", AuthMethod::None),
        (
            Some(&[post, basic]),
            secret.clone(),
            basic,
            AuthMethod::Basic,
        ),
        (Some(&[post]), secret.clone(), post, AuthMethod::Post),
        // A secret that nothing can be done with.
        (Some(&["none"]), secret.clone(), "none", AuthMethod::None),
        (None, secret.clone(), "none", AuthMethod::Basic),
        (None, bare, "none", AuthMethod::None),
        // It has the last word, whatever its metadata say.
        (Some(&["none"]), with(post), "none", AuthMethod::Post),
    ] {
        let (server, registered) = registering(Answer::Json(200, answer.clone()), methods).await;
        let client = registered.expect("a client");
        assert_eq!(client.method, used, "{methods:?} {answer}");
        assert_eq!(
            client.secret.is_some(),
            used != AuthMethod::None,
            "{answer}"
        );
        assert_eq!(sent(&server, 0)["token_endpoint_auth_method"], asked);
    }
}

#[tokio::test]
async fn a_server_that_wants_no_public_clients_is_asked_once_more() {
    let refusal =
        json!({ "error": "invalid_client_metadata", "error_description": "no\npublic clients" });
    let server = Server::start(move |_, asked| {
        if asked.body.contains("client_secret_basic") {
            Answer::Json(201, json!({ "client_id": "id", "client_secret": "s3cret" }))
        } else {
            Answer::Json(400, refusal.clone())
        }
    })
    .await;
    let client = register_at(&server, None).await.expect("a client");
    assert_eq!(client.method, AuthMethod::Basic);
    assert_eq!(server.lines().len(), 2);

    let error = register_at(&server, Some(&["none"]))
        .await
        .expect_err("refused");
    let text = error.to_string();
    assert!(
        text.contains("400 Bad Request: invalid_client_metadata: no public clients")
            && text.contains("auth.client_id"),
        "{text}"
    );
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_what_to_do() {
    for (answer, expected) in [
        (
            Answer::Page(404),
            "404 Not Found. Registering a client there by hand",
        ),
        (Answer::Page(500), "500 Internal Server Error"),
        (Answer::Page(429), "429 Too Many Requests"),
        (Answer::Page(200), "its answer is no JSON object"),
        (Answer::Json(201, json!([])), "its answer is no JSON object"),
        (
            Answer::Json(201, json!({})),
            "its answer has no `client_id`",
        ),
        (
            Answer::Json(201, json!({ "client_id": 7 })),
            "its answer has no `client_id`",
        ),
        (
            Answer::Json(
                201,
                json!({ "client_id": "x", "token_endpoint_auth_method": "client_secret_post" }),
            ),
            "its answer has no `client_secret`",
        ),
        (
            Answer::Json(
                201,
                json!({ "client_id": "x", "token_endpoint_auth_method": "tls_client_auth" }),
            ),
            "in a way that was not asked for",
        ),
        (
            Answer::Redirect(307, "/elsewhere".to_owned()),
            "/elsewhere, which",
        ),
        (Answer::Endless, "more than 1048576 bytes"),
    ] {
        let (server, registered) = registering(answer, None).await;
        let error = registered.expect_err(expected);
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains(&format!("{}/register", server.base)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_server_without_registration_names_the_key_to_set() {
    let server = Server::start(|_, _| Answer::Silent).await;
    let web = Web::new(&server.url("/mcp")).expect("a client");
    let mut metadata = metadata(&server, Some(&["private_key_jwt", "tls_client_auth"]));
    let wanted = Wanted {
        client_name: "mcpmux",
        redirect_uris: &[],
        scopes: None,
        grant_types: &[],
        application_type: "native",
    };
    let error = register(&web, &metadata, &wanted)
        .await
        .expect_err("no method");
    assert!(
        error
            .to_string()
            .contains("private_key_jwt, tls_client_auth"),
        "{error}"
    );
    metadata.registration_endpoint = None;
    let error = register(&web, &metadata, &wanted).await.expect_err("none");
    assert!(error.to_string().contains("set auth.client_id"), "{error}");

    assert_eq!(server.lines(), Vec::<String>::new());
}

#[test]
fn a_client_proves_itself_as_well_as_the_server_lets_it() {
    let base: Url = "https://as.example.com/".parse().expect("a URL");
    let method = |methods: Option<&[&str]>, secret, key| {
        let mut metadata = ServerMetadata::assumed(&base).expect("endpoints");
        metadata.token_endpoint_auth_methods_supported =
            methods.map(|methods| methods.iter().map(|method| (*method).to_owned()).collect());
        method_for(&metadata, secret, key).name()
    };
    let (basic, post, jwt) = (
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    );
    assert_eq!(method(None, false, false), "none");
    assert_eq!(method(None, true, false), basic);
    assert_eq!(method(None, true, true), jwt);
    assert_eq!(method(Some(&[basic, jwt]), true, true), jwt);
    assert_eq!(method(Some(&[post, basic]), true, false), basic);
    assert_eq!(method(Some(&["none", post]), true, false), post);
    assert_eq!(method(Some(&["none"]), true, false), "none");
    assert_eq!(method(Some(&[basic]), true, true), basic);
    assert_eq!(method(Some(&["client_secret_jwt"]), true, false), basic);
    assert_eq!(method(Some(&[basic]), false, false), "none");
}

#[test]
fn the_url_of_a_metadata_document_must_be_fit_to_be_an_id() {
    let document = |text: &str| Client::document(&text.parse().expect("a URL"));
    assert!(document("https://mcpmux.example.com/client.json").is_ok());
    for bad in [
        "http://mcpmux.example.com/client.json",
        "https://mcpmux.example.com",
        "https://mcpmux.example.com/client.json#x",
        "https://user@mcpmux.example.com/client.json",
    ] {
        assert!(document(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_client_survives_being_kept_and_is_never_shown_with_its_secret() {
    let answer = json!({
        "client_id": "id",
        "client_secret": "s3cret",
        "client_secret_expires_at": 4_000_000_000_u64,
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": [REDIRECTS[1]],
    });
    let (_, registered) = registering(Answer::Json(201, answer), None).await;
    let client = registered.expect("a client");
    assert_eq!(client.expires_at, Some(4_000_000_000));
    assert_eq!(client.redirect_uri.as_deref(), Some(REDIRECTS[1]));
    let record = client.to_record();
    assert!(!format!("{client:?} {record:?}").contains("s3cret"));
    let text = serde_json::to_string(&record).expect("JSON");
    assert!(text.contains("s3cret"));
    let read: ClientRecord = serde_json::from_str(&text).expect("a record");
    assert_eq!(Client::from(read), client);
}
