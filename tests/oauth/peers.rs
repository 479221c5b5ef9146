//! The authorization server and the protected MCP servers behind it, in one
//! process of Node.js: see `peers/main.mjs`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use url::Url;

use crate::{
    fetch::{fetch, get},
    install,
    secrets::Secrets,
};

/// What the peers are to be like.
pub(crate) struct Plan {
    authorization: Value,
    resources: Vec<Value>,
}

impl Default for Plan {
    /// One server behind an authorization server that does what MCP asks of one.
    fn default() -> Self {
        Self {
            authorization: json!({
                "accessTtl": 3600, "refreshTtl": 86400, "deviceTtl": 600,
                "clients": [], "defaultResource": "http://127.0.0.1/unnamed",
                "device": true, "refresh": "always", "registration": true, "revocation": true,
                "scopes": ["mcp:read", "mcp:call", "mcp:admin"],
            }),
            resources: vec![resource()],
        }
    }
}

fn resource() -> Value {
    json!({
        "challenge": true, "era": "both", "metadata": true, "metadataAtRoot": false,
        "metadataInChallenge": true, "scope": "mcp:read mcp:call", "scopeInChallenge": true,
    })
}

impl Plan {
    /// Sets an option of the authorization server.
    pub(crate) fn authorization(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.authorization[name] = value.into();
        self
    }

    /// Sets an option of the last protected server.
    pub(crate) fn resource(mut self, name: &str, value: impl Into<Value>) -> Self {
        let last = self.resources.last_mut().expect("there is one");
        last[name] = value.into();
        self
    }

    /// Adds a client that is registered by hand.
    pub(crate) fn client(mut self, client: Value) -> Self {
        let clients = self.authorization["clients"].as_array_mut();
        clients.expect("a list").push(client);
        self
    }

    /// Adds another protected server.
    pub(crate) fn and_another(mut self) -> Self {
        self.resources.push(resource());
        self
    }

    /// Starts them.
    #[track_caller]
    pub(crate) fn start(self) -> Peers {
        Peers::start(&json!({ "authorization": self.authorization, "resources": self.resources }))
    }
}

/// The peers, while they run. Dropped, they are ended.
pub(crate) struct Peers {
    process: Child,
    /// The issuer of the authorization server.
    pub(crate) issuer: String,
    resources: Vec<String>,
    control: Url,
}

/// A request to the authorization server.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Request {
    /// What it is by the name that `oidc-provider` has for it, as `token`.
    #[serde(default)]
    pub(crate) route: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The `grant_type`.
    pub(crate) grant: Option<String>,
    /// Whether the answer's token is bound to a key.
    #[serde(default)]
    pub(crate) bound: bool,
    /// The client's id.
    pub(crate) client: Option<String>,
    /// The `resource`.
    pub(crate) resource: Option<String>,
    /// The scope that was asked for.
    pub(crate) scope: Option<String>,
    /// The scope that was given.
    pub(crate) granted: Option<String>,
    /// The `redirect_uri`.
    pub(crate) redirect: Option<String>,
    /// The `error` of the answer.
    pub(crate) error: Option<String>,
    /// The client as it was registered, without its secrets.
    pub(crate) registered: Option<Value>,
    /// The `User-Agent`.
    pub(crate) agent: Option<String>,
}

impl Peers {
    fn start(plan: &Value) -> Self {
        let mut process = Command::new(install::node())
            .arg(install::file("peers/main.mjs"))
            .env("PEERS", plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peers can be started");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the peers print a line");
        let printed: Value = serde_json::from_str(&line).expect("the peers print JSON");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        Self {
            process,
            issuer: text(&printed["issuer"]),
            resources: printed["resources"]
                .as_array()
                .expect("a list")
                .iter()
                .map(text)
                .collect(),
            control: Url::parse(&text(&printed["control"])).expect("a URL"),
        }
    }

    /// The endpoint of the first protected server.
    pub(crate) fn endpoint(&self) -> &str {
        &self.resources[0]
    }

    /// The endpoints of all protected servers.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.resources
    }

    /// All that happened so far: `kind` and what belongs to it.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events = get(&self.control.join("/events").expect("a path")).json();
        events.as_array().expect("a list").clone()
    }

    /// The requests to the authorization server so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        requests(&self.events())
    }

    /// The requests for this route so far.
    pub(crate) fn requests_for(&self, route: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.route == route);
        requests
    }

    /// The requests to the token endpoint with this grant so far.
    pub(crate) fn grants(&self, grant: &str) -> Vec<Request> {
        let mut requests = self.requests_for("token");
        requests.retain(|request| request.grant.as_deref() == Some(grant));
        requests
    }

    /// Takes every grant back: refresh tokens are good for nothing from now on.
    pub(crate) fn revoke(&self) {
        self.order("/revoke");
    }

    /// Lets no access token be taken that was given out by now.
    pub(crate) fn refuse(&self) {
        self.order("/refuse");
    }

    fn order(&self, order: &str) {
        let url = self.control.join(order).expect("a path");
        assert_eq!(fetch("POST", &url, &[], "").status, 200);
    }

    /// Adds every secret that was given out or shown so far.
    pub(crate) fn tell_all(&self, secrets: &Secrets) {
        for event in self.events() {
            if event["kind"] == "secret" {
                let text = |name: &str| event[name].as_str().expect("a string").to_owned();
                secrets.add(&text("what"), &text("value"));
            }
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // They have nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn requests(events: &[Value]) -> Vec<Request> {
    let requests = events.iter().filter(|event| event["kind"] == "request");
    requests
        .map(|event| serde_json::from_value(event.clone()).expect("a request"))
        .collect()
}
