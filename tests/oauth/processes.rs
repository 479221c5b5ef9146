//! Several mcpmux with one store: what one gets is everybody's, and nothing is
//! asked for twice.

use std::thread;

use serde_json::json;

use crate::{
    age::age,
    fake::Fake,
    house::{House, Store},
    peers::Plan,
};

#[test]
fn two_processes_that_meet_an_expired_token_refresh_it_once() {
    let peers = Plan::default().start();
    for store in [Store::Runtime, Store::Vault] {
        let before = peers.grants("refresh_token").len();
        let house = House::of(&peers, peers.endpoint(), json!({})).store(store);
        let first = house.serve();
        first.log_in("web");
        let second = house.serve_beside();
        second.up("web");
        peers.refuse();
        let clients = [first.client(), second.client()];
        thread::scope(|scope| {
            let calls =
                |client| move || crate::support::Client::call(client, "web__whoami", None).result();
            let all: Vec<_> = (0..10)
                .flat_map(|_| clients.iter().map(|client| scope.spawn(calls(client))))
                .collect();
            for call in all {
                let result = call.join().unwrap();
                assert!(result.contains("alice"), "{result}");
            }
        });
        // Were it twice, the second would have ended the grant.
        assert_eq!(peers.grants("refresh_token").len(), before + 1);
        first.echoes("web");
        second.echoes("web");
        assert_eq!(first.logins_asked("web"), 1);
        assert_eq!(second.logins_asked("web"), 0);
    }
}

#[test]
fn two_processes_whose_token_is_over_when_they_start_refresh_it_once() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Runtime);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    age(&house.tokens(), 3600);
    fake.expire();
    let gate = fake.hold_before("/token");
    let first = house.serve();
    gate.arrived(1);
    // It waits for the first, whose turn it is.
    let second = house.serve_beside();
    gate.open();
    for daemon in [&first, &second] {
        daemon.up("web");
        daemon.echoes("web");
        assert_eq!(daemon.logins_asked("web"), 0);
    }
    assert_eq!(fake.grants("refresh_token").len(), 1);
}

#[test]
fn who_holds_the_turn_and_is_killed_keeps_nobody_waiting() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Runtime);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    age(&house.tokens(), 3600);
    fake.expire();
    let gate = fake.hold_before("/token");
    let first = house.serve();
    gate.arrived(1);
    let second = house.serve_beside();
    // The request of the first never has an effect.
    fake.on("/token", |_, usual| usual());
    first.mux.kill();
    second.up("web");
    second.echoes("web");
    assert_eq!(second.logins_asked("web"), 0);
    gate.open();
}

#[test]
fn a_consent_that_one_process_was_given_is_not_asked_for_by_another() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let first = house.serve();
    let second = house.serve_beside();
    first.asks_for_login("web", 1);
    second.asks_for_login("web", 1);
    first.log_in("web");
    second.echoes("web");
    assert_eq!(second.logins_asked("web"), 1);
    second.says("web", "logged in by another process", 1);
}
