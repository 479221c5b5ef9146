//! API keys: made, shown, wrong, expired and revoked while mcpmux runs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use crate::{HEADERS, as_other, ask, begin, house, support::*};

/// `mcpmux keys` of the user whose home this is.
pub(crate) fn keys(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcpmux"))
        .arg("keys")
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .expect("mcpmux can be started")
}

#[track_caller]
pub(crate) fn add(home: &Path, arguments: &[&str]) -> String {
    let output = keys(home, &[&["add"], arguments].concat());
    let key = String::from_utf8(output.stdout).expect("text");
    assert!(
        output.status.success() && key.starts_with("mcpmux_"),
        "{key}"
    );
    key.trim_end().to_owned()
}

/// The statuses of an `initialize` with this key, shown in either way.
fn with(mux: &Mux, key: &str) -> [u16; 2] {
    let bearer = format!("Bearer {key}");
    [("Authorization", bearer.as_str()), ("X-API-Key", key)]
        .map(|header| begin(mux.address(), &[header]))
}

pub(crate) fn comes_to(mux: &Mux, key: &str, status: u16) {
    eventually(&format!("{status} with the key"), || {
        (with(mux, key) == [status; 2]).then_some(())
    });
}

#[test]
fn a_key_is_made_shown_once_listed_and_revoked_while_mcpmux_runs() {
    let (_peer, mux) = house(|setup| setup.top("access: { keys: require }"));
    let (home, address) = (mux.home(), mux.address());
    let (status, headers, _) = ask(address, "POST", "/mcp", &HEADERS, &initialize("2025-11-25"));
    assert_eq!(status, 401, "not even its own user");
    let challenge = headers.iter().find(|(name, _)| name == "www-authenticate");
    assert!(challenge.is_some_and(|(_, value)| value.starts_with("Bearer ")));

    let key = add(home, &["laptop", "--role", "reader", "--expires", "30d"]);
    comes_to(&mux, &key, 200);
    let file = home.join(".local/state/mcpmux/keys.json");
    let kept = fs::read_to_string(&file).expect("a file");
    assert!(!kept.contains(&key[7..]), "only a hash is kept");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let table = String::from_utf8(keys(home, &["list"]).stdout).expect("text");
    assert!(
        table.contains("laptop") && table.contains("reader"),
        "{table}"
    );
    let json = keys(home, &["list", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["keys"][0]["name"], "laptop");
    assert_eq!(json["keys"][0]["expired"], false);

    assert!(keys(home, &["revoke", "laptop"]).status.success());
    comes_to(&mux, &key, 401);
    assert!(!keys(home, &["revoke", "laptop"]).status.success());
    assert!(!mux.log().contains(&key[7..]), "no key is logged");
}

#[test]
fn a_wrong_or_expired_key_is_refused_though_the_user_is_right() {
    let (_peer, mux) = house(|setup| setup);
    let (home, address) = (mux.home(), mux.address());
    let unknown = format!("mcpmux_{}", "A".repeat(48));
    assert_eq!(
        with(&mux, &unknown),
        [401; 2],
        "what looks like a key must be one"
    );
    assert_eq!(
        with(&mux, "something-else"),
        [200; 2],
        "no key was asked for"
    );
    let key = add(home, &["one"]);
    comes_to(&mux, &key, 200);
    assert_eq!(with(&mux, "something-else"), [401; 2]);
    let mut mistyped = key.clone();
    mistyped.replace_range(20..21, if &key[20..21] == "A" { "B" } else { "A" });
    assert_eq!(with(&mux, &mistyped), [401; 2]);
    let bearer = format!("Bearer {key}");
    let both = [
        ("Authorization", bearer.as_str()),
        ("X-API-Key", key.as_str()),
    ];
    assert_eq!(begin(address, &both), 401, "which is meant?");
    assert_eq!(begin(address, &[]), 200, "the user needs none");

    let short = add(home, &["short", "--expires", "5s"]);
    comes_to(&mux, &short, 200);
    comes_to(&mux, &short, 401);
    let listed = String::from_utf8(keys(home, &["list"]).stdout).expect("text");
    assert!(listed.contains("expired"), "{listed}");
}

#[test]
fn a_connection_is_of_the_key_that_each_of_its_requests_shows() {
    let (_peer, mux) = house(|setup| setup.top("access: { keys: require }"));
    let home = mux.home();
    let (one, other) = (add(home, &["one"]), add(home, &["other"]));
    let passing = add(home, &["passing", "--expires", "6s"]);
    comes_to(&mux, &passing, 200);

    let mut kept = Some(Connection::open(mux.address()));
    let mut show = |key: &str| {
        let mut connection = kept.take().expect("a connection");
        let headers = [HEADERS[0], HEADERS[1], ("X-API-Key", key)];
        let sent = connection.request("POST", "/mcp", &headers, &initialize("2025-11-25"));
        sent.expect("still open");
        let reply = connection.reply();
        let status = reply.status;
        kept = Some(reply.reuse().1);
        status
    };
    let mut wrong = one.clone();
    wrong.replace_range(54.., if one.ends_with('A') { "Q" } else { "A" });
    for (key, status) in [
        (&one, 200),
        (&one, 200),
        (&wrong, 401),
        (&other, 200),
        (&one[..54].to_owned(), 401),
        (&one, 200),
        (&passing, 200),
        (&passing, 200),
    ] {
        assert_eq!(show(key), status);
    }
    eventually("the end of a key", || (show(&passing) == 401).then_some(()));
    assert_eq!(show(&other), 200);
    assert!(keys(home, &["revoke", "other"]).status.success());
    eventually("a revoked key", || (show(&other) == 401).then_some(()));
    assert_eq!(show(&one), 200);
}

#[test]
fn a_key_lets_in_another_user_to_what_is_for_clients_alone() {
    let (_peer, mux) = house(|setup| setup);
    let address = mux.address();
    let key = add(mux.home(), &["guest"]);
    comes_to(&mux, &key, 200);
    let heard = as_other(|| {
        [
            begin(address, &[("X-API-Key", key.as_str())]),
            begin(address, &[("X-API-Key", "wrong")]),
            begin(address, &[]),
            ask(address, "GET", "/healthz", &[], "").0,
            ask(address, "GET", "/oauth/callback?code=x", &[], "").0,
        ]
    });
    assert!(
        heard.is_none_or(|heard| heard == [200, 401, 401, 403, 403]),
        "{heard:?}"
    );
}

#[test]
fn a_session_of_one_key_is_not_anothers() {
    let (_peer, mux) = house(|setup| setup);
    let (one, other) = (add(mux.home(), &["one"]), add(mux.home(), &["other"]));
    comes_to(&mux, &other, 200);
    let theirs = [HEADERS[0], HEADERS[1], ("X-API-Key", one.as_str())];
    let address = mux.address();
    let (_, headers, _) = ask(address, "POST", "/mcp", &theirs, &initialize("2025-11-25"));
    let session = headers.iter().find(|(name, _)| name == "mcp-session-id");
    let session = &session.expect("a session").1;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let with = |key: &str| {
        let headers = [
            HEADERS[0],
            HEADERS[1],
            ("X-API-Key", key),
            ("Mcp-Session-Id", session.as_str()),
        ];
        ask(address, "POST", "/mcp", &headers, ping).0
    };
    assert_eq!((with(&other), with(&one)), (404, 200));
}

#[test]
fn a_file_that_is_not_the_users_alone_lets_in_nobody() {
    let (_peer, mux) = house(|setup| setup);
    let key = add(mux.home(), &["one"]);
    comes_to(&mux, &key, 200);
    let file = mux.home().join(".local/state/mcpmux/keys.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    comes_to(&mux, &key, 401);
    mux.logged("open to others");
}

#[test]
fn a_clients_key_reaches_no_backend() {
    let peer = Peer::http(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    let key = add(mux.home(), &["one"]);
    comes_to(&mux, &key, 200);
    Client::wait_for(&mux, "b__t");
    let call = Client::modern(&mux).spell("1", "tools/call", None, r#""name":"b__t""#);
    let bearer = format!("Bearer {key}");
    for header in [
        ("Authorization", bearer.as_str()),
        ("X-API-Key", key.as_str()),
    ] {
        let headers = [
            HEADERS[0],
            HEADERS[1],
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "b__t"),
            header,
        ];
        assert_eq!(ask(mux.address(), "POST", "/mcp", &headers, &call).0, 200);
    }
    peer.message("tools/call", 2);
    for event in peer.events() {
        assert!(!format!("{event:?}").contains(&key[7..]), "{event:?}");
    }
}

#[test]
fn the_commands_that_are_clients_show_the_key_of_their_environment() {
    let (_peer, mux) = house(|setup| setup.top("access: { keys: require }"));
    let key = add(mux.home(), &["cli"]);
    comes_to(&mux, &key, 200);
    let list = |key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(["list", "--tools", "--endpoint"])
            .arg(format!("http://{}/mcp", mux.address()))
            .env_clear()
            .env("HOME", mux.home())
            .envs(key.map(|key| ("MCPMUX_KEY", key)));
        command.output().expect("mcpmux can be started")
    };
    let listed = eventually("the tool in the list", || {
        let output = list(Some(&key));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("b__t").then_some(output)
    });
    assert!(listed.status.success());
    assert_eq!(list(None).status.code(), Some(69));
}

#[test]
fn an_open_address_is_served_where_a_key_is_required() {
    let (_peer, mux) = house(|setup| {
        setup
            .address("\"0.0.0.0:0\"")
            .top("access: { keys: require }")
    });
    let mut address = mux.address();
    address.set_ip([127, 0, 0, 1].into());
    assert_eq!(begin(address, &[]), 401);
}
