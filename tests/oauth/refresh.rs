//! An access token is over: what it takes to get the next one, once for all who
//! need it, and what is said when that fails.

use std::{fs, thread, time::Duration};

use serde_json::json;

use crate::{
    age::age,
    fake::{Answer, Fake, Gate, RESOURCE},
    house::{House, Store},
    peers::Plan,
    support::{Client, Era, eventually},
};

/// How often `/token` was asked to refresh.
fn refreshed(fake: &Fake) -> usize {
    fake.grants("refresh_token").len()
}

#[test]
fn a_hundred_calls_that_meet_an_expired_token_refresh_it_once() {
    const CALLS: usize = 100;
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    let gate = fake.hold_before("/token");
    let before = fake.seen("/mcp").len();
    fake.expire();
    let client = daemon.client();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS)
            .map(|_| scope.spawn(|| client.call("web__echo", Some("{}")).result()))
            .collect();
        gate.arrived(1);
        // All of them are refused while the refresh is under way.
        fake.sees("/mcp", before + CALLS);
        gate.open();
        for call in calls {
            assert!(call.join().unwrap().contains("echo done"));
        }
    });
    assert_eq!(refreshed(&fake), 1);
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn a_refresh_goes_on_when_the_call_that_needed_it_goes_away() {
    for hold in [Fake::hold_before, Fake::hold_after] {
        let fake = Fake::start();
        let house = House::of(&fake, &fake.endpoint(), json!({}));
        let daemon = house.serve();
        daemon.log_in("web");
        let gate = hold(&fake, "/token");
        fake.expire();
        let client = daemon.client();
        let message = client.spell(&client.id(), "tools/call", None, r#""name":"web__echo""#);
        let connection = client.post(&message);
        gate.arrived(1);
        drop(connection);
        // Long enough for mcpmux to see that it went.
        daemon.client().names();
        gate.open();
        daemon.echoes("web");
        assert_eq!(refreshed(&fake), 1, "nothing was lost");
        assert_eq!(daemon.logins_asked("web"), 1);
    }
}

#[test]
fn a_token_is_refreshed_ahead_of_its_end_though_nobody_calls() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Runtime);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    // It is good for five minutes more.
    age(&house.tokens(), 3300);
    let daemon = house.serve();
    daemon.says("web", "its token was refreshed", 1);
    daemon.echoes("web");
    assert_eq!(fake.calls().len(), 1, "no 401 on the way");
    assert_eq!(refreshed(&fake), 1);
}

#[test]
fn a_token_that_is_over_is_refreshed_before_it_is_sent() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Runtime);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    age(&house.tokens(), 3600);
    fake.expire();
    let before = fake.seen("/mcp").len();
    let daemon = house.serve();
    daemon.up("web");
    let first = &fake.seen("/mcp")[before];
    let tokens = fake.grants("refresh_token");
    assert_eq!(tokens.len(), 1);
    assert!(
        first.headers["authorization"].starts_with("Bearer access_token-"),
        "the first request carries the new token"
    );
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn a_token_endpoint_that_fails_costs_a_call_and_not_the_login() {
    type Failure = (fn() -> Answer, &'static str);
    let failures: [Failure; 3] = [
        (
            || Answer::text(500, "text/html", "<h1>Oops"),
            "cannot be read",
        ),
        (Answer::nothing, "broke off"),
        (
            || Answer::json(503, &json!({ "error": "temporarily_unavailable" })),
            "temporarily_unavailable",
        ),
    ];
    thread::scope(|scope| {
        for (failure, said) in failures {
            scope.spawn(move || fails_once(failure, said));
        }
    });
}

fn fails_once(failure: fn() -> Answer, said: &str) {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    fake.on("/token", move |_, _| failure());
    fake.expire();
    for _ in 0..3 {
        let (_, why) = daemon.call("web__echo", "{}").error();
        assert!(why.contains("could not be refreshed"), "{why}");
        assert!(why.contains(said), "{why}");
    }
    daemon.warns("web", said);
    let trouble = house.status("web")["trouble"].to_string();
    assert!(trouble.contains(said), "{trouble}");
    assert_eq!(refreshed(&fake), 1, "it is not asked again at once");
    fake.off("/token");
    eventually("a call that goes through", || {
        let answer = daemon.call("web__echo", "{}");
        answer.response.contains("echo done").then_some(())
    });
    assert_eq!(refreshed(&fake), 2);
    assert_eq!(house.status("web")["trouble"], json!(null));
    let warnings = daemon.warnings("web");
    let warnings = warnings.iter().filter(|one| one.starts_with("login: "));
    assert_eq!(warnings.count(), 1);
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn a_revoked_login_is_asked_for_once_and_works_again_after_consent() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    peers.revoke();
    peers.refuse();
    for _ in 0..3 {
        let (_, why) = daemon.call("web__echo", "{}").error();
        assert!(why.contains("needs login"), "{why}");
    }
    daemon.warns("web", "its login has ended");
    assert_eq!(daemon.logins_asked("web"), 2);
    assert_eq!(house.status("web")["login"], "waiting");
    assert_eq!(daemon.consent("web", 2).status, 200);
    daemon.says("web", "up: ", 2);
    daemon.echoes("web");
    // Once by the login that ended, never again by the one that holds.
    assert_eq!(peers.grants("refresh_token").len(), 1);
    assert_eq!(daemon.logins_asked("web"), 2);
}

#[test]
fn a_refresh_token_that_another_process_has_used_costs_nothing() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let old = fs::read(house.tokens()).unwrap();
    fake.expire();
    let daemon = house.serve();
    daemon.up("web");
    daemon.mux.stop();
    let new = fs::read(house.tokens()).unwrap();
    assert_eq!(refreshed(&fake), 1);
    // As if the other process had been quicker by a moment, without a lock, as on
    // a network's file system.
    fs::write(house.tokens(), old).unwrap();
    let gate = Gate::default();
    let held = gate.clone();
    fake.on("/token", move |_, _| {
        held.pass();
        Answer::json(400, &json!({ "error": "invalid_grant" }))
    });
    let daemon = house.serve();
    gate.arrived(1);
    fs::write(house.tokens(), new).unwrap();
    gate.open();
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(refreshed(&fake), 2);
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn a_call_of_either_era_goes_through_where_the_token_ends_under_it() {
    let peers = Plan::default().start();
    for (number, era) in [Era::Modern, Era::Legacy("2025-11-25")]
        .into_iter()
        .enumerate()
    {
        let house = House::of(&peers, peers.endpoint(), json!({}));
        let daemon = house.serve();
        daemon.log_in("web");
        let client = Client::of(daemon.mux.address(), era, "{}");
        peers.refuse();
        let result = client.call("web__whoami", None).result();
        assert!(result.contains("alice"), "{result}");
        assert_eq!(peers.grants("refresh_token").len(), number + 1);
    }
}

#[test]
fn a_backend_that_takes_no_fresh_token_has_a_person_asked_after_a_few() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    let place = fake.endpoint().replace("/mcp", RESOURCE);
    fake.on("/mcp", move |_, _| {
        let challenge = format!(r#"Bearer resource_metadata="{place}""#);
        Answer::json(401, &json!({})).header("WWW-Authenticate", &challenge)
    });
    eventually("a person is asked", || {
        let (_, why) = daemon.call("web__echo", "{}").error();
        why.contains("needs login").then_some(())
    });
    assert!(refreshed(&fake) <= 3, "{}", refreshed(&fake));
    fake.off("/mcp");
    daemon.consent("web", 2);
    daemon.says("web", "up: ", 2);
    daemon.echoes("web");
}

#[test]
fn tokens_that_live_for_a_second_cost_refreshes_and_no_consent() {
    let fake = Fake::start();
    fake.lifetime(Duration::from_secs(1));
    let house = House::of(&fake, &fake.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    eventually("three refreshes", || {
        daemon.echoes("web");
        (refreshed(&fake) >= 3).then_some(())
    });
    assert_eq!(daemon.logins_asked("web"), 1);
}
