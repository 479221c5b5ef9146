//! mcpmux as what is logged in to: a real client that logs in by itself, at a
//! certified authorization server, and is let in with its token.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    peers::Plan,
    real,
    support::{Peer, Setup, legacy},
    walker::Walker,
};

#[test]
fn a_client_logs_in_to_mcpmux_by_itself_and_its_token_stays_there() {
    let peers = Plan::default().start();
    let peer = Peer::http(legacy(&["t"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/mcp", listener.local_addr().unwrap());
    let top = format!(
        "access:\n  oauth:\n    issuer: {}\n    scopes: [mcp:call]",
        peers.issuer
    );
    let mux = Setup::one("b", &peer).top(&top).handed(&listener).serve();
    peer.message("tools/list", 1);

    let mut client = Command::new(real::node())
        .arg(real::folder().join("clients/login.mjs"))
        .args([endpoint.as_str(), "b__t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut said = || -> Value {
        let line = lines.next().expect("a line").unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let asked = said();
    let back = Walker::alice().walk(asked["authorize"].as_str().expect("a login"));
    let code = back.parameter("code").expect("a code");
    writeln!(client.stdin.take().unwrap(), "{code}").unwrap();
    let done = said();
    assert!(done["result"]["content"].is_array(), "{done}");
    assert!(client.wait().unwrap().success());

    let granted = peers.grants("authorization_code");
    assert_eq!(granted[0].resource.as_deref(), Some(endpoint.as_str()));
    let token = done["token"].as_str().expect("a token");
    peer.message("tools/call", 1);
    for event in peer.events() {
        assert!(!format!("{event:?}").contains(token), "{event:?}");
    }
    assert!(!mux.log().contains(token));
}
