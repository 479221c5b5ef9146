//! An authorization server and a protected MCP server that do what the test
//! says: every answer can be changed, held, given twice or not at all. Consent
//! is given at once. For what a certified server cannot be made to do.

mod gate;
mod grants;
mod http;

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub(crate) use gate::Gate;
use grants::Grants;
pub(crate) use http::{Answer, Body, Request, Server};

use crate::{secrets::Secrets, support::PATIENCE};

/// The place of the metadata of RFC 9728.
pub(crate) const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";

/// The place of the metadata of RFC 8414.
pub(crate) const SERVER: &str = "/.well-known/oauth-authorization-server";

/// Both servers. Dropped, they are ended.
pub(crate) struct Fake {
    authority: Server,
    resource: Server,
    house: Arc<House>,
    /// Every secret that was given out or shown.
    pub(crate) secrets: Secrets,
}

/// Gives the usual answer, with its effects.
pub(crate) type Usual<'a> = &'a dyn Fn() -> Answer;

type Hook = Arc<dyn Fn(&Request, Usual<'_>) -> Answer + Send + Sync>;

/// What both servers know.
struct House {
    issuer: OnceLock<String>,
    endpoint: OnceLock<String>,
    grants: Mutex<Grants>,
    hooks: Mutex<BTreeMap<String, Hook>>,
    seen: Mutex<Vec<Request>>,
    sees: Condvar,
}

impl Fake {
    /// Starts both.
    pub(crate) fn start() -> Self {
        let secrets = Secrets::default();
        let house = Arc::new(House {
            issuer: OnceLock::new(),
            endpoint: OnceLock::new(),
            grants: Mutex::new(Grants::new(secrets.clone())),
            hooks: Mutex::default(),
            seen: Mutex::default(),
            sees: Condvar::new(),
        });
        let own = Arc::clone(&house);
        let authority = Server::start(move |request| own.answer(request, House::authority));
        let own = Arc::clone(&house);
        let resource = Server::start(move |request| own.answer(request, House::resource));
        house.issuer.set(authority.origin()).expect("the first");
        let endpoint = format!("{}/mcp", resource.origin());
        house.endpoint.set(endpoint).expect("the first");
        Self {
            authority,
            resource,
            house,
            secrets,
        }
    }

    /// The issuer of the authorization server.
    pub(crate) fn issuer(&self) -> String {
        self.authority.origin()
    }

    /// The endpoint of the MCP server.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/mcp", self.resource.origin())
    }

    /// Answers requests for `path`, at either server, as `hook` does from now on.
    pub(crate) fn on(
        &self,
        path: &str,
        hook: impl Fn(&Request, Usual<'_>) -> Answer + Send + Sync + 'static,
    ) {
        let mut hooks = self.house.hooks.lock().unwrap();
        hooks.insert(path.to_owned(), Arc::new(hook));
    }

    /// Answers requests for `path` as usual from now on.
    pub(crate) fn off(&self, path: &str) {
        self.house.hooks.lock().unwrap().remove(path);
    }

    /// Changes the JSON that is answered to requests for `path`.
    pub(crate) fn change(&self, path: &str, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.on(path, move |_, usual| {
            let mut answer = usual();
            if let Body::Text(text) = &mut answer.body {
                let mut value = serde_json::from_str(text).expect("JSON");
                change(&mut value);
                *text = value.to_string();
            }
            answer
        });
    }

    /// Holds requests for `path` at a gate before they have any effect.
    pub(crate) fn hold_before(&self, path: &str) -> Gate {
        let gate = Gate::default();
        let own = gate.clone();
        self.on(path, move |_, usual| {
            own.pass();
            usual()
        });
        gate
    }

    /// Holds the answers to requests for `path` at a gate, after their effects.
    pub(crate) fn hold_after(&self, path: &str) -> Gate {
        let gate = Gate::default();
        let own = gate.clone();
        self.on(path, move |_, usual| {
            let answer = usual();
            own.pass();
            answer
        });
        gate
    }

    /// The requests for `path` so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<Request> {
        let mut seen = self.house.seen.lock().unwrap().clone();
        seen.retain(|request| request.path == path);
        seen
    }

    /// The calls of tools so far.
    pub(crate) fn calls(&self) -> Vec<Request> {
        let mut seen = self.seen("/mcp");
        seen.retain(|request| request.body.contains("tools/call"));
        seen
    }

    /// Waits until `number` requests for `path` have come in all.
    #[track_caller]
    pub(crate) fn sees(&self, path: &str, number: usize) {
        let end = Instant::now() + PATIENCE;
        let mut seen = self.house.seen.lock().unwrap();
        loop {
            let of_path = seen.iter().filter(|request| request.path == path).count();
            if of_path >= number {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{of_path} of {number} requests for {path}");
            seen = self.house.sees.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// The token requests with this grant so far.
    pub(crate) fn grants(&self, grant: &str) -> Vec<Request> {
        let mut seen = self.seen("/token");
        seen.retain(|request| request.field("grant_type") == grant);
        seen
    }

    /// How long access tokens are good that are given out from now on.
    pub(crate) fn lifetime(&self, lifetime: Duration) {
        self.house.grants().lifetime = lifetime;
    }

    /// Lets every access token be over, as if its time had come.
    pub(crate) fn expire(&self) {
        self.house.grants().expire();
    }
}

impl House {
    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap()
    }

    fn answer(&self, request: &Request, usual: fn(&Self, &Request) -> Answer) -> Answer {
        self.seen.lock().unwrap().push(request.clone());
        self.sees.notify_all();
        let hook = self.hooks.lock().unwrap().get(&request.path).cloned();
        let usual = || usual(self, request);
        hook.map_or_else(usual, |hook| hook(request, &usual))
    }

    /// The authorization server's usual answer.
    fn authority(&self, request: &Request) -> Answer {
        let issuer = self.issuer.wait();
        match request.path.as_str() {
            SERVER => Answer::json(
                200,
                &json!({
                    "issuer": issuer,
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "registration_endpoint": format!("{issuer}/register"),
                    "revocation_endpoint": format!("{issuer}/revoke"),
                    "response_types_supported": ["code"],
                    "grant_types_supported": ["authorization_code", "refresh_token"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none"],
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            "/register" => {
                let mut client: Value = serde_json::from_str(&request.body).unwrap_or_default();
                client["client_id"] = format!("client-{:x}", fastrand::u64(..)).into();
                Answer::json(201, &client)
            }
            "/authorize" => {
                let Ok(mut back) = url::Url::parse(request.field("redirect_uri")) else {
                    return Answer::text(400, "text/plain", "no redirect URI");
                };
                back.query_pairs_mut()
                    .append_pair("code", &self.grants().code(request))
                    .append_pair("state", request.field("state"))
                    .append_pair("iss", issuer);
                Answer::redirect(back.as_str())
            }
            "/token" => self.grants().token(request),
            "/revoke" => Answer::text(200, "text/plain", ""),
            _ => Answer::text(404, "text/plain", ""),
        }
    }

    /// The MCP server's usual answer.
    fn resource(&self, request: &Request) -> Answer {
        let (issuer, endpoint) = (self.issuer.wait(), self.endpoint.wait());
        match request.path.as_str() {
            RESOURCE => Answer::json(
                200,
                &json!({ "resource": endpoint, "authorization_servers": [issuer] }),
            ),
            "/mcp" if request.method == "POST" => {
                let message: Value = serde_json::from_str(&request.body).unwrap_or_default();
                let place = endpoint.replace("/mcp", RESOURCE);
                let deny = |status, rest: &str| {
                    let challenge = format!(r#"Bearer {rest}resource_metadata="{place}""#);
                    Answer::json(status, &json!({})).header("WWW-Authenticate", &challenge)
                };
                let Some(scope) = self.grants().admits(request).map(str::to_owned) else {
                    return deny(401, "");
                };
                if message["params"]["name"] == "admin" && !scope.contains("admin") {
                    return deny(403, r#"error="insufficient_scope", scope="admin", "#);
                }
                mcp(&message)
            }
            "/mcp" => Answer::text(405, "text/plain", ""),
            _ => Answer::text(404, "text/plain", ""),
        }
    }
}

/// What a small server of 2025-11-25 answers.
fn mcp(message: &Value) -> Answer {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "scripted", "version": "1" },
        }),
        Some("tools/list") => json!({ "tools": [tool("echo"), tool("admin")] }),
        Some("tools/call") => {
            let name = message["params"]["name"].as_str().unwrap_or_default();
            json!({ "content": [{ "type": "text", "text": format!("{name} done") }] })
        }
        Some("ping") => json!({}),
        _ if message["id"].is_null() => return Answer::text(202, "text/plain", ""),
        _ => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            let body = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
            return Answer::json(200, &body);
        }
    };
    let body = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
    Answer::json(200, &body)
}
