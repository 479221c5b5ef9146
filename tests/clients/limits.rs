//! Clients that send too much, too deep or too slowly.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{BOTH, DONE, JSON, ask, house, post};
use crate::support::{Client, Connection, Peer, Setup, legacy};

#[test]
fn nesting_without_end_harms_nobody() {
    let (_peer, mux) = house();
    let client = Client::legacy(&mux);
    let deep =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    for arguments in [deep("[", "]", 500_000), deep(r#"{"a":"#, "}", 300_000)] {
        // Passed on or refused, but answered.
        let answer = client.call("b__t", Some(&arguments));
        assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    }
    let id = format!(
        r#"{{"jsonrpc":"2.0","method":"ping","id":{}}}"#,
        deep("[", "]", 200_000)
    );
    assert_eq!(post(&mux, &[], &id), (400, Some(-32600)));
    let whole = "[".repeat(1 << 20);
    assert_eq!(post(&mux, &[], &whole).0, 400);
    assert_eq!(client.call("b__t", None).result(), DONE);
}

#[test]
fn a_body_over_the_limit_is_too_large_whether_it_says_so_or_not() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).listen("max_body: 64KiB").serve();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":"{}"}}"#,
        "x".repeat(64 << 10)
    );
    assert_eq!(ask(&mux, "POST", "/mcp", &[JSON, BOTH], &body).0, 413);
    // A length that is announced is refused before the body comes.
    let mut connection = Connection::open(mux.address());
    connection
        .request(
            "POST",
            "/mcp",
            &[JSON, BOTH, ("Content-Length", "99999999999")],
            "",
        )
        .expect("mcpmux reads the head");
    assert_eq!(connection.reply().status, 413);
    let mut connection = Connection::open(mux.address());
    connection
        .request(
            "POST",
            "/mcp",
            &[JSON, BOTH, ("Transfer-Encoding", "chunked")],
            "",
        )
        .expect("the head");
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..5 {
        // It may close before all was sent.
        _ = connection.send(chunk.as_bytes());
    }
    assert_eq!(connection.reply().status, 413);
    // Just under the limit it passes.
    let client = Client::legacy(&mux);
    let arguments = format!(r#"{{"x":"{}"}}"#, "x".repeat(60 << 10));
    assert_eq!(client.call("b__t", Some(&arguments)).result(), DONE);
}

#[test]
fn a_header_section_without_end_is_refused() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    connection
        .send(b"POST /mcp HTTP/1.1\r\n")
        .expect("mcpmux reads");
    let line = format!("X-Pad: {}\r\n", "x".repeat(4000));
    let refused = (0..1000).any(|_| connection.send(line.as_bytes()).is_err());
    let status = connection.try_reply().map(|reply| reply.status);
    assert!(refused || matches!(status, Ok(400 | 431)), "{status:?}");
    assert_eq!(Client::legacy(&mux).call("b__t", None).result(), DONE);
}

#[test]
fn clients_that_send_slowly_do_not_hold_up_others() {
    let (_peer, mux) = house();
    let open = || Connection::open(mux.address());
    let mut slow: Vec<Connection> = (0..64).map(|_| open()).collect();
    for (n, connection) in slow.iter_mut().enumerate() {
        match n % 3 {
            0 => {}
            1 => connection.send(b"POST /mcp HT").expect("mcpmux reads"),
            _ => connection
                .send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
                .expect("mcpmux reads"),
        }
    }
    let start = Instant::now();
    assert_eq!(Client::legacy(&mux).call("b__t", None).result(), DONE);
    assert!(
        start.elapsed().as_secs() < 5,
        "it took {:?}",
        start.elapsed()
    );
}

/// Takes as long as mcpmux waits.
#[test]
fn a_body_that_does_not_come_is_given_up() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    connection.set_patience(Duration::from_secs(60));
    let length = ("Content-Length", "100");
    connection
        .request("POST", "/mcp", &[JSON, BOTH, length], "{")
        .expect("mcpmux reads the head");
    let reply = connection.reply();
    assert_eq!(reply.status, 408);
    assert_eq!(reply.header("connection"), Some("close"));
}

/// Takes as long as mcpmux waits for the head, which is less than it waits for a
/// request.
#[test]
fn a_head_that_does_not_come_to_an_end_is_given_up_before_who_says_nothing() {
    let (_peer, mux) = house();
    let mut quiet = Connection::open(mux.address());
    let mut used = Connection::open(mux.address());
    used.request("GET", "/healthz", &[], "").expect("it reads");
    let (_, mut used) = used.reply().reuse();
    let mut slow = Connection::open(mux.address());
    slow.set_patience(Duration::from_secs(60));
    slow.send(b"POST /mcp HTTP/1.1\r\nHost:").expect("it reads");
    assert_eq!(slow.rest().expect("it is closed"), b"");
    for connection in [&mut quiet, &mut used] {
        connection
            .request("GET", "/healthz", &[], "")
            .expect("it reads");
    }
    assert_eq!(quiet.reply().text(), "ok\n");
    assert_eq!(used.reply().text(), "ok\n");
}

#[test]
fn many_clients_at_once_are_all_served() {
    let (_peer, mux) = house();
    thread::scope(|scope| {
        for n in 0..40 {
            let mux = &mux;
            scope.spawn(move || {
                let client = if n % 2 == 0 {
                    Client::legacy(mux)
                } else {
                    Client::modern(mux)
                };
                for _ in 0..5 {
                    client.call("b__t", None).result();
                }
            });
        }
    });
}
