//! Users of this machine: whose a connection is, the kernel says.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use crate::{HEADERS, OTHER, as_other, ask, begin, house, support::*};

#[test]
fn another_user_is_refused_whatever_it_asks_and_reaches_no_backend() {
    let (peer, mux) = house(|setup| setup);
    Client::wait_for(&mux, "b__t");
    let (address, before) = (mux.address(), peer.events().len());
    let heard = as_other(|| {
        [
            ask(address, "POST", "/mcp", &HEADERS, &initialize("2025-11-25")),
            ask(address, "GET", "/mcp", &[], ""),
            ask(address, "GET", "/healthz", &[], ""),
            ask(address, "GET", "/oauth/callback?code=x&state=y", &[], ""),
            ask(
                address,
                "POST",
                "/mcp",
                &[("Authorization", "Bearer x")],
                "{}",
            ),
        ]
    });
    let Some(heard) = heard else { return };
    for (status, _, body) in &heard {
        assert_eq!(*status, 403, "{body}");
        assert_eq!(*body, heard[0].2, "all hear the same");
    }
    let line = mux.logged("refused a connection");
    assert!(line.contains(&format!("user {OTHER}")), "{line}");
    assert!(line.contains("access.local_users"), "{line}");
    assert_eq!(peer.events().len(), before, "nothing was passed on");
    // Its own user is served as before.
    assert_eq!(begin(address, &[]), 200);
}

#[test]
fn a_user_who_is_listed_comes_in_and_every_one_does_with_a_star() {
    for users in ["[nobody]", "[65534]", "[\"*\"]"] {
        let top = format!("access: {{ local_users: {users} }}");
        let (_peer, mux) = house(|setup| setup.top(&top));
        let address = mux.address();
        match as_other(|| begin(address, &[])) {
            Some(status) => assert_eq!(status, 200, "{users}"),
            None => return,
        }
        assert_eq!(begin(address, &[]), 200, "{users}");
    }
}

#[test]
fn a_session_is_its_own_users() {
    let (_peer, mux) = house(|setup| setup.top("access: { local_users: [65534] }"));
    let client = Client::legacy(&mux);
    let (address, session) = (mux.address(), client.session().to_owned());
    let theirs = [HEADERS[0], HEADERS[1], ("Mcp-Session-Id", session.as_str())];
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let stolen = as_other(|| ask(address, "POST", "/mcp", &theirs, ping).0);
    assert!(stolen.is_none_or(|status| status == 404));
    assert_eq!(ask(address, "POST", "/mcp", &theirs, ping).0, 200);
}

#[test]
fn another_user_is_refused_on_ipv6_too() {
    let (_peer, mux) = house(|setup| setup.address("\"[::1]:0\""));
    let address = mux.address();
    assert_eq!(begin(address, &[]), 200);
    let refused = as_other(|| begin(address, &[]));
    assert!(refused.is_none_or(|status| status == 403));
}

#[test]
fn a_client_that_hangs_up_at_once_is_not_taken_for_root() {
    // The kernel says of a closed socket that it is root's.
    let (peer, mux) = house(|setup| setup);
    Client::wait_for(&mux, "b__t");
    let (address, before) = (mux.address(), peer.messages("tools/call").len());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b__t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let modern = [
        HEADERS[0],
        HEADERS[1],
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "b__t"),
    ];
    let ran = as_other(|| {
        for _ in 0..200 {
            let mut connection = Connection::open(address);
            let _ = connection.request("POST", "/mcp", &modern, call);
        }
    });
    if ran.is_none() {
        return;
    }
    // What came after them all is served after them all.
    assert_eq!(begin(address, &[]), 200);
    let log = mux.find("refuse them", |lines| {
        let refused = lines
            .iter()
            .filter(|line| line.contains("refused a connection"));
        (refused.count() >= 200).then(|| lines.join("\n"))
    });
    assert!(!log.contains("of user 0"), "{log}");
    assert_eq!(peer.messages("tools/call").len(), before);
}

#[test]
fn a_unix_socket_is_its_owners_even_if_its_file_is_everybodys() {
    let folder = tempfile::tempdir().expect("a directory");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = folder.path().join("socket");
    let (_peer, mux) = house(|setup| setup.listen(&format!("socket: {}", path.display())));
    mux.logged("listening on unix socket");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("a mode");
    let ask = || {
        let mut stream = UnixStream::connect(&path).expect("it is served");
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(ask().starts_with("HTTP/1.1 200"));
    let refused = as_other(ask);
    assert!(refused.is_none_or(|answer| answer.starts_with("HTTP/1.1 403")));
}
