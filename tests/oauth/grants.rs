//! Who mcpmux is to an authorization server, and what it asks for: clients that
//! were registered by hand, that describe themselves, and that need no person.

use std::{
    net::{TcpListener, TcpStream},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    house::{House, Store},
    install,
    peers::{Peers, Plan},
    support::refusing,
};

const SECRET: &str = "a-client's-secret:%&+=/-of-no-importance";

/// A client that is registered by hand, with these members.
fn client(id: &str, more: &Value) -> Value {
    let mut client = json!({
        "client_id": id, "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/oauth/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "token_endpoint_auth_method": "none",
    });
    for (name, value) in more.as_object().unwrap() {
        client[name] = value.clone();
    }
    client
}

/// A client that asks for itself, with these members.
fn unattended(id: &str, more: &Value) -> Value {
    let mut client = client(id, more);
    client["redirect_uris"] = json!([]);
    client["response_types"] = json!([]);
    client["grant_types"] = json!(["client_credentials"]);
    client
}

/// An elliptic key: as PEM, and its public half as a JWK.
fn key() -> (String, Value) {
    let script = r#"
        const { privateKey, publicKey } = require("node:crypto")
            .generateKeyPairSync("ec", { namedCurve: "P-256" });
        const pem = privateKey.export({ type: "pkcs8", format: "pem" });
        console.log(JSON.stringify({ pem, jwk: publicKey.export({ format: "jwk" }) }));
    "#;
    let output = Command::new(install::node())
        .args(["-e", script])
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pem = printed["pem"].as_str().unwrap().to_owned();
    (pem, printed["jwk"].clone())
}

/// Has a call made with a token of the client's own, which is got anew when it is
/// over; nobody is asked.
#[track_caller]
fn works_alone(peers: &Peers, house: &House<'_>, id: &str) {
    let daemon = house.serve();
    daemon.up("web");
    daemon.echoes("web");
    peers.refuse();
    daemon.echoes("web");
    let grants = peers.grants("client_credentials");
    assert_eq!(grants.len(), 2);
    for grant in &grants {
        assert_eq!(grant.client.as_deref(), Some(id));
        assert_eq!(grant.resource.as_deref(), Some(peers.endpoint()));
        assert_eq!(grant.granted.as_deref(), Some("mcp:read mcp:call"));
    }
    assert_eq!(daemon.logins_asked("web"), 0);
    let status = house.status("web");
    assert_eq!(status["login"], "logged_in", "{status}");
    assert_eq!(status["refreshes"], "client credentials");
    assert_eq!(peers.requests_for("registration").len(), 0);
}

#[test]
fn a_client_with_a_secret_works_without_a_person() {
    for method in ["client_secret_basic", "client_secret_post"] {
        let more = json!({ "client_secret": SECRET, "token_endpoint_auth_method": method });
        let peers = Plan::default().client(unattended("nightly", &more)).start();
        let auth = json!({
            "grant": "client_credentials", "client_id": "nightly", "client_secret": SECRET,
        });
        let house = House::of(&peers, peers.endpoint(), auth);
        house.secrets.add("client_secret", SECRET);
        works_alone(&peers, &house, "nightly");
    }
}

#[test]
fn a_client_with_a_key_works_without_a_person() {
    let (pem, jwk) = key();
    let more = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [jwk] },
        "token_endpoint_auth_signing_alg": "ES256",
    });
    let peers = Plan::default().client(unattended("nightly", &more)).start();
    let auth = json!({
        "grant": "client_credentials", "client_id": "nightly", "private_key": pem,
    });
    let house = House::of(&peers, peers.endpoint(), auth);
    house.secrets.add("private_key", &pem);
    works_alone(&peers, &house, "nightly");
}

#[test]
fn a_client_whose_secret_is_wrong_is_told_and_nobody_is_asked() {
    let more = json!({
        "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_basic",
    });
    let peers = Plan::default().client(unattended("nightly", &more)).start();
    let wrong = "a secret that was changed meanwhile";
    let auth = json!({
        "grant": "client_credentials", "client_id": "nightly", "client_secret": wrong,
    });
    let house = House::of(&peers, peers.endpoint(), auth);
    house.secrets.add("client_secret", wrong);
    let daemon = house.serve();
    daemon.warns("web", "invalid_client");
    let trouble = house.status("web")["trouble"].to_string();
    assert!(trouble.contains("invalid_client"), "{trouble}");
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn a_client_that_was_registered_by_hand_registers_itself_nowhere() {
    let secret = json!({
        "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_basic",
    });
    let (public, confidential) = (client("by-hand", &json!({})), client("by-hand", &secret));
    for (client, auth) in [
        (public, json!({ "client_id": "by-hand" })),
        (
            confidential,
            json!({
                "client_id_command": ["echo", "by-hand"],
                "client_secret_command": ["printf", "%s", SECRET],
            }),
        ),
    ] {
        let plan = Plan::default().authorization("registration", false);
        let peers = plan.client(client).start();
        let house = House::of(&peers, peers.endpoint(), auth);
        house.secrets.add("nothing", "no-secret-was-given-out");
        let daemon = house.serve();
        daemon.log_in("web");
        peers.refuse();
        daemon.echoes("web");
        for request in peers.requests_for("token") {
            assert_eq!(request.client.as_deref(), Some("by-hand"));
            assert_eq!(request.status, 200);
        }
    }
}

#[test]
fn a_server_that_registers_nobody_says_what_to_do() {
    let plan = Plan::default().authorization("registration", false);
    let peers = plan.start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    house.secrets.add("nothing", "no-secret-was-given-out");
    let daemon = house.serve();
    daemon.warns("web", "lets no client register itself");
    daemon.warns("web", "auth.client_id");
}

#[test]
fn a_client_that_describes_itself_is_known_by_its_address() {
    let address = "https://mcpmux.example/client.json";
    let mut document = client(address, &json!({ "client_name": "mcpmux" }));
    document["client_id"] = address.into();
    let plan = Plan::default().authorization("documents", json!({ address: document }));
    let peers = plan.start();
    let auth = json!({ "client_metadata_url": address });
    let house = House::of(&peers, peers.endpoint(), auth);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.echoes("web");
    assert_eq!(peers.requests_for("registration").len(), 0);
    for request in peers.requests_for("token") {
        assert_eq!(request.client.as_deref(), Some(address));
    }
}

#[test]
fn configured_scopes_are_asked_for_in_place_of_those_that_the_server_names() {
    let peers = Plan::default().start();
    let scopes = json!({ "scopes": ["mcp:read", "mcp:admin"] });
    let house = House::of(&peers, peers.endpoint(), scopes).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    let asked = &peers.requests_for("authorization")[0];
    let scope = asked.scope.as_deref().unwrap();
    assert!(scope.starts_with("mcp:read mcp:admin"), "{scope}");
    assert!(!scope.contains("mcp:call"), "{scope}");
    let result = daemon.call("web__admin", "{}").result();
    assert!(result.contains("admin ok"), "{result}");
    let scopes = house.status("web")["scopes"].clone();
    let scopes: Vec<String> = serde_json::from_value(scopes).unwrap();
    assert!(scopes.contains(&"mcp:admin".to_owned()), "{scopes:?}");
}

#[test]
fn the_resource_is_what_is_configured_or_none() {
    // The audience that the authorization server gives where none is asked for.
    let audience = "http://127.0.0.1/unnamed";
    for (configured, sent) in [("none", None), (audience, Some(audience))] {
        let peers = Plan::default().resource("resource", audience).start();
        let auth = json!({ "resource": configured });
        let house = House::of(&peers, peers.endpoint(), auth);
        let daemon = house.serve();
        daemon.log_in("web");
        daemon.echoes("web");
        peers.refuse();
        daemon.echoes("web");
        let tokens = peers.requests_for("token");
        assert_eq!(tokens.len(), 2);
        for request in [&peers.requests_for("authorization")[..1], &tokens].concat() {
            assert_eq!(request.resource.as_deref(), sent);
        }
    }
}

#[test]
fn a_callback_port_is_bound_while_a_login_is_open_and_no_longer() {
    let peers = Plan::default().start();
    let (reserved, address) = refusing();
    drop(reserved);
    let auth = json!({ "callback_port": address.port() });
    let house = House::of(&peers, peers.endpoint(), auth);
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    assert!(TcpListener::bind(address).is_err(), "it is bound");
    daemon.log_in("web");
    let redirect = format!("http://{address}/oauth/callback");
    for request in peers.requests_for("token") {
        assert_eq!(request.redirect.as_ref(), Some(&redirect));
    }
    crate::support::eventually("the port is free", || {
        TcpStream::connect(address).is_err().then_some(())
    });
    daemon.echoes("web");
}

#[test]
fn a_callback_port_that_another_has_is_said() {
    let peers = Plan::default().start();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let auth = json!({ "callback_port": port });
    let house = House::of(&peers, peers.endpoint(), auth);
    house.secrets.add("nothing", "no-secret-was-given-out");
    let daemon = house.serve();
    daemon.warns("web", "auth.callback_port");
    drop(other);
    daemon.call("web__echo", "{}").error();
    daemon.log_in("web");
}
