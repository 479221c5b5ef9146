//! mcpmux is killed at every step from a consent to a stored token, and from an
//! expired token to the next: afterwards it is logged in or asks once, and its
//! store is whole.

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    daemon::Daemon,
    fake::{Answer, Body, Fake, Gate},
    house::{House, Store},
    support::Connection,
    walker::Walker,
};

/// Where the kill comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The token endpoint has the request, which never has an effect.
    Asked,
    /// What was asked for has been done, and nobody told.
    Done,
    /// The tokens are on their way into the store, which is locked.
    Told,
    /// They are stored, and the first request that carries them is on its way.
    Used,
}

/// Kills `daemon` at this point of what `need` begins.
fn kill_at(
    at: At,
    fake: &Fake,
    house: &House<'_>,
    daemon: &Daemon<'_, '_>,
    need: fn(&Daemon<'_, '_>) -> Connection,
) {
    let gate = Gate::default();
    let given = Arc::new(Mutex::new(None));
    let (held, access) = (gate.clone(), Arc::clone(&given));
    fake.on("/token", move |_, usual| {
        if at == At::Asked {
            held.pass();
            return Answer::nothing();
        }
        let answer = usual();
        if let Body::Text(text) = &answer.body {
            let answer: Value = serde_json::from_str(text).unwrap();
            *access.lock().unwrap() = answer["access_token"].as_str().map(str::to_owned);
        }
        if at != At::Used {
            held.pass();
        }
        answer
    });
    let held = gate.clone();
    fake.on("/mcp", move |request, usual| {
        let token = request.headers.get("authorization");
        let given = given.lock().unwrap().clone();
        if let (Some(token), Some(given)) = (token, given)
            && token.ends_with(&given)
        {
            held.pass();
        }
        usual()
    });
    let locked = (at == At::Told).then(|| house.lock_tokens());
    let connection = need(daemon);
    gate.arrived(1);
    if at == At::Told {
        gate.open();
        // It is told within that; if not, it was killed a step earlier.
        thread::sleep(Duration::from_millis(50));
    }
    daemon.mux.kill();
    drop((connection, locked));
    fake.off("/token");
    fake.off("/mcp");
    gate.open();
}

/// Consents if that is asked for, once; whether it was.
fn goes_on(fake: &Fake, house: &House<'_>) -> bool {
    let daemon = house.serve();
    let asks = daemon.up_or_asks("web");
    if asks {
        daemon.log_in("web");
    }
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), usize::from(asks));
    // It was known to the authorization server all the time.
    let registered = fake.seen("/register");
    assert_eq!(registered.len(), 1, "{registered:#?}");
    assert_eq!(house.status("web")["login"], "logged_in");
    daemon.mux.stop();
    asks
}

fn consent(daemon: &Daemon<'_, '_>) -> Connection {
    let url = daemon.asks_for_login("web", 1);
    Walker::alice().walk(&url).follow_and_leave()
}

fn call(daemon: &Daemon<'_, '_>) -> Connection {
    let client = daemon.client();
    client.post(&client.spell(&client.id(), "tools/call", None, r#""name":"web__echo""#))
}

#[test]
fn a_kill_while_a_person_is_asked_is_followed_by_asking_once() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    let url = daemon.asks_for_login("web", 1);
    daemon.mux.kill();
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    // The page that was open all the time leads to nothing any more, and says so.
    let page = Walker::alice().walk(&url).follow();
    assert_eq!(page.status, 400);
    assert!(
        page.words().contains("No login is waiting"),
        "{}",
        page.words()
    );
    daemon.mux.stop();
    assert!(goes_on(&fake, &house));
}

#[test]
fn a_kill_at_any_step_of_a_consent_is_followed_by_a_login_or_by_asking_once() {
    thread::scope(|scope| {
        for (at, asks) in [
            (At::Asked, true),
            (At::Done, true),
            (At::Told, true),
            (At::Used, false),
        ] {
            scope.spawn(move || {
                let fake = Fake::start();
                let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
                let daemon = house.serve();
                daemon.asks_for_login("web", 1);
                kill_at(at, &fake, &house, &daemon, consent);
                assert_eq!(goes_on(&fake, &house), asks, "{at:?}");
                assert!(!goes_on(&fake, &house), "{at:?}: it holds");
            });
        }
    });
}

#[test]
fn a_kill_at_any_step_of_a_refresh_is_followed_by_a_login_or_by_asking_once() {
    thread::scope(|scope| {
        // A refresh token whose successor is lost is one that was used: only a
        // person can help then.
        for (at, asks) in [
            (At::Asked, false),
            (At::Done, true),
            (At::Told, true),
            (At::Used, false),
        ] {
            scope.spawn(move || {
                let fake = Fake::start();
                let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
                let daemon = house.serve();
                daemon.log_in("web");
                fake.expire();
                kill_at(at, &fake, &house, &daemon, call);
                assert_eq!(goes_on(&fake, &house), asks, "{at:?}");
                assert!(!goes_on(&fake, &house), "{at:?}: it holds");
            });
        }
    });
}

#[test]
fn a_kill_at_any_moment_of_storing_leaves_a_store_that_can_be_read() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let mut daemon = house.serve();
    daemon.log_in("web");
    for moment in 0..8 {
        let gate = fake.hold_after("/token");
        fake.expire();
        let connection = call(&daemon);
        gate.arrived(1);
        gate.open();
        // Storing takes a few milliseconds; each time the kill comes a bit later.
        thread::sleep(Duration::from_micros(700 * moment));
        daemon.mux.kill();
        drop(connection);
        fake.off("/token");
        daemon = house.serve();
        if daemon.up_or_asks("web") {
            daemon.log_in("web");
        }
        daemon.echoes("web");
        assert!(!daemon.mux.log().contains("damaged"));
    }
}

#[test]
fn no_request_carries_a_token_that_is_not_stored_yet() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Runtime);
    let (store, early) = (house.tokens(), Arc::new(Mutex::new(Vec::new())));
    let too_early = Arc::clone(&early);
    fake.on("/mcp", move |request, usual| {
        if let Some(token) = request.headers.get("authorization") {
            let token = token.trim_start_matches("Bearer ");
            let stored = fs::read(&store).unwrap();
            if !String::from_utf8_lossy(&stored).contains(token) {
                too_early.lock().unwrap().push(request.body.clone());
            }
        }
        usual()
    });
    let daemon = house.serve();
    daemon.log_in("web");
    fake.expire();
    daemon.echoes("web");
    assert_eq!(fake.grants("refresh_token").len(), 1);
    assert_eq!(*early.lock().unwrap(), Vec::<String>::new());
}
