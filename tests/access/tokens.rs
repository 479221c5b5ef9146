//! Access tokens: which are believed, what those hear who have none, and that the
//! keys of the authorization server are not fetched for every lie.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::{HEADERS, ask, begin, support::*};

/// An authorization server, as far as its keys go.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) key: EcdsaKeyPair,
    asked: Arc<Mutex<Vec<String>>>,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
    let made = made.expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
        .expect("a key")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (key, asked) = (key(), Arc::<Mutex<Vec<String>>>::default());
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
        let (own, seen) = (url.clone(), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a connection"));
                let mut lines = String::new();
                while stream.read_line(&mut lines).is_ok_and(|read| read > 2) {}
                let path = lines.split(' ').nth(1).unwrap_or_default().to_owned();
                let body = match path.as_str() {
                    "/.well-known/oauth-authorization-server" => {
                        json!({ "issuer": own, "jwks_uri": format!("{own}/jwks") })
                    }
                    _ => json!({ "keys": [jwk] }),
                };
                seen.lock().expect("the list").push(path);
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream
                    .get_mut()
                    .write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { url, key, asked }
    }

    /// The claims of a token for `audience` that is right.
    pub(crate) fn claims(&self, audience: &str) -> Value {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_secs();
        json!({ "iss": self.url, "aud": audience, "sub": "alice", "exp": now + 300,
            "iat": now, "nbf": now, "scope": "mcp:read" })
    }

    fn fetched(&self) -> usize {
        let asked = self.asked.lock().expect("the list");
        asked.iter().filter(|path| *path == "/jwks").count()
    }

    /// A token of this header and these claims, signed by `key`.
    pub(crate) fn signed(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = key
            .sign(&SystemRandom::new(), message.as_bytes())
            .expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The tools that are there for who shows `bearer`.
pub(crate) fn list(house: &House, bearer: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [
        HEADERS[0],
        HEADERS[1],
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/list"),
        ("Authorization", bearer),
    ];
    ask(house.mux.address(), "POST", "/mcp", &headers, body).2
}

/// What is wrong with a token, and how it is made so.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Value, &mut Value));

pub(crate) struct House {
    issuer: Issuer,
    pub(crate) mux: Mux,
    pub(crate) peer: Peer,
    resource: String,
}

fn house(further: &str) -> House {
    house_of(Peer::http(legacy(&["t"])), further)
}

/// A mcpmux in front of `peer` that takes tokens, with these further lines of YAML.
pub(crate) fn house_of(peer: Peer, further: &str) -> House {
    let issuer = Issuer::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let resource = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let top = format!("access:\n  oauth:\n    issuer: {}\n{further}", issuer.url);
    let mux = Setup::one("b", &peer).top(&top).handed(&listener).serve();
    House {
        issuer,
        mux,
        peer,
        resource,
    }
}

impl House {
    /// The claims of a token that is right.
    pub(crate) fn claims(&self) -> Value {
        self.issuer.claims(&self.resource)
    }

    /// A token of these claims that the issuer has signed.
    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        Issuer::signed(&self.issuer.key, header, claims)
    }

    fn with(&self, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        begin(self.mux.address(), &[("Authorization", bearer.as_str())])
    }

    fn but(&self, change: impl Fn(&mut Value, &mut Value)) -> u16 {
        let (mut header, mut claims) = (
            json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k" }),
            self.claims(),
        );
        change(&mut header, &mut claims);
        self.with(&Issuer::signed(&self.issuer.key, &header, &claims))
    }
}

#[test]
fn only_a_token_that_is_right_in_everything_lets_in() {
    let house = house("");
    assert_eq!(house.but(|_, _| {}), 200);
    assert_eq!(house.but(|header, _| header["typ"] = json!("JWT")), 200);
    assert_eq!(
        house.but(|_, claims| claims["aud"] = json!(["x", house.resource])),
        200
    );
    let now = house.claims()["iat"].as_u64().expect("a number");
    let wrong: &[Change<'_>] = &[
        ("expired", &|_, claims| claims["exp"] = json!(now - 120)),
        ("without an end", &|_, claims| claims["exp"] = Value::Null),
        ("not good yet", &|_, claims| {
            claims["nbf"] = json!(now + 300)
        }),
        ("for another audience", &|_, claims| {
            claims["aud"] = json!("https://other.example/mcp")
        }),
        ("for its server's root", &|_, claims| {
            claims["aud"] = json!(house.resource.trim_end_matches("/mcp"))
        }),
        ("for nobody", &|_, claims| claims["aud"] = Value::Null),
        ("of another issuer", &|_, claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("of an issuer that is like it", &|_, claims| {
            claims["iss"] = json!(format!("{}/", house.issuer.url))
        }),
        ("of several issuers", &|_, claims| {
            claims["iss"] = json!([house.issuer.url, "https://evil.example"])
        }),
        ("for what is like it", &|_, claims| {
            claims["aud"] = json!(format!("{}/", house.resource))
        }),
        ("whose end is a text", &|_, claims| {
            claims["exp"] = json!((now + 300).to_string())
        }),
        ("about nobody", &|_, claims| claims["sub"] = Value::Null),
        ("bound to a key", &|_, claims| {
            claims["cnf"] = json!({ "jkt": "x" })
        }),
        ("no access token", &|header, _| {
            header["typ"] = json!("logout+jwt")
        }),
        ("with what is critical", &|header, _| {
            header["crit"] = json!(["x"])
        }),
        ("of an unknown key", &|header, _| {
            header["kid"] = json!("other")
        }),
        ("of a kind of signature that it is not", &|header, _| {
            header["alg"] = json!("RS256")
        }),
    ];
    for (what, change) in wrong {
        assert_eq!(house.but(change), 401, "{what}");
    }
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k" });
    let forged = Issuer::signed(&key(), &header, &house.claims());
    assert_eq!(house.with(&forged), 401, "signed by another key");
    for none in ["none", "None", "nOnE"] {
        let unsigned = format!(
            "{}.{}.",
            encoded(&json!({ "alg": none })),
            encoded(&house.claims())
        );
        assert_eq!(house.with(&unsigned), 401, "alg {none}");
    }
    // The public key as if it were a shared secret.
    let message = format!(
        "{}.{}",
        encoded(&json!({ "alg": "HS256", "kid": "k" })),
        encoded(&house.claims())
    );
    let public = hmac::Key::new(hmac::HMAC_SHA256, house.issuer.key.public_key().as_ref());
    let confused = format!(
        "{message}.{}",
        URL_SAFE_NO_PAD.encode(hmac::sign(&public, message.as_bytes()))
    );
    assert_eq!(house.with(&confused), 401, "HS256 with the public key");
    for nonsense in ["", "x", "a.b.c", "..", &"x".repeat(20_000)] {
        assert_eq!(house.with(nonsense), 401, "nonsense");
    }
    let log = house.mux.log();
    assert!(
        !log.contains(&forged) && !log.contains(&confused),
        "no token is logged"
    );
}

#[test]
fn who_has_no_token_is_told_where_to_get_one() {
    let house = house("    scopes: [mcp:read, mcp:call]\n");
    let address = house.mux.address();
    let (status, headers, _) = ask(address, "POST", "/mcp", &HEADERS, &initialize("2025-11-25"));
    assert_eq!(status, 401, "though the user is right");
    let challenge = |headers: &[(String, String)]| {
        let found = headers.iter().find(|(name, _)| name == "www-authenticate");
        found.expect("a challenge").1.clone()
    };
    let place = format!("http://{address}/.well-known/oauth-protected-resource/mcp");
    let expected = format!("Bearer resource_metadata=\"{place}\", scope=\"mcp:read mcp:call\"");
    assert_eq!(challenge(&headers), expected);
    for path in [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
    ] {
        let (status, _, body) = ask(address, "GET", path, &[], "");
        assert_eq!(status, 200, "{path}");
        let metadata: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(metadata["resource"], json!(house.resource));
        assert_eq!(metadata["authorization_servers"], json!([house.issuer.url]));
        assert_eq!(
            metadata["scopes_supported"],
            json!(["mcp:read", "mcp:call"])
        );
        let (status, ..) = ask(address, "GET", path, &[("Host", "rebound.example")], "");
        assert_eq!(status, 403);
    }
    // A token with too few scopes, and one with all.
    let header = json!({ "alg": "ES256", "kid": "k" });
    let mut claims = house.claims();
    let token = Issuer::signed(&house.issuer.key, &header, &claims);
    let bearer = format!("Bearer {token}");
    let headers = [HEADERS[0], HEADERS[1], ("Authorization", bearer.as_str())];
    let (status, headers, _) = ask(address, "POST", "/mcp", &headers, &initialize("2025-11-25"));
    assert_eq!(status, 403);
    assert!(challenge(&headers).starts_with("Bearer error=\"insufficient_scope\""));
    assert!(challenge(&headers).contains("scope=\"mcp:read mcp:call\""));
    claims["scope"] = json!("mcp:call other mcp:read");
    assert_eq!(
        house.with(&Issuer::signed(&house.issuer.key, &header, &claims)),
        200
    );
    // In no other place than the header (RFC 6750, section 2.3).
    let path = format!("/mcp?access_token={token}");
    assert_eq!(
        ask(address, "POST", &path, &HEADERS, &initialize("2025-11-25")).0,
        401
    );
}

#[test]
fn on_loopback_localhost_is_a_name_of_the_resource_as_well() {
    let house = house("");
    let address = house.mux.address();
    let localhost = format!("localhost:{}", address.port());
    for (host, resource) in [
        (localhost.as_str(), format!("http://{localhost}/mcp")),
        (&address.to_string(), house.resource.clone()),
        // Another name of loopback is none of the endpoint's.
        ("127.0.0.2", house.resource.clone()),
    ] {
        let headers = [HEADERS[0], HEADERS[1], ("Host", host)];
        let (status, headers, _) =
            ask(address, "POST", "/mcp", &headers, &initialize("2025-11-25"));
        assert_eq!(status, 401);
        let told = headers.iter().find(|(name, _)| name == "www-authenticate");
        let told = &told.expect("a challenge").1;
        let place = resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
        assert_eq!(told, &format!("Bearer resource_metadata=\"{place}\""));
        let path = "/.well-known/oauth-protected-resource/mcp";
        let (_, _, body) = ask(address, "GET", path, &[("Host", host)], "");
        let metadata: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(metadata["resource"], json!(resource), "{host}");
        // And a token for that lets in.
        let lets_in = house.but(|_, claims| claims["aud"] = json!(resource));
        assert_eq!(lets_in, 200, "{host}");
    }
    let other = format!("http://localhost:{}/other", address.port());
    assert_eq!(house.but(|_, claims| claims["aud"] = json!(other)), 401);
}

#[test]
fn a_flood_of_unknown_keys_has_the_keys_fetched_once() {
    let house = house("");
    assert_eq!(house.but(|_, _| {}), 200);
    assert_eq!(house.issuer.fetched(), 1);
    thread::scope(|scope| {
        for thread in 0..4 {
            let house = &house;
            scope.spawn(move || {
                for n in 0..25 {
                    let status =
                        house.but(|header, _| header["kid"] = json!(format!("{thread}-{n}")));
                    assert_eq!(status, 401);
                }
            });
        }
    });
    assert_eq!(house.issuer.fetched(), 1, "half a minute is not over");
    assert_eq!(house.but(|_, _| {}), 200);
}

#[test]
fn a_clients_token_reaches_no_backend() {
    let house = house("");
    let header = json!({ "alg": "ES256", "kid": "k" });
    let token = Issuer::signed(&house.issuer.key, &header, &house.claims());
    let bearer = format!("Bearer {token}");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b__t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [
        HEADERS[0],
        HEADERS[1],
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "b__t"),
        ("Authorization", bearer.as_str()),
    ];
    eventually("the tool", || {
        let (status, _, body) = ask(house.mux.address(), "POST", "/mcp", &headers, body);
        (status == 200 && body.contains("\"result\"")).then_some(())
    });
    house.peer.message("tools/call", 1);
    for event in house.peer.events() {
        let event = format!("{event:?}");
        assert!(
            !event.contains(&token) && !event.to_lowercase().contains("bearer"),
            "{event}"
        );
    }
    assert!(!house.mux.log().contains(&token));
}

#[test]
fn an_address_that_does_not_tell_the_resource_needs_it_set() {
    let peer = Peer::new(legacy(&["t"]));
    let top = "access: { oauth: { issuer: \"https://as.example\" } }";
    let mux = Setup::one("b", &peer).top(top).start(&[]);
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("access.oauth.resource");
    let top = "access: { oauth: { issuer: \"https://as.example\", resource: \"https://m.example/mcp\", algorithms: [HS256] } }";
    let mux = Setup::one("b", &peer).top(top).start(&[]);
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("access.oauth.algorithms: \"HS256\"");
}

#[test]
fn a_claim_gives_a_role_and_who_has_another_sees_none_of_it() {
    let house = house(
        "  roles: { reader: { allow: [b] } }\n  assign: [{ role: reader, claim: { groups: devs } }]\n",
    );
    let listed = |groups: Value| {
        let mut claims = house.claims();
        claims["groups"] = groups;
        let header = json!({ "alg": "ES256", "kid": "k" });
        let token = Issuer::signed(&house.issuer.key, &header, &claims);
        list(&house, &format!("Bearer {token}"))
    };
    eventually("the tool", || {
        let text = listed(json!(["ops", "devs"]));
        text.contains("\"b__t\"").then_some(())
    });
    let text = listed(json!(["ops"]));
    assert!(text.contains("\"tools\":[]"), "{text}");
}
