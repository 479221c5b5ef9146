//! Logging in and out by command, with a mcpmux that runs and without one.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake},
    house::{House, Store},
    peers::Plan,
    process::Process,
    walker::Walker,
};

/// The page that a login was begun with, which `mcpmux auth login` prints.
#[track_caller]
fn page(login: &Process) -> String {
    login.wait_for_line("page", |line| {
        line.starts_with("http").then(|| line.to_owned())
    })
}

/// Lets it end well; what it wrote is kept.
#[track_caller]
fn finished(house: &House<'_>, login: Process) -> String {
    let (stdout, stderr) = login.finish();
    house.hear("mcpmux auth login", &stdout);
    house.hear("mcpmux auth login", &stderr);
    stdout
}

#[test]
fn a_login_by_command_is_used_by_the_mcpmux_that_runs() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let link = daemon.asks_for_login("web", 1);
    let login = house.start_auth(&["login", "web", "--no-browser"]);
    assert_eq!(page(&login), link, "the login is one for all");
    Walker::alice().walk(&link).follow();
    assert!(finished(&house, login).ends_with("web: logged in"));
    daemon.up("web");
    let status = house.status("web");
    assert_eq!(status["login"], "logged_in");
    assert_eq!(status["issuer"], peers.issuer.as_str());
    assert_eq!(status["refreshes"], "refresh token");
    assert!(status["expires"].is_string());
    house.auth(&["status"]);
}

#[test]
fn a_login_by_command_alone_is_there_when_mcpmux_starts() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let login = house.start_auth(&["login", "web", "--no-browser"]);
    Walker::alice().walk(&page(&login)).follow();
    finished(&house, login);
    assert_eq!(house.status("web")["login"], "logged_in");
    let daemon = house.serve();
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn what_is_pasted_must_be_the_answer_to_this_login() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let mut login = house.start_auth(&["login", "web", "--paste"]);
    let right = Walker::alice().walk(&page(&login));
    let mut refused = 0;
    for (pasted, said) in [
        (
            right.with("state", &"0".repeat(32)).0.to_string(),
            "no login is waiting",
        ),
        (right.without("state").0.to_string(), "no login is waiting"),
        ("hello".to_owned(), "not a whole address"),
        (peers.issuer.clone(), "neither a code nor an error"),
    ] {
        login.say(&pasted);
        login.wait_for_log(said, |line| line.contains(said).then_some(()));
        refused += 1;
    }
    assert_eq!(refused, 4);
    assert_eq!(peers.requests_for("token").len(), 0);
    login.say(right.0.as_str());
    finished(&house, login);
    daemon.up("web");
    daemon.echoes("web");
}

#[test]
fn a_device_confirms_and_the_backend_is_logged_in() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    let login = house.start_auth(&["login", "web", "--device", "--json"]);
    let begun = login.wait_for_print("beginning", &mut 0, |event: Value| {
        (event["event"] == "begun").then_some(event)
    });
    assert_eq!(begun["way"], "device");
    assert!(begun["code"].as_str().is_some_and(|code| code.len() >= 8));
    let page = Walker::alice().confirm(begun["complete_url"].as_str().unwrap());
    assert!(page.words().contains("successful"), "{}", page.words());
    let said = finished(&house, login);
    assert!(said.contains(r#""ok":true"#), "{said}");
    daemon.up("web");
    daemon.echoes("web");
    peers.refuse();
    daemon.echoes("web");
    assert_eq!(peers.grants("refresh_token").len(), 1);
}

#[test]
fn a_device_that_comes_first_needs_no_redirect() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let login = house.start_auth(&["login", "web", "--device", "--json"]);
    let begun = login.wait_for_print("beginning", &mut 0, |event: Value| {
        (event["event"] == "begun").then_some(event)
    });
    Walker::alice().confirm(begun["complete_url"].as_str().unwrap());
    finished(&house, login);
    let daemon = house.serve();
    daemon.up("web");
    daemon.echoes("web");
    let client = &peers.requests_for("registration")[0].registered;
    assert_eq!(client.as_ref().unwrap()["redirect_uris"], json!([]));
}

#[test]
fn a_server_without_devices_says_so() {
    let peers = Plan::default().authorization("device", false).start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    house.secrets.add("nothing", "no-secret-was-given-out");
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    let said = house.auth(&["login", "web", "--device"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("RFC 8628"), "{said:?}");
}

#[test]
fn a_logout_revokes_what_there_was_and_the_backend_needs_a_login() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    let said = house.auth(&["logout", "web"]);
    assert_eq!(said.stdout, "web: logged out, and its tokens are revoked\n");
    assert!(!peers.requests_for("revocation").is_empty());
    assert_eq!(
        house.auth(&["logout", "web"]).stdout,
        "web: was not logged in\n"
    );
    let (_, why) = daemon.call("web__echo", "{}").error();
    assert!(why.contains("needs login"), "{why}");
    daemon.mux.stop();
    // Nothing of it is left to be used.
    let daemon = house.serve();
    daemon.log_in("web");
    assert_eq!(peers.grants("refresh_token").len(), 0);
    daemon.echoes("web");
}

#[test]
fn a_logout_that_cannot_revoke_forgets_nevertheless_and_says_so() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    fake.on("/revoke", |_, _| Answer::text(503, "text/plain", ""));
    let said = house.auth(&["logout", "web"]);
    assert!(said.stdout.contains("did not revoke"), "{said:?}");
    daemon.warns("web", "could not be revoked");
    daemon.mux.stop();
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
}

#[test]
fn a_logout_without_a_mcpmux_that_runs_revokes_too() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let said = house.auth(&["logout", "--all"]);
    assert_eq!(said.stdout, "web: logged out, and its tokens are revoked\n");
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
}

#[test]
fn all_that_need_a_login_get_one_after_the_other() {
    let peers = Plan::default().and_another().start();
    let mut house = House::new().with(&peers).store(Store::Vault);
    for (name, endpoint) in ["one", "other"].into_iter().zip(peers.endpoints()) {
        house = house.backend(name, endpoint, json!({}));
    }
    let daemon = house.serve();
    let links = ["one", "other"].map(|name| daemon.asks_for_login(name, 1));
    let login = house.start_auth(&["login", "--all", "--no-browser"]);
    for link in &links {
        login.wait_for_line("the next", |line| (line == link).then_some(()));
        Walker::alice().walk(link).follow();
    }
    finished(&house, login);
    for name in ["one", "other"] {
        daemon.up(name);
        assert_eq!(house.status(name)["login"], "logged_in");
    }
}
