//! An OAuth client by script, which shows that the peers do what the tests of
//! mcpmux rely on. It knows the way and takes no wrong turn.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    fetch::{Fetched, get, post_form, post_json},
    walker::{Redirect, Walker},
};

/// Where it would listen.
const REDIRECT: &str = "http://127.0.0.1:1/oauth/callback";

/// A client that is registered at the authorization server of one resource.
pub(crate) struct Script {
    resource: String,
    metadata: Value,
    client: String,
    redirect: String,
}

/// An authorization that was begun.
pub(crate) struct Begun {
    /// The authorization URL.
    pub(crate) url: String,
    verifier: String,
}

impl Script {
    /// Finds the authorization server of the resource at `endpoint`, by its
    /// challenge, and registers.
    pub(crate) fn register(endpoint: &str) -> Self {
        Self::register_at(endpoint, REDIRECT)
    }

    /// The same with this redirect URI.
    pub(crate) fn register_at(endpoint: &str, redirect: &str) -> Self {
        let challenge = call(endpoint, None, "tools/list", json!({}));
        assert_eq!(challenge.status, 401);
        let challenge = challenge.header("www-authenticate").expect("a challenge");
        let place = challenge
            .split("resource_metadata=\"")
            .nth(1)
            .expect("metadata");
        let place = place.split('"').next().expect("a URL");
        let resource = get(&url(place)).json();
        let issuer = text(&resource["authorization_servers"][0]);
        let place = issuer + "/.well-known/oauth-authorization-server";
        let mut found = Self {
            resource: text(&resource["resource"]),
            metadata: get(&url(&place)).json(),
            client: String::new(),
            redirect: redirect.to_owned(),
        };
        let registered = post_json(
            &found.endpoint("registration_endpoint"),
            &[],
            &json!({
                "application_type": "native", "client_name": "script",
                "grant_types": ["authorization_code", "refresh_token", DEVICE],
                "redirect_uris": [redirect], "token_endpoint_auth_method": "none",
            }),
        );
        assert_eq!(registered.status, 201, "{}", registered.body);
        found.client = text(&registered.json()["client_id"]);
        found
    }

    /// An endpoint of the authorization server.
    pub(crate) fn endpoint(&self, name: &str) -> Url {
        url(&text(&self.metadata[name]))
    }

    /// Begins an authorization for these scopes.
    pub(crate) fn begin(&self, scope: &str) -> Begun {
        let verifier = random();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut url = self.endpoint("authorization_endpoint");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("scope", scope)
            .append_pair("resource", &self.resource)
            .append_pair("state", &random())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Begun {
            url: url.into(),
            verifier,
        }
    }

    /// Gives the redirect's code for tokens.
    pub(crate) fn exchange(&self, begun: &Begun, redirect: &Redirect) -> Fetched {
        let code = redirect.parameter("code").expect("a code");
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", &begun.verifier),
        ])
    }

    /// Goes all the way as Alice, for these scopes; gives the tokens.
    pub(crate) fn log_in(&self, scope: &str) -> Value {
        let begun = self.begin(scope);
        let redirect = Walker::alice().walk(&begun.url);
        let tokens = self.exchange(&begun, &redirect);
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        tokens.json()
    }

    /// Refreshes.
    pub(crate) fn refresh(&self, tokens: &Value) -> Fetched {
        let token = text(&tokens["refresh_token"]);
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)])
    }

    /// Begins a device's login.
    pub(crate) fn device(&self) -> Value {
        let fields = [
            ("client_id", self.client.as_str()),
            ("scope", "mcp:read"),
            ("resource", &self.resource),
        ];
        post_form(
            &self.endpoint("device_authorization_endpoint"),
            &[],
            &fields,
        )
        .json()
    }

    /// Asks for the tokens of a device's login.
    pub(crate) fn poll(&self, device: &Value) -> Fetched {
        let code = text(&device["device_code"]);
        self.token(&[("grant_type", DEVICE), ("device_code", &code)])
    }

    fn token(&self, fields: &[(&str, &str)]) -> Fetched {
        let own = [
            ("client_id", self.client.as_str()),
            ("resource", &self.resource),
        ];
        post_form(
            &self.endpoint("token_endpoint"),
            &[],
            &[fields, &own].concat(),
        )
    }
}

/// The grant of RFC 8628.
pub(crate) const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Makes a request of 2026-07-28 to an MCP server, with a token.
pub(crate) fn call(endpoint: &str, token: Option<&Value>, method: &str, params: Value) -> Fetched {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "script", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let authorization = token.map(|tokens| format!("Bearer {}", text(&tokens["access_token"])));
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let mut headers = vec![
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    headers.extend(
        authorization
            .as_deref()
            .map(|value| ("Authorization", value)),
    );
    if !name.is_empty() {
        headers.push(("Mcp-Name", &name));
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    post_json(&url(endpoint), &headers, &message)
}

fn random() -> String {
    let mut bytes = [0; 32];
    fastrand::fill(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
