//! The client under test, as the suite starts it: mcpmux in front of the suite's
//! server, a person who consents to everything, and a client of mcpmux that
//! lists and calls.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    support::{Client, Era, Mux, Setup, at, elements, member, text},
    walker::Walker,
};

/// The variable that says which suite it is.
pub(crate) const SUITE: &str = "MCPMUX_TEST_SUITE";

/// The first revision without sessions.
const MODERN: &str = "2026-07-28";

/// Scenarios whose server answers a probe for the modern era with `{}`.
const ANSWERS_ANYTHING: [&str; 2] = ["initialize", "sse-retry"];

/// The scenario where mcpmux makes headers of arguments: it does for a client that
/// knows of no such headers.
const OF_HEADERS: &str = "http-custom-headers";

/// Scenarios in which the answer to the authorization request must be refused, and
/// what mcpmux then says.
const REFUSED: [(&str, &str); 4] = [
    (
        "auth/iss-supported-missing",
        "does not name the authorization server",
    ),
    (
        "auth/iss-wrong-issuer",
        "names another authorization server",
    ),
    ("auth/iss-unexpected", "names another authorization server"),
    ("auth/iss-normalized", "names another authorization server"),
];

/// How long a backend may take to be up, consent included.
const LIMIT: Duration = Duration::from_secs(15);

/// How often a call is made again that found consent missing.
const TRIES: usize = 8;

/// Does what `scenario` needs with the server whose URL is the last argument.
pub(crate) fn drive(scenario: &str) -> ExitCode {
    let url = env::args().next_back().unwrap();
    let context = env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_else(|_| "{}".to_owned());
    let context: Value = serde_json::from_str(&context).unwrap();
    let revision = env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default();
    let mut backend = json!({
        "name": "suite", "namespace": "none", "transport": "http", "endpoint": url,
    });
    if ANSWERS_ANYTHING.contains(&scenario) {
        backend["era"] = "legacy".into();
    }
    let mut setup = Setup::default();
    if scenario.starts_with("auth/") {
        backend["auth"] = auth(scenario, &context);
        setup = setup.top("token_store: {kind: memory}");
    }
    // JSON is YAML too.
    let mux = setup
        .raw_backend(&backend.to_string())
        .start(&["--log-format", "json"]);
    let visit = Visit {
        mux: &mux,
        consents: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    let run = || visit.run(scenario, &context, &revision);
    // The report of a panic is on stderr, which the suite keeps.
    if catch_unwind(AssertUnwindSafe(run)).is_ok_and(|outcome| outcome.is_some()) {
        ExitCode::SUCCESS
    } else {
        eprintln!("--- the log of mcpmux\n{}", mux.log());
        ExitCode::FAILURE
    }
}

/// How mcpmux is to log in.
fn auth(scenario: &str, context: &Value) -> Value {
    let mut auth = json!({ "type": "oauth", "open_browser": false });
    for (member, key) in [
        ("client_id", "client_id"),
        ("client_secret", "client_secret"),
        ("private_key_pem", "private_key"),
    ] {
        if !context[member].is_null() {
            auth[key] = context[member].clone();
        }
    }
    if scenario.starts_with("auth/client-credentials") {
        auth["grant"] = "client_credentials".into();
    }
    // In the stable suite this server's metadata has not the issuer that it is
    // found by, which is for the operator to allow.
    let stable = env::var(SUITE).is_ok_and(|suite| suite == "stable");
    if stable && scenario == "auth/2025-03-26-oauth-metadata-backcompat" {
        auth["allow_issuer_mismatch"] = true.into();
    }
    if scenario == "auth/wif-jwt-bearer" {
        auth["grant"] = "jwt_bearer".into();
        auth["assertion"] = context["valid_jwt"].clone();
    }
    if !context["idp_id_token"].is_null() {
        auth["grant"] = "enterprise_managed".into();
        auth["identity_token"] = context["idp_id_token"].clone();
        auth["idp_client_id"] = context["idp_client_id"].clone();
        // Either way leads there; the suites show both.
        if scenario == "auth/enterprise-managed-authorization" {
            auth["idp_issuer"] = context["idp_issuer"].clone();
        } else {
            auth["idp_token_endpoint"] = context["idp_token_endpoint"].clone();
        }
    }
    if scenario == "auth/basic-cimd" {
        auth["client_metadata_url"] = "https://conformance-test.local/client-metadata.json".into();
    }
    auth
}

/// mcpmux and who uses it.
struct Visit<'a> {
    mux: &'a Mux,
    /// How many authorization URLs have been followed to their end.
    consents: AtomicUsize,
    over: AtomicBool,
}

impl Visit<'_> {
    /// Nothing if the backend did not come up.
    fn run(&self, scenario: &str, context: &Value, revision: &str) -> Option<()> {
        thread::scope(|scope| {
            scope.spawn(|| self.consent());
            let outcome = catch_unwind(AssertUnwindSafe(|| self.act(scenario, context, revision)));
            self.over.store(true, Ordering::SeqCst);
            outcome.expect("see above")
        })
    }

    /// Follows every authorization URL that mcpmux asks for.
    fn consent(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let done = self.consents.load(Ordering::SeqCst);
            let log = self.mux.log();
            if let Some(url) = log.lines().filter_map(asks_for_login).nth(done) {
                let followed = catch_unwind(|| Walker::alice().walk(&url).follow());
                match followed {
                    Ok(page) => eprintln!("consent: {} {}", page.status, page.words()),
                    Err(_) => eprintln!("no consent at {url}"),
                }
                self.consents.store(done + 1, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn act(&self, scenario: &str, context: &Value, revision: &str) -> Option<()> {
        let address = self.mux.address();
        let abilities = r#"{"elicitation":{},"sampling":{},"roots":{}}"#;
        let client = if revision >= MODERN && scenario != OF_HEADERS {
            Client::of(address, Era::Modern, abilities)
        } else {
            Client::of(address, Era::Legacy("2025-11-25"), abilities)
        };
        if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == scenario) {
            self.mux.logged(why);
            return Some(());
        }
        self.up()?;
        let tools = elements(&at(&client.request("tools/list", "").result(), &["tools"]));
        match scenario {
            "http-standard-headers" => read_all(&client),
            "json-schema-2020-12-preservation" => {
                let schema = at(&tools[0], &["inputSchema"]);
                let arguments = format!(r#"{{"schema":{schema}}}"#);
                return self.call(&client, "json_schema_echo", &arguments);
            }
            "json-schema-ref-no-deref" => return Some(()),
            "sep-2322-client-request-state" => {
                for tool in &tools {
                    retried(&client, &text(&at(tool, &["name"])));
                }
                return Some(());
            }
            _ => {}
        }
        if let Some(calls) = context["toolCalls"].as_array() {
            for call in calls {
                let name = call["name"].as_str().unwrap();
                self.call(&client, name, &call["arguments"].to_string())?;
            }
            return Some(());
        }
        for tool in &tools {
            self.call(&client, &text(&at(tool, &["name"])), r#"{"a":2,"b":3}"#)?;
        }
        Some(())
    }

    /// Waits until the backend is up; nothing if it does not come up.
    fn up(&self) -> Option<()> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if self.mux.log().contains("up: ") {
                return Some(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Calls a tool, again for as long as consent was missing and was given since;
    /// nothing if it has no result.
    fn call(&self, client: &Client, tool: &str, arguments: &str) -> Option<()> {
        for _ in 0..TRIES {
            let before = self.consents.load(Ordering::SeqCst);
            let call = format!(r#""name":"{tool}","arguments":{arguments}"#);
            let message = client.spell(&client.id(), "tools/call", None, &call);
            let answer = client.converse(&message, defaults);
            eprintln!("{tool}: {}", answer.response);
            if member(&answer.response, "result").is_some() {
                return Some(());
            }
            let end = Instant::now() + Duration::from_secs(2);
            while self.consents.load(Ordering::SeqCst) == before {
                if Instant::now() > end {
                    return None;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        None
    }
}

/// The authorization URL of a line of the log that asks for login.
fn asks_for_login(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let message = line["fields"]["message"].as_str()?;
    let (_, url) = message.split_once("needs login: open ")?;
    Some(url.split_whitespace().next()?.to_owned())
}

/// Lists and reads resources and prompts.
fn read_all(client: &Client) {
    for (list, one, members) in [
        ("resources", "resources/read", &["uri"][..]),
        ("prompts", "prompts/get", &["name"]),
    ] {
        let listed = client.request(&format!("{list}/list"), "").result();
        for entry in elements(&at(&listed, &[list])) {
            let named = at(&entry, members);
            client.request(one, &format!(r#""{}":{named}"#, members[0]));
        }
    }
}

/// Calls a tool that may ask for something and answers with what its retry needs.
fn retried(client: &Client, tool: &str) {
    let named = format!(r#""name":"{tool}","arguments":{{}}"#);
    let result = client.request("tools/call", &named).result();
    if member(&result, "resultType").as_deref() != Some(r#""input_required""#) {
        return;
    }
    let answers: Vec<_> = crate::support::members(&at(&result, &["inputRequests"]))
        .into_iter()
        .map(|(key, _)| format!(r#""{key}":{{"action":"accept","content":{{"confirmed":true}}}}"#))
        .collect();
    let mut retry = format!(r#"{named},"inputResponses":{{{}}}"#, answers.join(","));
    if let Some(state) = member(&result, "requestState") {
        retry.push_str(",\"requestState\":");
        retry.push_str(&state);
    }
    client.request("tools/call", &retry);
}

/// Accepts a question with the defaults of its schema, as a client does.
fn defaults(question: &str) -> String {
    let question: Value = serde_json::from_str(question).unwrap();
    let properties = question["params"]["requestedSchema"]["properties"].as_object();
    let content: serde_json::Map<_, _> = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((name.clone(), schema.get("default")?.clone())))
        .collect();
    json!({ "action": "accept", "content": content }).to_string()
}
