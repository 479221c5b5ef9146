//! The peers by themselves: that they are as strict as the tests of mcpmux rely
//! on, shown by a client that knows the way.

use std::thread;

use serde_json::json;

use crate::{
    browser::{Scripts, browse},
    fake::{Answer, Fake, Server},
    peers::Plan,
    script::{Script, call},
    secrets::Secrets,
    walker::{Redirect, Walker},
};

#[test]
fn a_token_opens_what_its_scope_allows_and_no_more() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let tokens = script.log_in("mcp:read mcp:call");
    let call = |name: &str| {
        let call = json!({ "name": name, "arguments": { "message": "hello" } });
        self::call(peers.endpoint(), Some(&tokens), "tools/call", call)
    };
    assert!(call("echo").body.contains("hello"));
    assert!(call("whoami").body.contains("alice"));
    let refused = call("admin");
    assert_eq!(refused.status, 403);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#),
        "{challenge}"
    );
    assert!(challenge.contains(r#"scope="mcp:admin""#), "{challenge}");
    peers.refuse();
    assert_eq!(call("echo").status, 401);
}

#[test]
fn a_refresh_token_that_is_used_twice_ends_the_grant() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let first = script.log_in("mcp:read");
    let second = script.refresh(&first);
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!(script.refresh(&first).json()["error"], "invalid_grant");
    assert_eq!(
        script.refresh(&second.json()).json()["error"],
        "invalid_grant"
    );
    assert_eq!(peers.grants("refresh_token").len(), 3);
}

#[test]
fn a_revoked_grant_cannot_be_refreshed() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let tokens = script.log_in("mcp:read");
    peers.revoke();
    assert_eq!(script.refresh(&tokens).json()["error"], "invalid_grant");
}

#[test]
fn a_walk_that_is_cancelled_ends_in_a_redirect_with_an_error() {
    let peers = Plan::default().start();
    let begun = Script::register(peers.endpoint()).begin("mcp:read");
    let redirect = Walker::denying().walk(&begun.url);
    assert_eq!(
        redirect.parameter("error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(redirect.parameter("code"), None);
    assert_eq!(redirect.parameter("iss").as_ref(), Some(&peers.issuer));
}

#[test]
fn a_code_is_good_once_and_only_with_its_verifier() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let begun = script.begin("mcp:read");
    let redirect = Walker::alice().walk(&begun.url);
    let wrong = script.exchange(&script.begin("mcp:read"), &redirect);
    assert_eq!(wrong.json()["error"], "invalid_grant");
    let redirect = Walker::alice().walk(&begun.url);
    assert_eq!(script.exchange(&begun, &redirect).status, 200);
    assert_eq!(
        script.exchange(&begun, &redirect).json()["error"],
        "invalid_grant"
    );
}

#[test]
fn a_device_logs_in_while_a_person_confirms() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let device = script.device();
    assert_eq!(
        script.poll(&device).json()["error"],
        "authorization_pending"
    );
    let page = Walker::alice().confirm(device["verification_uri_complete"].as_str().unwrap());
    assert!(page.words().contains("successful"), "{}", page.words());
    let tokens = script.poll(&device);
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let listed = call(
        peers.endpoint(),
        Some(&tokens.json()),
        "tools/list",
        json!({}),
    );
    assert!(listed.body.contains("whoami"), "{}", listed.body);
}

#[test]
fn the_peers_tell_every_secret_that_was_used() {
    let peers = Plan::default().start();
    let script = Script::register(peers.endpoint());
    let begun = script.begin("mcp:read");
    let redirect = Walker::alice().walk(&begun.url);
    let tokens = script.exchange(&begun, &redirect).json();
    let secrets = Secrets::default();
    peers.tell_all(&secrets);
    let used = [
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
        &redirect.parameter("code").unwrap(),
        &redirect.parameter("state").unwrap(),
    ];
    for used in used {
        assert_ne!(
            secrets.leaks("", used.as_bytes()),
            Vec::<String>::new(),
            "{used}"
        );
    }
}

#[test]
fn a_browser_goes_the_same_way_as_the_walker() {
    let peers = Plan::default().start();
    let landing = Server::start(|_| Answer::text(200, "text/html", "<title>T</title>Arrived."));
    let redirect = format!("{}/oauth/callback", landing.origin());
    let script = Script::register_at(peers.endpoint(), &redirect);
    for scripts in [Scripts::Run, Scripts::Off] {
        let begun = script.begin("mcp:read");
        let page = browse(&begun.url, &Walker::alice(), scripts, "harness");
        assert_eq!(
            (page.status, page.title.as_str(), page.text.as_str()),
            (200, "T", "Arrived.")
        );
        let redirect = Redirect(page.url.parse().unwrap());
        assert_eq!(script.exchange(&begun, &redirect).status, 200);
    }
}

#[test]
fn the_scripted_servers_are_as_strict_as_the_certified_one() {
    let fake = Fake::start();
    let script = Script::register(&fake.endpoint());
    let begun = script.begin("read");
    let redirect = Walker::alice().walk(&begun.url);
    let wrong = script.exchange(&script.begin("read"), &redirect);
    assert_eq!(wrong.json()["error"], "invalid_grant");
    let tokens = script.log_in("read");
    let listed = |tokens| call(&fake.endpoint(), Some(tokens), "tools/list", json!({})).status;
    assert_eq!(listed(&tokens), 200);
    fake.expire();
    assert_eq!(listed(&tokens), 401);
    let next = script.refresh(&tokens).json();
    assert_eq!(listed(&next), 200);
    assert_eq!(script.refresh(&tokens).status, 400);
    assert_eq!(listed(&next), 401);
    assert_eq!(script.refresh(&next).status, 400);
}

#[test]
fn an_answer_is_held_before_or_after_its_effect() {
    let fake = Fake::start();
    let script = Script::register(&fake.endpoint());
    for after in [false, true] {
        let tokens = script.log_in("read");
        let gate = if after {
            fake.hold_after("/token")
        } else {
            fake.hold_before("/token")
        };
        let seen = fake.secrets.count();
        thread::scope(|scope| {
            let refreshed = scope.spawn(|| script.refresh(&tokens).status);
            gate.arrived(1);
            assert_eq!(fake.secrets.count() > seen, after);
            gate.open();
            assert_eq!(refreshed.join().unwrap(), 200);
        });
        fake.off("/token");
    }
}
