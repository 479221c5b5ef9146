//! Where a request may come from, and what it may ask for.

use super::{BOTH, JSON, ask, house, post};
use crate::support::{Client, Connection, Peer, Setup, at, initialize, legacy};

#[test]
fn another_origin_is_forbidden() {
    let (_peer, mux) = house();
    let port = mux.address().port();
    let body = initialize("2025-11-25");
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil:80",
    ] {
        assert_eq!(post(&mux, &[("Origin", origin)], &body).0, 403, "{origin}");
        for method in ["GET", "DELETE", "OPTIONS"] {
            let (status, _) = ask(&mux, method, "/mcp", &[("Origin", origin)], "");
            assert_eq!(status, 403, "{method} from {origin}");
        }
    }
    for host in ["127.0.0.1", "localhost"] {
        let authority = format!("{host}:{port}");
        let origin = format!("http://{authority}");
        let headers = [("Host", authority.as_str()), ("Origin", origin.as_str())];
        assert_eq!(post(&mux, &headers, &body).0, 200, "{origin} is its own");
    }
}

#[test]
fn a_request_is_addressed_to_one_host() {
    let (_peer, mux) = house();
    let own = format!("Host: {}\r\n", mux.address());
    for (hosts, status) in [
        (String::new(), 400),
        (format!("{own}Host: evil.example\r\n"), 400),
        (format!("{own}{own}"), 400),
        (own.clone(), 405),
    ] {
        let mut connection = Connection::open(mux.address());
        let head = format!("GET /mcp HTTP/1.1\r\nAccept: */*\r\n{hosts}\r\n");
        connection.send(head.as_bytes()).expect("mcpmux reads");
        assert_eq!(connection.reply().status, status, "{hosts:?}");
    }
}

#[test]
fn an_origin_that_is_allowed_is_allowed() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer)
        .listen("allowed_origins: [\"https://good.example\"]\nallowed_hosts: [mcp.example]")
        .serve();
    assert_eq!(
        post(
            &mux,
            &[("Origin", "https://good.example")],
            &initialize("2025-11-25")
        )
        .0,
        200
    );
    assert_eq!(
        post(
            &mux,
            &[("Origin", "http://good.example")],
            &initialize("2025-11-25")
        )
        .0,
        403
    );
    assert_eq!(
        post(&mux, &[("Host", "mcp.example")], &initialize("2025-11-25")).0,
        200
    );
    assert_eq!(
        post(
            &mux,
            &[("Host", "mcp.example:8080")],
            &initialize("2025-11-25")
        )
        .0,
        200
    );
}

#[test]
fn a_foreign_host_is_forbidden() {
    let (_peer, mux) = house();
    for host in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
    ] {
        let (status, _) = post(&mux, &[("Host", host)], &initialize("2025-11-25"));
        assert!(matches!(status, 400 | 403 | 421), "{host:?}: {status}");
    }
    for host in ["localhost", "127.0.0.1", "[::1]:8080", "LOCALHOST:1"] {
        assert_eq!(
            post(&mux, &[("Host", host)], &initialize("2025-11-25")).0,
            200,
            "{host}"
        );
    }
}

#[test]
fn paths_and_methods_that_are_not_served_are_told_so() {
    let (_peer, mux) = house();
    let body = initialize("2025-11-25");
    for path in ["/", "/mcp/", "/mcpx", "/sse", "/mcp/../x"] {
        assert_eq!(
            ask(&mux, "POST", path, &[JSON, BOTH], &body).0,
            404,
            "{path}"
        );
    }
    assert_eq!(ask(&mux, "POST", "/mcp?x=1", &[JSON, BOTH], &body).0, 200);
    for method in ["PUT", "PATCH", "BREW"] {
        let mut connection = Connection::open(mux.address());
        connection
            .request(method, "/mcp", &[JSON, BOTH], &body)
            .expect("mcpmux reads");
        let reply = connection.reply();
        assert_eq!(reply.status, 405, "{method}");
        assert!(
            reply
                .header("allow")
                .is_some_and(|allow| allow.contains("POST")),
            "{method}"
        );
    }
}

#[test]
fn a_body_that_is_not_said_to_be_json_is_unsupported() {
    let (_peer, mux) = house();
    let body = initialize("2025-11-25");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        assert_eq!(
            ask(&mux, "POST", "/mcp", &[("Content-Type", kind), BOTH], &body).0,
            415,
            "{kind}"
        );
    }
    let kind = ("Content-Type", "application/json; charset=utf-8");
    assert_eq!(ask(&mux, "POST", "/mcp", &[kind, BOTH], &body).0, 200);
}

#[test]
fn a_path_of_the_operators_own_is_served() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).listen("path: /tools").serve();
    let body = initialize("2025-11-25");
    assert_eq!(ask(&mux, "POST", "/tools", &[JSON, BOTH], &body).0, 200);
    assert_eq!(ask(&mux, "POST", "/mcp", &[JSON, BOTH], &body).0, 404);
}

#[test]
fn health_is_plain() {
    let (_peer, mux) = house();
    let (status, body) = ask(&mux, "GET", "/healthz", &[], "");
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    assert_eq!(ask(&mux, "POST", "/healthz", &[JSON], "{}").0, 405);
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    for _ in 0..5 {
        connection
            .request("POST", "/mcp", &[JSON, BOTH], &initialize("2025-11-25"))
            .expect("mcpmux reads");
        let reply = connection.reply();
        assert_eq!(reply.status, 200);
        let (text, next) = reply.reuse();
        assert_eq!(at(&text, &["id"]), r#""init""#);
        connection = next;
    }
}

#[test]
fn secrets_are_in_no_log_however_much_is_logged() {
    let web = Peer::http(legacy(&["t"]).sessions(&["session-secret-1"]));
    let child = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend(
            "web",
            &web,
            "auth: {type: bearer, token: \"${TOKEN}\"}\nheaders: {X-Key: static-secret-2}",
        )
        .backend("child", &child, "env: {API: env-secret-3}")
        .env("TOKEN", "bearer-secret-4")
        .log_level("trace")
        .serve();
    let client = Client::legacy(&mux);
    client.tool("web__t");
    client
        .call("web__t", Some(r#"{"password":"argument-secret-5"}"#))
        .result();
    client
        .call("child__t", Some(r#"{"password":"argument-secret-5"}"#))
        .result();
    let own = client.session().to_owned();
    mux.stop();
    assert!(format!("{:?}", web.requests()).contains("Bearer bearer-secret-4"));
    let log = mux.log();
    for secret in [
        "session-secret-1",
        "static-secret-2",
        "env-secret-3",
        "bearer-secret-4",
        "argument-secret-5",
        &own,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn http_1_0_and_pipelined_requests_are_answered() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    connection
        .send(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .expect("mcpmux reads");
    let text = String::from_utf8(connection.rest().expect("the end")).expect("text");
    assert!(text.contains(" 200 "), "{text}");
    let mut connection = Connection::open(mux.address());
    connection
        .send(
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                .repeat(3)
                .as_bytes(),
        )
        .expect("mcpmux reads");
    for _ in 0..3 {
        let reply = connection.reply();
        assert_eq!(reply.status, 200);
        connection = reply.reuse().1;
    }
}
