//! Tests of documents as servers write them.

use serde_json::json;

use super::{DocumentError, Policy, ProtectedResource, ServerMetadata, Url};

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

fn parse(document: &serde_json::Value) -> Result<ServerMetadata, DocumentError> {
    let policy = Policy::new(&url("https://mcp.example.com/mcp"));
    ServerMetadata::parse(document.to_string().as_bytes(), &policy)
}

fn metadata() -> serde_json::Value {
    json!({
        "issuer": "https://AS.example.com:443",
        "authorization_endpoint": "https://as.example.com/authorize?tenant=1",
        "token_endpoint": "https://as.example.com/token",
    })
}

fn with(name: &str, value: serde_json::Value) -> serde_json::Value {
    let mut document = metadata();
    document[name] = value;
    document
}

#[test]
fn what_others_compare_is_kept_verbatim() {
    assert_eq!(
        parse(&metadata()).expect("metadata").issuer,
        "https://AS.example.com:443"
    );
    let document = json!({ "resource": "https://MCP.example.com:443" });
    let resource = ProtectedResource::parse(document.to_string().as_bytes());
    assert_eq!(
        resource.expect("metadata").resource,
        "https://MCP.example.com:443"
    );
}

#[test]
fn an_optional_member_of_a_wrong_type_is_taken_as_absent() {
    let mut document = metadata();
    for name in [
        "registration_endpoint",
        "scopes_supported",
        "code_challenge_methods_supported",
        "client_id_metadata_document_supported",
        "unheard_of",
    ] {
        document[name] = json!(7);
    }
    assert_eq!(
        parse(&document).expect("metadata"),
        parse(&metadata()).expect("metadata")
    );
    let scopes = with("scopes_supported", json!(["a", 7, null, "", "b"]));
    let scopes = parse(&scopes).expect("metadata").scopes_supported;
    assert_eq!(scopes, Some(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_needed_member_of_a_wrong_type_is_an_error_that_names_it() {
    for name in ["issuer", "token_endpoint"] {
        assert_eq!(
            parse(&with(name, json!([1]))),
            Err(DocumentError::Member(name))
        );
    }
    let document = json!({ "authorization_servers": [] }).to_string();
    assert_eq!(
        ProtectedResource::parse(document.as_bytes()),
        Err(DocumentError::Member("resource"))
    );
}

#[test]
fn an_endpoint_that_must_not_be_asked_is_an_error_that_names_it() {
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
        "device_authorization_endpoint",
    ] {
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://as.example.com/",
            "http://127.0.0.1/",
            "https://169.254.169.254/",
            "https://localhost/",
            "https://user:hunter2@as.example.com/",
            "/relative",
        ] {
            let error = parse(&with(name, json!(bad))).expect_err(bad).to_string();
            assert!(error.contains(&format!("`{name}`")), "{bad}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn what_is_no_object_is_said() {
    let policy = Policy::new(&url("https://mcp.example.com/mcp"));
    for (body, expected) in [
        ("<!doctype html><title>Hi</title>", "a page"),
        ("", "an empty body"),
        ("[]", "another JSON value"),
        ("{\"issuer\":", "line 1 column 10"),
    ] {
        let error = ServerMetadata::parse(body.as_bytes(), &policy);
        let error = error.expect_err(body).to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(ServerMetadata::parse(deep.as_bytes(), &policy).is_err());
}

#[test]
fn pkce_is_known_from_the_metadata_or_refused() {
    let pkce = |document: &serde_json::Value| parse(document).expect("metadata").supports_s256();
    assert!(!pkce(&metadata()));
    let methods = |value| with("code_challenge_methods_supported", value);
    assert!(!pkce(&methods(json!(["plain"]))));
    assert!(pkce(&methods(json!(["plain", "S256"]))));
    let assumed = ServerMetadata::assumed(&url("https://x.example/a/b"));
    assert!(assumed.expect("endpoints").supports_s256());
}

#[test]
fn it_survives_being_kept() {
    let kept = parse(&with("scopes_supported", json!(["a"]))).expect("metadata");
    let text = serde_json::to_string(&kept).expect("JSON");
    assert!(!text.contains("null"), "{text}");
    let read: ServerMetadata = serde_json::from_str(&text).expect("metadata");
    assert_eq!(read, kept);
}
