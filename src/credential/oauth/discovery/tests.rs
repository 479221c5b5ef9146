//! Tests of discovery against servers as they are met, and as they should not be.

use serde_json::{Value, json};

use super::*;
use crate::credential::oauth::faults::{Answer, Server};

const PRM: &str = "/.well-known/oauth-protected-resource";
const PRM_MCP: &str = "/.well-known/oauth-protected-resource/mcp";
const AS: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

fn resource(servers: &[&str]) -> Value {
    json!({
        "resource": "BASE/mcp",
        "authorization_servers": servers,
        "scopes_supported": ["a", "b"],
    })
}

fn server(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "code_challenge_methods_supported": ["S256"],
    })
}

fn web(server: &Server) -> Web {
    Web::new(&server.url("/mcp")).expect("a client")
}

fn wanted(endpoint: &Url) -> Wanted<'_> {
    Wanted {
        endpoint,
        challenge: None,
        prefer: None,
        allow_issuer_mismatch: false,
        any_resource: false,
    }
}

async fn find(
    server: &Server,
    adjust: impl FnOnce(&mut Wanted<'_>),
) -> Result<Discovered, DiscoveryError> {
    let endpoint = server.url("/mcp");
    let mut wanted = wanted(&endpoint);
    adjust(&mut wanted);
    discover(&web(server), wanted).await
}

/// As [`find`], with a challenge that names this place.
async fn find_from(server: &Server, place: &str) -> Result<Discovered, DiscoveryError> {
    let challenge = Challenge {
        resource_metadata: Some(place.replace("BASE", &server.base)),
        ..Challenge::default()
    };
    let endpoint = server.url("/mcp");
    let wanted = Wanted {
        challenge: Some(&challenge),
        ..wanted(&endpoint)
    };
    discover(&web(server), wanted).await
}

async fn failure(server: &Server) -> DiscoveryError {
    find(server, |_| {}).await.expect_err("nothing to be found")
}

/// Whether it may be found later without anyone's doing.
fn is_transient(error: &DiscoveryError) -> bool {
    match error {
        DiscoveryError::Slow => true,
        DiscoveryError::Resource(tried) | DiscoveryError::Servers(tried) => {
            tried.any(Outcome::Unread)
        }
        DiscoveryError::Mismatch { .. } => false,
    }
}

fn lines(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| format!("GET {path}")).collect()
}

#[tokio::test]
async fn the_place_that_the_challenge_names_is_the_only_one_asked() {
    for (named, asked) in [
        ("BASE/.well-known/oauth-protected-resource/mcp", PRM_MCP),
        ("BASE/custom/location.json?x=1", "/custom/location.json?x=1"),
        ("/custom/location.json", "/custom/location.json"),
    ] {
        let backend = Server::with(&[(asked, resource(&["BASE"])), (AS, server("BASE"))]).await;
        let found = find_from(&backend, named).await.expect("a server");
        assert_eq!(found.resource, Some(format!("{}/mcp", backend.base)));
        assert_eq!(found.issuer, backend.base);
        assert_eq!(
            found.resource_scopes,
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(!found.fallback && found.server.supports_s256());
        assert_eq!(backend.lines(), lines(&[asked, AS]));
    }
}

#[tokio::test]
async fn without_a_challenge_both_well_known_places_are_asked_in_order() {
    let at_path = Server::with(&[(PRM_MCP, resource(&["BASE"])), (OIDC, server("BASE"))]).await;
    find(&at_path, |_| {}).await.expect("a server");
    assert_eq!(at_path.lines(), lines(&[PRM_MCP, AS, OIDC]));

    let mut root = resource(&["BASE/tenant1"]);
    root["resource"] = json!("BASE");
    let documents = [
        (PRM, root),
        (
            "/.well-known/oauth-authorization-server/tenant1",
            server("BASE/tenant1"),
        ),
    ];
    let at_root = Server::with(&documents).await;
    let found = find(&at_root, |_| {}).await.expect("a server");
    assert_eq!(found.resource.as_deref(), Some(at_root.base.as_str()));
    assert_eq!(at_root.lines()[..2], lines(&[PRM_MCP, PRM]));
}

#[tokio::test]
async fn an_issuer_with_a_path_is_asked_in_three_places_and_never_at_its_root() {
    let last = "/tenant1/.well-known/openid-configuration";
    let documents = [
        (PRM_MCP, resource(&["BASE/tenant1"])),
        (last, server("BASE/tenant1")),
        (AS, server("BASE")),
    ];
    let backend = Server::with(&documents).await;
    let found = find(&backend, |_| {}).await.expect("a server");
    assert_eq!(found.issuer, format!("{}/tenant1", backend.base));
    let asked = [
        PRM_MCP,
        "/.well-known/oauth-authorization-server/tenant1",
        "/.well-known/openid-configuration/tenant1",
        last,
    ];
    assert_eq!(backend.lines(), lines(&asked));
}

#[tokio::test]
async fn a_backend_without_metadata_is_its_own_authorization_server() {
    let mut metadata = server("BASE/oauth");
    metadata["issuer"] = json!("BASE");
    let backend = Server::with(&[(AS, metadata)]).await;
    let found = find(&backend, |_| {}).await.expect("a server");
    assert!(found.fallback && !found.server.assumed);
    assert_eq!((found.resource, found.resource_scopes), (None, None));
    assert_eq!(
        found.server.token_endpoint,
        backend.url("/oauth/token"),
        "not the default one"
    );
    assert_eq!(backend.lines(), lines(&[PRM_MCP, PRM, AS]));
}

#[tokio::test]
async fn a_backend_without_any_metadata_has_the_default_endpoints() {
    for status in [404, 200, 401] {
        let backend = Server::start(move |_, _| Answer::Page(status)).await;
        let found = find(&backend, |_| {}).await.expect("default endpoints");
        assert!(found.fallback && found.server.assumed && found.server.supports_s256());
        assert_eq!(found.issuer, backend.base);
        let endpoints = [
            found.server.authorization_endpoint,
            Some(found.server.token_endpoint),
            found.server.registration_endpoint,
        ];
        let expected = ["/authorize", "/token", "/register"].map(|path| Some(backend.url(path)));
        assert_eq!(endpoints, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_read_now_is_no_reason_to_ask_somebody_else() {
    for status in [500, 503, 429] {
        // The metadata of the resource is gone; the origin would be happy to help.
        let backend = Server::start(move |base, asked| {
            if asked.line.contains("resource") {
                return Answer::Page(status);
            }
            Answer::filled(&server("BASE"), base)
        })
        .await;
        let error = failure(&backend).await;
        assert!(matches!(error, DiscoveryError::Resource(_)) && is_transient(&error));
        let text = error.to_string();
        assert!(
            text.contains(&format!("{}{PRM_MCP} answers {status}", backend.base)),
            "{text}"
        );
    }
    // Where the next place has it, all is well.
    let backend = Server::start(|base, asked| {
        let document = match asked.line.as_str() {
            "GET /.well-known/oauth-protected-resource" => resource(&["BASE"]),
            "GET /.well-known/openid-configuration" => server("BASE"),
            _ => return Answer::Page(502),
        };
        Answer::filled(&document, base)
    })
    .await;
    find(&backend, |_| {}).await.expect("a server");
}

#[tokio::test]
async fn metadata_that_was_promised_and_is_not_there_is_an_error() {
    let backend = Server::with(&[(AS, server("BASE"))]).await;
    let error = find_from(&backend, "BASE/promised")
        .await
        .expect_err("none");
    assert!(!is_transient(&error));
    let text = error.to_string();
    assert!(text.contains("/promised answers 404 Not Found"), "{text}");
    // But the well-known place is as good.
    let documents = [(PRM_MCP, resource(&["BASE"])), (AS, server("BASE"))];
    let backend = Server::with(&documents).await;
    assert!(find_from(&backend, "BASE/promised").await.is_ok());
    assert!(find_from(&backend, "http://").await.is_ok());
}

#[tokio::test]
async fn metadata_of_another_resource_is_refused() {
    for other in [
        "https://evil.example.com/mcp",
        "BASE/other",
        "BASE/mc",
        "BASE/mcp/deeper",
        "BASE/mcp?tenant=1",
        "BASE/mcp#fragment",
        "api://mcp",
        "mcp",
    ] {
        let mut document = resource(&["BASE"]);
        document["resource"] = json!(other);
        let backend = Server::with(&[(PRM_MCP, document), (AS, server("BASE"))]).await;
        let error = failure(&backend).await;
        assert!(
            matches!(error, DiscoveryError::Mismatch { .. }),
            "{other}: {error}"
        );
        let text = error.to_string();
        let named = other.replace("BASE", &backend.base);
        assert!(
            text.contains(&named) && text.contains("auth.resource"),
            "{text}"
        );
        assert!(!backend.lines().contains(&format!("GET {AS}")), "{other}");

        let found = find(&backend, |wanted| wanted.any_resource = true).await;
        assert_eq!(found.expect("a server").resource, Some(named));
    }
}

#[tokio::test]
async fn the_resource_is_kept_as_the_backend_has_it() {
    for same in ["BASE", "BASE/", "BASE/mcp/", "BASE/mcp", "BASE/%6dcp/../"] {
        let mut document = resource(&["BASE"]);
        document["resource"] = json!(same);
        let backend = Server::with(&[(PRM_MCP, document), (AS, server("BASE"))]).await;
        let found = find(&backend, |_| {}).await.expect("a server");
        assert_eq!(found.resource, Some(same.replace("BASE", &backend.base)));
    }
}

#[tokio::test]
async fn metadata_with_another_issuer_is_not_used_unless_that_is_allowed() {
    for (named, called) in [
        ("BASE", "https://attacker.example.com"),
        ("BASE", "BASE/"),
        ("BASE/tenant1/", "BASE/tenant1"),
        ("BASE", "BASE/tenant1"),
    ] {
        let path = named.trim_start_matches("BASE").trim_end_matches('/');
        let place = format!("{AS}{path}");
        let mut metadata = server("BASE");
        metadata["issuer"] = json!(called);
        let documents = [(PRM_MCP, resource(&[named])), (place.as_str(), metadata)];
        let backend = Server::with(&documents).await;
        let error = failure(&backend).await;
        assert!(!is_transient(&error));
        let text = error.to_string();
        let called = called.replace("BASE", &backend.base);
        assert!(
            text.contains(&format!("calls itself {called}, not"))
                && text.contains("allow_issuer_mismatch"),
            "{text}"
        );
        let found = find(&backend, |wanted| wanted.allow_issuer_mismatch = true).await;
        assert_eq!(found.expect("a server").issuer, called);
    }
}

#[tokio::test]
async fn a_slash_that_a_library_put_behind_the_issuer_does_no_harm() {
    let documents = [(PRM_MCP, resource(&["BASE/"])), (AS, server("BASE"))];
    let backend = Server::with(&documents).await;
    let found = find(&backend, |_| {}).await.expect("a server");
    assert_eq!(found.issuer, backend.base, "as the server has it");
}

#[tokio::test]
async fn of_several_servers_the_first_that_can_be_used_is() {
    let named = [
        "javascript:alert(1)",
        "https://169.254.169.254",
        "BASE/gone",
        "BASE/wrong",
        "BASE",
    ];
    let documents = [
        (PRM_MCP, resource(&named[1..])),
        (
            "/.well-known/oauth-authorization-server/wrong",
            server("BASE/other"),
        ),
        (AS, server("BASE")),
    ];
    let backend = Server::with(&documents).await;
    let found = find(&backend, |_| {}).await.expect("the last");
    assert_eq!(found.issuer, backend.base);

    let backend = Server::with(&[(PRM_MCP, resource(&named[..3]))]).await;
    let text = failure(&backend).await.to_string();
    for part in [
        "the issuer javascript:alert(1) is no https:// URL",
        "GET https://169.254.169.254/.well-known/oauth-authorization-server is not asked",
        "/gone/.well-known/openid-configuration answers 404 Not Found",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_is_known_is_preferred_as_long_as_it_is_named() {
    let documents = [
        (PRM_MCP, resource(&["BASE/one", "BASE/two"])),
        (
            "/.well-known/oauth-authorization-server/one",
            server("BASE/one"),
        ),
        (
            "/.well-known/oauth-authorization-server/two",
            server("BASE/two"),
        ),
    ];
    let backend = Server::with(&documents).await;
    for (known, expected) in [("one", "one"), ("two", "two"), ("former", "one")] {
        let known = format!("{}/{known}", backend.base);
        let endpoint = backend.url("/mcp");
        let wanted = Wanted {
            prefer: Some(&known),
            ..wanted(&endpoint)
        };
        let found = discover(&web(&backend), wanted).await.expect("a server");
        assert_eq!(found.issuer, format!("{}/{expected}", backend.base));
    }
}

#[tokio::test]
async fn a_known_server_that_is_away_for_a_while_is_not_replaced() {
    let backend = Server::start(|base, asked| {
        let document = match asked.line.as_str() {
            "GET /.well-known/oauth-protected-resource/mcp" => resource(&["BASE/one", "BASE/two"]),
            "GET /.well-known/oauth-authorization-server/one" => server("BASE/one"),
            line if line.contains("two") => return Answer::Page(503),
            _ => return Answer::Page(404),
        };
        Answer::filled(&document, base)
    })
    .await;
    let known = format!("{}/two", backend.base);
    let endpoint = backend.url("/mcp");
    let wanted = Wanted {
        prefer: Some(&known),
        ..wanted(&endpoint)
    };
    let error = discover(&web(&backend), wanted).await.expect_err("away");
    assert!(is_transient(&error));
    find(&backend, |_| {}).await.expect("the first");
}

#[tokio::test]
async fn an_endpoint_that_runs_scripts_is_refused_by_name() {
    let mut metadata = server("BASE");
    metadata["authorization_endpoint"] = json!("javascript:alert(1)");
    let documents = [(PRM_MCP, resource(&["BASE"])), (AS, metadata)];
    let error = failure(&Server::with(&documents).await).await;
    assert!(!is_transient(&error));
    assert!(
        error.to_string().contains("`authorization_endpoint`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_backend_in_clear_on_the_network_is_not_guessed_about() {
    let endpoint: Url = "http://10.255.255.1/mcp".parse().expect("a URL");
    let web = Web::new(&endpoint).expect("a client");
    let wanted = wanted(&endpoint);
    let error = discover(&web, wanted)
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("OAuth goes over https"), "{error}");
}
