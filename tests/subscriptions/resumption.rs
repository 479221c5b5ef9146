//! The stream of a legacy session: its events have ids, and a client that lost
//! it takes it up again.

use super::{X, Y, member_uri, old, told, updated, watch};
use crate::support::{Client, Connection, Era, Peer, Reply, Setup};

const OLD: Era = Era::Legacy("2025-11-25");

#[track_caller]
fn resume(client: &Client, last_id: &str) -> Reply {
    client.stream(&[("Last-Event-ID", last_id)])
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed_once_and_in_order() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = watch(&client, OLD, &[X, Y]);
    peer.emit(&updated(X));
    assert_eq!(told(&mut stream), X);
    let first = stream.last_id().expect("events have ids").to_owned();
    peer.emit(&updated(Y));
    assert_eq!(told(&mut stream), Y);
    drop(stream);
    // Another client sees when mcpmux has heard of what is told meanwhile.
    let witness = Client::legacy(&mux);
    let mut seen = watch(&witness, OLD, &[X]);
    peer.emit(&updated(X));
    assert_eq!(told(&mut seen), X);
    let mut again = resume(&client, &first);
    assert_eq!([told(&mut again), told(&mut again)], [Y, X]);
    let last = again.last_id().expect("events have ids").to_owned();
    drop(again);
    // Nothing of that is told to one that had it all.
    let mut third = resume(&client, &last);
    peer.emit(&updated(Y));
    assert_eq!(told(&mut third), Y);
    // Who does not say where it was goes on from now.
    drop(third);
    let mut fresh = client.listen();
    peer.emit(&updated(X));
    assert_eq!(told(&mut fresh), X);
}

#[test]
fn what_is_told_before_the_stream_is_open_waits_for_it() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let (client, witness) = (Client::legacy(&mux), Client::legacy(&mux));
    client
        .request("resources/subscribe", &member_uri(X))
        .result();
    let mut seen = watch(&witness, OLD, &[Y]);
    for uri in [X, X, X, Y] {
        peer.emit(&updated(uri));
    }
    assert_eq!(told(&mut seen), Y);
    client
        .request("resources/subscribe", &member_uri(Y))
        .result();
    peer.emit(&updated(Y));
    assert_eq!(told(&mut seen), Y);
    // It waits once, however often it was told.
    let mut stream = client.listen();
    assert_eq!([told(&mut stream), told(&mut stream)], [X, Y]);
}

#[test]
fn what_does_not_fit_any_more_is_forgotten_oldest_first() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let (client, witness) = (Client::legacy(&mux), Client::legacy(&mux));
    client
        .request("resources/subscribe", &member_uri(X))
        .result();
    let mut seen = watch(&witness, OLD, &[Y]);
    let first = client.listen();
    drop(first);
    for n in 0..1100 {
        peer.emit(&updated(&format!("{X}/{n}")));
    }
    peer.emit(&updated(Y));
    assert_eq!(told(&mut seen), Y);
    let mut stream = resume(&client, "get-0");
    let oldest = told(&mut stream);
    assert_ne!(oldest, format!("{X}/0"));
    let mut expected: usize = oldest
        .rsplit('/')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    while expected < 1099 {
        expected += 1;
        assert_eq!(told(&mut stream), format!("{X}/{expected}"));
    }
}

#[test]
fn the_newest_clients_are_given_an_id_to_begin_with() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    for (version, primed) in [("2025-11-25", true), ("2025-06-18", false)] {
        let client = Client::new(&mux, Era::Legacy(version));
        client
            .request("resources/subscribe", &member_uri(X))
            .result();
        let mut stream = client.listen();
        peer.emit(&updated(X));
        assert_eq!(told(&mut stream), X);
        drop(stream);
        let mut connection = Connection::open(mux.address());
        let headers = [
            ("Accept", "text/event-stream"),
            ("Mcp-Session-Id", client.session()),
        ];
        connection
            .request("GET", "/mcp", &headers, "")
            .expect("mcpmux reads the request");
        // A session that has ended ends its stream.
        let reply = connection.reply();
        let mut ending = Connection::open(mux.address());
        ending
            .request("DELETE", "/mcp", &headers, "")
            .expect("mcpmux reads the request");
        assert_eq!(ending.reply().status, 204);
        let text = reply.text();
        assert_eq!(text.contains("retry: 1000\n"), primed, "{text}");
        assert_eq!(text.starts_with("id: "), primed, "{text}");
        assert_eq!(text.starts_with(": "), !primed, "{text}");
    }
}

#[test]
fn a_new_stream_takes_the_place_of_the_old_one() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut old = watch(&client, OLD, &[X]);
    let mut new = client.listen();
    assert_eq!(old.event(), None, "the old one has ended");
    peer.emit(&updated(X));
    assert_eq!(told(&mut new), X);
}
