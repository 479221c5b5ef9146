//! Addresses that other machines reach, names that a page gives this machine,
//! and pages of elsewhere.

use std::net::TcpListener;

use crate::{begin, house, support::*};

#[test]
fn an_open_address_is_not_served_unless_that_is_said() {
    let peer = Peer::new(legacy(&["t"]));
    for address in ["0.0.0.0:0", "[::]:0", ":0"] {
        let mux = Setup::one("b", &peer)
            .address(&format!("{address:?}"))
            .start(&[]);
        assert_eq!(mux.ended().code(), Some(78), "{address}");
        let line = mux.logged("reachable from other machines");
        assert!(line.contains("access.insecure"), "{line}");
    }
}

#[test]
fn an_open_socket_of_systemds_is_not_served_either() {
    let peer = Peer::new(legacy(&["t"]));
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    let mux = Setup::one("b", &peer).handed(&listener).start(&[]);
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("reachable from other machines");
}

#[test]
fn an_open_address_is_served_where_that_is_said_and_the_log_warns() {
    let (_peer, mux) = house(|setup| {
        setup
            .address("\"0.0.0.0:0\"")
            .top("access: { insecure: true }")
    });
    let line = mux.logged("reachable from other machines");
    assert!(line.contains("WARN"), "{line}");
    let mut address = mux.address();
    address.set_ip([127, 0, 0, 1].into());
    assert_eq!(begin(address, &[]), 200);
}

#[test]
fn a_user_that_there_is_not_is_an_error() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer)
        .top("access: { local_users: [no-such-user] }")
        .start(&[]);
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("there is no user \"no-such-user\"");
}

#[test]
fn a_page_of_elsewhere_and_a_rebound_name_are_refused_though_the_user_is_right() {
    let (_peer, mux) = house(|setup| setup);
    let address = mux.address();
    let rebound = format!("rebound.example:{}", address.port());
    for headers in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "null")],
        &[("Host", rebound.as_str())],
        &[
            ("Host", rebound.as_str()),
            ("Origin", "http://rebound.example"),
        ],
        &[("Host", "169.254.169.254")],
    ] {
        assert_eq!(begin(address, headers), 403, "{headers:?}");
    }
    // Nor is there one among several, and without exactly one Host nothing is served
    // (RFC 9112, section 3.2).
    let own = format!("http://{address}");
    let two_origins =
        format!("Host: {address}\r\nOrigin: {own}\r\nOrigin: https://evil.example\r\n");
    for (several, status) in [
        (format!("Host: {address}\r\nHost: {rebound}\r\n"), 400),
        (format!("Host: {address}\r\nHost: {address}\r\n"), 400),
        (two_origins, 403),
        (format!("X-Forwarded-Host: {address}\r\n"), 400),
    ] {
        let mut connection = Connection::open(address);
        let head = format!("GET /mcp HTTP/1.1\r\n{several}Connection: close\r\n\r\n");
        connection.send(head.as_bytes()).expect("sent");
        assert_eq!(connection.reply().status, status, "{several}");
    }
    assert_eq!(begin(address, &[("Origin", &own)]), 200);
}
