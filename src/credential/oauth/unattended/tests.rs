//! Tokens that need no person, from a server that does as told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;
use crate::{
    config::{Auth, Config, Environment, Transport},
    credential::oauth::{
        faults::{Answer, Server},
        house::House,
    },
};

/// A login of a backend at `server`, with `keys` of YAML in `auth`.
pub(in crate::credential::oauth) fn login(server: &Server, keys: &str) -> Arc<Login> {
    let text = format!(
        "token_store: {{kind: memory}}\nbackends:\n- name: b\n  transport: http\n  \
         endpoint: {}\n  auth: {{type: oauth, {keys}}}\n",
        server.url("/mcp")
    );
    let environment = Environment::process();
    let config = Config::parse(&text, "test", &environment).unwrap_or_else(|e| panic!("{e}"));
    let backend = &config.backends[0];
    let Ok(Transport::Http(http)) = &backend.transport else {
        panic!("no HTTP backend")
    };
    let Auth::OAuth(settings) = &http.auth else {
        panic!("no OAuth")
    };
    let house = Arc::new(House::new(&config, environment, true));
    Login::new(backend.name.clone(), http, settings, house)
}

/// What leads to the server's own token endpoint.
fn metadata(base: &str, line: &str) -> Answer {
    let document = json!({
        "issuer": "BASE", "token_endpoint": "BASE/token",
        "resource": "BASE/mcp", "authorization_servers": ["BASE"],
    });
    if line.starts_with("GET /.well-known/oauth") {
        Answer::filled(&document, base)
    } else {
        Answer::Page(404)
    }
}

fn asked(server: &Server) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| *line == "POST /token").count()
}

#[tokio::test]
async fn a_workload_shows_its_jwt_and_has_a_token() {
    let server = Server::start(|base, asked| match &*asked.line {
        "POST /token" => Answer::Json(
            200,
            json!({ "access_token": "t", "refresh_token": "r", "expires_in": 60 }),
        ),
        line => metadata(base, line),
    })
    .await;
    let login = login(&server, "grant: jwt_bearer, assertion: a.jwt");
    let (token, _) = login.token().await.expect("a token");
    assert_eq!(token.expect("a token").token.expose(), "t");
    let state = login.state();
    assert!(state.tokens().expect("tokens").refresh.is_none());
    assert!(!server.lines().iter().any(|line| line.contains("register")));
}

#[tokio::test]
async fn an_assertion_that_was_refused_is_not_shown_again() {
    let server = Server::start(|base, asked| match &*asked.line {
        "POST /token" => Answer::Json(400, json!({ "error": "invalid_grant" })),
        line => metadata(base, line),
    })
    .await;
    let login = login(&server, "grant: jwt_bearer, assertion: s3cret.jwt");
    let refused = login.token().await.expect_err("a refusal").to_string();
    assert!(
        refused.contains("invalid_grant") && !refused.contains("s3cret"),
        "{refused}"
    );
    for _ in 0..3 {
        let again = login.own().await.expect_err("a refusal");
        assert!(again.to_string().contains("invalid_grant"), "{again}");
    }
    assert_eq!(asked(&server), 1);
    assert!(!format!("{:?}", login.state()).contains("s3cret"));
}

#[tokio::test]
async fn a_command_prints_another_assertion_for_each_token() {
    let answers = AtomicUsize::new(0);
    let server = Server::start(move |base, asked| match &*asked.line {
        "POST /token" if answers.fetch_add(1, Ordering::SeqCst) == 0 => {
            Answer::Json(400, json!({ "error": "invalid_grant" }))
        }
        "POST /token" => Answer::Json(200, json!({ "access_token": "t" })),
        line => metadata(base, line),
    })
    .await;
    let keys = "grant: jwt_bearer, assertion_command: [cat, /proc/sys/kernel/random/uuid]";
    let login = login(&server, keys);
    assert!(login.own().await.is_err());
    login.own().await.expect("a token");
    login.own().await.expect("a token");
    let shown = server.asked();
    let shown: std::collections::BTreeSet<_> = shown
        .iter()
        .filter(|asked| asked.line == "POST /token")
        .map(|asked| &asked.body)
        .collect();
    assert_eq!(shown.len(), 3);
}
