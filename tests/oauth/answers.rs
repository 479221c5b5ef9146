//! What comes back from an authorization server, or pretends to: only the answer
//! to an open consent, of the server that was asked, by a browser that was sent.

use serde_json::json;

use crate::{
    daemon::Daemon,
    fake::{Fake, SERVER},
    fetch::Fetched,
    house::House,
    peers::Plan,
    walker::{Redirect, Walker},
};

fn house(fake: &Fake) -> House<'_> {
    House::of(fake, &fake.endpoint(), json!({}))
}

/// The answer to the `number`-th consent that this backend asks for.
#[track_caller]
fn answer(daemon: &Daemon<'_, '_>, backend: &str, number: usize) -> Redirect {
    Walker::alice().walk(&daemon.asks_for_login(backend, number))
}

/// The page after this answer, which must be one of failure that says `text`.
#[track_caller]
fn fails(daemon: &Daemon<'_, '_>, answer: &Redirect, text: &str) -> Fetched {
    let page = answer.follow();
    daemon.house.hear("the page after the redirect", &page.body);
    assert_eq!(page.status, 400, "{}", page.words());
    assert!(page.words().contains(text), "{}", page.words());
    page
}

/// Has the backend ask anew, by a call, and consents to that.
#[track_caller]
fn logs_in_anew(daemon: &Daemon<'_, '_>, number: usize) {
    let (_, why) = daemon.call("web__echo", "{}").error();
    let url = daemon.asks_for_login("web", number);
    assert!(why.contains(&url), "{why}");
    assert_eq!(daemon.consent("web", number).status, 200);
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), number);
}

#[test]
fn an_answer_of_another_issuer_is_thrown_away_with_its_code() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let wrong = answer(&daemon, "web", 1).with("iss", "https://evil.example");
    let page = fails(&daemon, &wrong, "names another authorization server");
    assert!(page.words().contains(&fake.issuer()), "{}", page.words());
    daemon.warns("web", "names another authorization server");
    let trouble = house.status("web")["trouble"].to_string();
    assert!(
        trouble.contains("another authorization server"),
        "{trouble}"
    );
    assert_eq!(fake.seen("/token").len(), 0);
    logs_in_anew(&daemon, 2);
}

#[test]
fn an_answer_without_an_issuer_is_thrown_away_where_one_was_promised() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let nameless = answer(&daemon, "web", 1).without("iss");
    fails(&daemon, &nameless, "does not name the authorization server");
    assert_eq!(fake.seen("/token").len(), 0);
    logs_in_anew(&daemon, 2);
}

#[test]
fn an_answer_without_an_issuer_is_taken_where_none_was_promised() {
    let fake = Fake::start();
    fake.change(SERVER, |metadata| {
        metadata["authorization_response_iss_parameter_supported"] = false.into();
    });
    let house = house(&fake);
    let daemon = house.serve();
    let nameless = answer(&daemon, "web", 1).without("iss");
    assert_eq!(nameless.follow().status, 200);
    daemon.up("web");
}

#[test]
fn an_answer_with_another_state_or_none_is_nobodys() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let right = answer(&daemon, "web", 1);
    let state = right.parameter("state").unwrap();
    let nobody = "No login is waiting for this answer";
    fails(&daemon, &right.with("state", &"0".repeat(32)), nobody);
    fails(&daemon, &right.with("state", &state[1..]), nobody);
    fails(&daemon, &right.with("state", &state.to_lowercase()), nobody);
    fails(&daemon, &right.without("state"), nobody);
    let mut twice = right.clone();
    twice.0.query_pairs_mut().append_pair("state", &state);
    fails(&daemon, &twice, nobody);
    assert_eq!(fake.seen("/token").len(), 0);
    assert_eq!(right.follow().status, 200);
    daemon.up("web");
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn an_answer_is_good_once() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let right = answer(&daemon, "web", 1);
    assert_eq!(right.follow().status, 200);
    daemon.up("web");
    fails(&daemon, &right, "it was used before");
    assert_eq!(fake.seen("/token").len(), 1);
    daemon.echoes("web");
}

#[test]
fn a_replay_while_the_code_is_exchanged_changes_nothing() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let right = answer(&daemon, "web", 1);
    let gate = fake.hold_before("/token");
    let first = right.follow_and_leave();
    gate.arrived(1);
    fails(&daemon, &right, "it was used before");
    gate.open();
    assert_eq!(first.reply().status, 200);
    daemon.up("web");
    assert_eq!(fake.seen("/token").len(), 1);
}

#[test]
fn a_page_that_is_closed_does_not_cost_the_login() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let right = answer(&daemon, "web", 1);
    let gate = fake.hold_before("/token");
    let page = right.follow_and_leave();
    gate.arrived(1);
    drop(page);
    daemon.client().names();
    gate.open();
    daemon.up("web");
    daemon.echoes("web");
}

#[test]
fn the_answers_to_two_backends_cannot_be_mixed_up() {
    let (one, other) = (Fake::start(), Fake::start());
    let house = House::new()
        .backend("one", &one.endpoint(), json!({}))
        .backend("other", &other.endpoint(), json!({}))
        .with(&one)
        .with(&other);
    let daemon = house.serve();
    let (to_one, to_other) = (answer(&daemon, "one", 1), answer(&daemon, "other", 1));
    let code = to_other.parameter("code").unwrap();
    // What an attacker's server would send on: the honest one's code to its own state.
    let state = to_one.parameter("state").unwrap();
    let mixed = to_other.with("state", &state);
    let page = fails(&daemon, &mixed, "another authorization server");
    assert!(
        page.words().contains("one is not logged in"),
        "{}",
        page.words()
    );
    assert_eq!(one.seen("/token").len() + other.seen("/token").len(), 0);
    // The other is as it was.
    assert_eq!(to_other.follow().status, 200);
    daemon.up("other");
    let exchanged = &other.seen("/token")[0];
    assert_eq!(exchanged.field("code"), code);
    assert_eq!(one.seen("/token").len(), 0);
    daemon.echoes("other");
    let (_, why) = daemon.call("one__echo", "{}").error();
    assert!(why.contains("needs login"), "{why}");
    assert_eq!(daemon.consent("one", 2).status, 200);
    daemon.up("one");
}

#[test]
fn what_a_web_page_sends_is_no_answer() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let right = answer(&daemon, "web", 1);
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Host", "evil.example"),
    ] {
        let status = right.follow_with(&[(name, value)]).status;
        assert!(matches!(status, 403 | 421), "{name}: {value}: {status}");
    }
    assert_eq!(fake.seen("/token").len(), 0);
    // What browsers send when they are sent back from another site.
    let headers = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    assert_eq!(right.follow_with(&headers).status, 200);
    daemon.up("web");
}

#[test]
fn an_error_is_told_in_the_servers_words_and_the_next_consent_goes_through() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let errors = [
        ("access_denied", "not today", "was refused: not today"),
        ("server_error", "", "answered server_error"),
        (
            "invalid_scope",
            "<script>alert(1)</script>\u{1b}[31m\n2nd",
            "alert(1)",
        ),
    ];
    for (number, (error, description, said)) in errors.into_iter().enumerate() {
        if number > 0 {
            daemon.call("web__echo", "{}").error();
        }
        let mut failed = answer(&daemon, "web", number + 1).without("code");
        failed.0.query_pairs_mut().append_pair("error", error);
        if !description.is_empty() {
            let mut query = failed.0.query_pairs_mut();
            query.append_pair("error_description", description);
        }
        let page = fails(&daemon, &failed, said);
        assert!(!page.body.contains("<script"), "{}", page.body);
        let warning = daemon.warns("web", said);
        assert!(!warning.contains(['\u{1b}', '\n']), "{warning:?}");
    }
    assert_eq!(fake.seen("/token").len(), 0);
    logs_in_anew(&daemon, errors.len() + 1);
    assert_eq!(
        fake.seen("/register").len(),
        1,
        "it was known from the first"
    );
}

#[test]
fn a_code_that_the_server_does_not_take_is_told_and_the_next_consent_goes_through() {
    let fake = Fake::start();
    let house = house(&fake);
    let daemon = house.serve();
    let wrong = answer(&daemon, "web", 1).with("code", "another-code-than-was-given");
    fails(&daemon, &wrong, "invalid_grant");
    let empty = json!({});
    assert_eq!(daemon.call("web__echo", &empty.to_string()).status, 200);
    let empty = answer(&daemon, "web", 2).with("code", "");
    fails(&daemon, &empty, "neither a code nor an error");
    logs_in_anew(&daemon, 3);
}

#[test]
fn several_backends_ask_at_once_and_each_gets_its_own() {
    const BACKENDS: usize = 5;
    let mut plan = Plan::default();
    for _ in 1..BACKENDS {
        plan = plan.and_another();
    }
    let peers = plan.start();
    let mut house = House::new().with(&peers);
    for (number, endpoint) in peers.endpoints().iter().enumerate() {
        house = house.backend(&format!("web{number}"), endpoint, json!({}));
    }
    let daemon = house.serve();
    let names: Vec<_> = (0..BACKENDS).map(|number| format!("web{number}")).collect();
    // All are asked before any is answered, and the last is answered first.
    let urls: Vec<_> = names
        .iter()
        .map(|name| daemon.asks_for_login(name, 1))
        .collect();
    for (name, url) in names.iter().zip(&urls).rev() {
        let page = Walker::alice().walk(url).follow();
        let words = page.words();
        assert!(words.contains(&format!("{name} is logged in")), "{words}");
    }
    for name in &names {
        daemon.up(name);
        daemon.echoes(name);
        assert_eq!(daemon.logins_asked(name), 1);
    }
    let exchanged = peers.grants("authorization_code");
    assert_eq!(exchanged.len(), BACKENDS);
    for endpoint in peers.endpoints() {
        let resources = exchanged.iter().filter_map(|one| one.resource.as_ref());
        assert_eq!(resources.filter(|one| *one == endpoint).count(), 1);
    }
}
