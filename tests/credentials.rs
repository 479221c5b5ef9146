//! What a request to an HTTP backend carries to be let in, and what becomes of
//! helpers that print it.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use support::{
    Client, Mux, Peer, Script, Setup, Step, eventually, legacy, processes_naming, result,
};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

fn refused(status: u16) -> Vec<Step> {
    vec![Step::Respond {
        status,
        headers: Vec::new(),
        body: String::new(),
    }]
}

fn house(script: Script, lines: &str) -> (Mux, Client, Peer) {
    let peer = Peer::http(script);
    let mux = Setup::default().backend("web", &peer, lines).serve();
    let client = Client::legacy(&mux);
    client.tool("web__t");
    (mux, client, peer)
}

/// A helper command in a directory of its own, which counts its runs.
struct Helper {
    dir: tempfile::TempDir,
}

impl Helper {
    /// Runs these lines of sh after counting; `$n` is the number of the run.
    fn new(lines: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("helper");
        let script = format!(
            "#!/bin/sh\necho run >> '{0}/runs'\nn=$(wc -l < '{0}/runs' | tr -d ' ')\n{lines}\n",
            dir.path().display()
        );
        fs::write(&path, script).expect("a helper can be stored");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        Self { dir }
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.dir.path().join("runs")).map_or(0, |runs| runs.lines().count())
    }

    fn auth(&self, more: &str) -> String {
        format!(
            "auth: {{type: command, command: [{:?}]{more}}}",
            self.dir.path().join("helper").display().to_string()
        )
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn authorizations(peer: &Peer, method: &str) -> Vec<Option<String>> {
    let wanted = format!("\"{method}\"");
    let requests = peer.requests();
    let matching = requests
        .iter()
        .filter(|r| r.method == method || r.body.contains(&wanted));
    matching
        .map(|r| r.header("authorization").map(str::to_owned))
        .collect()
}

#[test]
fn without_auth_nothing_is_sent() {
    let (_mux, client, peer) = house(legacy(&["t"]), "auth: {type: none}");
    client.call("web__t", None).result();
    assert!(
        peer.requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
}

#[test]
fn a_bearer_token_is_on_every_request() {
    let script = legacy(&["t"])
        .sessions(&["s"])
        .on("GET", [Step::Sse(Vec::new()), Step::Relay]);
    let (mux, client, peer) = house(script, "auth: {type: bearer, token: abc.def}");
    client.call("web__t", None).result();
    peer.relaying("GET");
    mux.stop();
    let requests = peer.requests();
    assert!(requests.iter().any(|r| r.method == "GET"));
    for request in &requests {
        assert_eq!(
            request.header("authorization"),
            Some("Bearer abc.def"),
            "{request:?}"
        );
    }
}

#[test]
fn a_header_of_the_operators_choice_is_on_every_request() {
    let (_mux, client, peer) = house(
        legacy(&["t"]),
        "auth: {type: header, header: X-Api-Key, value: k-1}\nheaders: {X-Team: blue}",
    );
    client.call("web__t", None).result();
    for request in peer.requests() {
        assert_eq!(request.header("x-api-key"), Some("k-1"), "{request:?}");
        assert_eq!(request.header("x-team"), Some("blue"), "{request:?}");
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn a_clients_own_credential_is_never_passed_on() {
    let (mux, client, peer) = house(legacy(&["t"]), "");
    let message = client.spell("1", "tools/call", None, r#""name":"web__t""#);
    let mut headers = client.headers(None, None);
    headers.push(("Authorization", "Bearer of-the-client".to_owned()));
    headers.push(("Cookie", "c=of-the-client".to_owned()));
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut connection = support::Connection::open(mux.address());
    connection
        .request("POST", "/mcp", &headers, &message)
        .expect("mcpmux reads");
    assert_eq!(connection.reply().status, 200);
    peer.message("tools/call", 1);
    assert!(!format!("{:?}", peer.requests()).contains("of-the-client"));
}

#[test]
fn a_secret_comes_from_the_environment_or_the_credentials_directory() {
    let credentials = tempfile::tempdir().expect("a directory can be made");
    fs::write(credentials.path().join("key"), "from-file\n").expect("a credential can be stored");
    let peer = Peer::http(legacy(&["t"]));
    let mux = Setup::default()
        .backend(
            "web",
            &peer,
            "auth: {type: bearer, token: \"${TOKEN}\"}\nheaders: {X-Key: \"${cred:key}\"}",
        )
        .env("TOKEN", "from-env")
        .env(
            "CREDENTIALS_DIRECTORY",
            &credentials.path().display().to_string(),
        )
        .serve();
    Client::legacy(&mux).call("web__t", None).result();
    let request = &peer.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer from-env"));
    assert_eq!(request.header("x-key"), Some("from-file"));
}

#[test]
fn a_missing_secret_makes_that_backend_unavailable_and_is_named() {
    let (web, works) = (Peer::http(legacy(&["t"])), Peer::new(legacy(&["t"])));
    let mux = Setup::default()
        .backend(
            "web",
            &web,
            "auth: {type: bearer, token: \"${NO_SUCH_TOKEN}\"}",
        )
        .backend("works", &works, "")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    let (_, message) = client.call("web__t", None).error();
    assert!(
        message.contains("web") && message.contains("NO_SUCH_TOKEN"),
        "{message}"
    );
    assert!(
        web.requests().is_empty(),
        "a request without its credential was sent"
    );
    let line = mux.logged("NO_SUCH_TOKEN");
    assert!(line.contains("auth.token"), "the log names the key: {line}");
}

#[test]
fn a_helpers_token_is_kept_for_its_time() {
    let helper = Helper::new("echo \"token-$n\"");
    let (_mux, client, peer) = house(legacy(&["t"]), &helper.auth(""));
    for _ in 0..5 {
        client.call("web__t", None).result();
    }
    assert_eq!(helper.runs(), 1);
    let sent = authorizations(&peer, "tools/call");
    assert_eq!(sent, vec![Some("Bearer token-1".to_owned()); 5]);
}

#[test]
fn a_helper_is_run_again_when_its_token_is_too_old() {
    let helper = Helper::new("echo \"token-$n\"");
    let (_mux, client, _peer) = house(legacy(&["t"]), &helper.auth(", ttl: 1s"));
    let first = helper.runs();
    eventually("another run", || {
        client.call("web__t", None).result();
        (helper.runs() > first).then_some(())
    });
}

#[test]
fn a_jwts_own_time_counts_before_the_ttl() {
    let jwt = |seconds: u64| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970")
            .as_secs();
        let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
        format!(
            "{}.{}.{}",
            part(r#"{"alg":"none"}"#),
            part(&format!(r#"{{"exp":{}}}"#, now + seconds)),
            part("x")
        )
    };
    let long = Helper::new(&format!("echo {}", jwt(3600)));
    let (_mux, client, _peer) = house(legacy(&["t"]), &long.auth(", ttl: 1ms"));
    for _ in 0..3 {
        client.call("web__t", None).result();
    }
    assert_eq!(long.runs(), 1, "a token that still holds is kept");
    let short = Helper::new(&format!("echo {}", jwt(2)));
    let (_mux, client, _peer) = house(legacy(&["t"]), &short.auth(", ttl: 1h"));
    let first = short.runs();
    eventually("another run", || {
        client.call("web__t", None).result();
        (short.runs() > first).then_some(())
    });
}

#[test]
fn a_refused_token_is_asked_for_again_once_and_the_call_made_again() {
    for status in [401, 403] {
        let helper = Helper::new("echo \"token-$n\"");
        let script = legacy(&["t"]).turns("tools/call t", [refused(status), vec![result(DONE)]]);
        let (_mux, client, peer) = house(script, &helper.auth(""));
        assert_eq!(client.call("web__t", None).result(), DONE, "{status}");
        assert_eq!(helper.runs(), 2, "{status}");
        let sent = authorizations(&peer, "tools/call");
        assert_eq!(
            sent,
            ["Bearer token-1", "Bearer token-2"].map(|token| Some(token.to_owned())),
            "{status}"
        );
    }
}

#[test]
fn many_calls_that_are_refused_run_the_helper_once() {
    let helper = Helper::new("echo \"token-$n\"");
    let mut turns = vec![[vec![Step::Await("all".to_owned())], refused(401)].concat(); 8];
    turns.push(vec![result(DONE)]);
    let (_mux, client, peer) = house(
        legacy(&["t"]).turns("tools/call t", turns),
        &helper.auth(""),
    );
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.call("web__t", None).result()))
            .collect();
        peer.message("tools/call", 8);
        peer.open("all");
        for call in calls {
            assert_eq!(call.join().expect("the call ends"), DONE);
        }
    });
    assert_eq!(helper.runs(), 2);
    assert_eq!(peer.messages("tools/call").len(), 16);
}

#[test]
fn a_token_that_is_refused_for_good_is_an_error_of_that_call() {
    let helper = Helper::new("echo \"token-$n\"");
    let script = legacy(&["t", "no"]).on("tools/call no", refused(401));
    let (_mux, client, peer) = house(script, &helper.auth(""));
    let (_, message) = client.call("web__no", None).error();
    assert!(
        message.contains("web") && message.contains("401"),
        "{message}"
    );
    assert_eq!((helper.runs(), peer.messages("tools/call").len()), (2, 2));
    assert_eq!(client.call("web__t", None).result(), DONE);
}

#[test]
fn a_fixed_token_that_is_refused_is_sent_once() {
    let script = legacy(&["t"]).on("tools/call t", refused(401));
    let (_mux, client, peer) = house(script, "auth: {type: bearer, token: abc}");
    let (_, message) = client.call("web__t", None).error();
    assert!(
        message.contains("web") && message.contains("401"),
        "{message}"
    );
    assert!(!message.contains("abc"), "{message}");
    assert_eq!(peer.messages("tools/call").len(), 1);
}

#[test]
fn a_helper_that_fails_is_its_backends_error_with_what_it_said() {
    let cases = [
        ("echo 'please log in' >&2; exit 4", "please log in"),
        ("exit 5", "5"),
        ("true", "token"),
        ("printf 'a\\nb\\n\\001\\n'", "token"),
    ];
    for (lines, said) in cases {
        let helper = Helper::new(lines);
        let (web, works) = (Peer::http(legacy(&["t"])), Peer::new(legacy(&["t"])));
        let mux = Setup::default()
            .backend("web", &web, &helper.auth(""))
            .backend("works", &works, "")
            .serve();
        let client = Client::legacy(&mux);
        assert_eq!(client.call("works__t", None).result(), DONE);
        let (_, message) = client.call("web__t", None).error();
        assert!(
            message.contains("web") && message.contains(said),
            "{lines}: {message}"
        );
        assert!(
            web.requests().is_empty(),
            "{lines}: a request without its credential was sent"
        );
    }
}

#[test]
fn a_helper_that_hangs_delays_nobody_else_and_does_not_outlive_mcpmux() {
    let helper = Helper::new("trap '' TERM; sleep 60");
    let (web, works) = (Peer::http(legacy(&["t"])), Peer::new(legacy(&["t"])));
    let mux = Setup::default()
        .backend("web", &web, &helper.auth(""))
        .backend("works", &works, "")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    eventually("a run", || (helper.runs() > 0).then_some(()));
    mux.stop();
    eventually("the end of the helper", || {
        processes_naming(helper.dir()).is_empty().then_some(())
    });
}

#[test]
fn what_a_helper_prints_is_in_no_log() {
    let helper = Helper::new("echo 'printed-secret'; echo 'a word on stderr' >&2");
    let peer = Peer::http(legacy(&["t"]));
    let mux = Setup::default()
        .backend("web", &peer, &helper.auth(""))
        .log_level("trace")
        .serve();
    let client = Client::legacy(&mux);
    client.call("web__t", None).result();
    mux.stop();
    assert!(!mux.log().contains("printed-secret"));
}
