//! Children that end, do not start, or come back.

use rustix::process::Signal;
use std::{thread, time::Instant};

use super::DONE;
use crate::support::{Client, Event, Peer, Script, Setup, Step, at, legacy};

#[test]
fn a_child_that_dies_in_a_call_fails_that_call_at_once_and_comes_back() {
    let peer = Peer::new(legacy(&["t", "dies"]).tool("dies", [Step::Exit(3)]));
    let mux = Setup::one("shaky", &peer).serve();
    let client = Client::legacy(&mux);
    let start = Instant::now();
    let (_, message) = client.call("shaky__dies", None).error();
    assert!(
        start.elapsed().as_secs() < 5,
        "the call waited {:?}",
        start.elapsed()
    );
    assert!(
        message.contains("shaky"),
        "the error names no backend: {message}"
    );
    // It is started again without being asked.
    peer.wait("a second start", |events| {
        let starts = events
            .iter()
            .filter(|event| matches!(event, Event::Start { .. }))
            .count();
        (starts >= 2).then_some(())
    });
    client.await_names(&["shaky__t", "shaky__dies"]);
    assert_eq!(client.call("shaky__t", None).result(), DONE);
    assert_eq!(
        peer.messages("tools/call").len(),
        2,
        "a call that was delivered is not repeated"
    );
}

#[test]
fn all_calls_in_flight_fail_when_their_child_dies() {
    let peer = Peer::new(legacy(&["t"]).tool("t", [Step::Await("never".to_owned())]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.call("b__t", None)))
            .collect();
        peer.message("tools/call", 8);
        peer.exit(0);
        for call in calls {
            call.join().expect("the call ends").error();
        }
    });
}

#[test]
fn a_child_that_exits_at_once_makes_only_its_own_backend_unavailable() {
    let broken =
        Peer::new(Script::default().start([Step::Stderr("no licence".to_owned()), Step::Exit(7)]));
    let works = Peer::new(legacy(&["t"]));
    let mux = Setup::one("broken", &broken)
        .backend("works", &works, "")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    assert_eq!(client.names(), ["works__t"]);
    let (_, message) = client.call("broken__t", None).error();
    assert!(message.contains("broken"), "{message}");
    assert!(
        message.contains('7'),
        "the error says how it ended: {message}"
    );
    mux.logged("no licence");
}

#[test]
fn a_child_that_hangs_at_the_start_delays_nobody_else() {
    let hangs = Peer::new(
        Script::default()
            .on("server/discover", [])
            .on("initialize", []),
    );
    let works = Peer::new(legacy(&["t"]));
    let start = Instant::now();
    let mux = Setup::one("hangs", &hangs)
        .backend("works", &works, "")
        .serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.call("works__t", None).result(), DONE);
    assert!(
        start.elapsed().as_secs() < 5,
        "it took {:?}",
        start.elapsed()
    );
}

#[test]
fn a_lost_backends_tools_stay_listed_and_clients_are_told_when_it_comes_back_with_others() {
    let peer = Peer::new(legacy(&["t"]));
    let stays = Peer::new(legacy(&["s"]));
    let mux = Setup::one("shaky", &peer)
        .backend("stays", &stays, "")
        .serve();
    Client::modern(&mux).await_names(&["shaky__t", "stays__s"]);
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    let mut told = || {
        for news in [&mut old_news, &mut new_news] {
            let message = news.event().expect("a notification");
            assert_eq!(
                at(&message, &["method"]),
                r#""notifications/tools/list_changed""#
            );
        }
    };
    // It does not come back by itself while its script lets it fail.
    peer.rewrite(Script::default().start([Step::Exit(9)]));
    peer.exit(1);
    peer.wait("an attempt to connect anew", |events| {
        let started = |event: &&Event| matches!(event, Event::Start { .. });
        (events.iter().filter(started).count() >= 2).then_some(())
    });
    let (_, message) = old.call("shaky__t", None).error();
    assert!(message.contains("shaky"), "{message}");
    for client in [&old, &new] {
        assert_eq!(client.names(), ["shaky__t", "stays__s"]);
    }
    peer.rewrite(legacy(&["t", "u"]));
    mux.signal(Signal::USR1);
    told();
    old.await_names(&["shaky__t", "shaky__u", "stays__s"]);
    assert!(new.call("shaky__u", None).result().contains("done"));
}

#[test]
fn an_unavailable_backends_error_says_which_why_since_when_and_when_next() {
    let peer = Peer::new(Script::default().start([Step::Exit(9)]));
    let mux = Setup::one("broken-one", &peer).serve();
    let client = Client::modern(&mux);
    let answer = client.call("broken-one__t", None);
    let (_, message) = answer.error();
    for part in ["broken-one", "9", "down for", "next attempt"] {
        assert!(message.contains(part), "{part:?} is missing: {message}");
    }
}

#[test]
fn sigusr1_retries_at_once() {
    let peer = Peer::new(Script::default().start([Step::Exit(9)]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    // Let the pauses grow beyond what this test would wait.
    peer.wait("three attempts", |events| {
        (events
            .iter()
            .filter(|event| matches!(event, Event::Start { .. }))
            .count()
            >= 3)
            .then_some(())
    });
    peer.rewrite(legacy(&["t"]));
    mux.signal(Signal::USR1);
    let start = Instant::now();
    client.await_names(&["b__t"]);
    assert!(
        start.elapsed().as_secs() < 3,
        "it took {:?}",
        start.elapsed()
    );
}
