//! Metadata that leads astray: nobody is sent anywhere, nothing is asked that
//! must not be, and why is in the log once, in `auth status` and in what a call
//! is answered.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    fake::{Answer, Body, Fake, RESOURCE, SERVER},
    house::House,
    support::eventually,
};

/// A browser, which notes what it is to open.
struct Browser {
    folder: tempfile::TempDir,
}

impl Browser {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let browser = Self { folder };
        let script = format!("#!/bin/sh\necho \"$1\" >> {}\n", browser.notes().display());
        fs::write(browser.program(), script).unwrap();
        fs::set_permissions(browser.program(), fs::Permissions::from_mode(0o700)).unwrap();
        browser
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("browser")
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("opened")
    }

    /// What it was to open so far.
    fn opened(&self) -> String {
        fs::read_to_string(self.notes()).unwrap_or_default()
    }
}

fn house<'a>(fake: &'a Fake, browser: &Browser, mut auth: Value) -> House<'a> {
    auth["open_browser"] = true.into();
    House::of(fake, &fake.endpoint(), auth)
        .variable("BROWSER", &browser.program().display().to_string())
}

/// Has `spoil` change what the servers answer: no login is begun, and all who
/// ask why are told each of these texts.
#[track_caller]
fn leads_nowhere(spoil: impl Fn(&Fake), texts: &[&str]) {
    let (fake, browser) = (Fake::start(), Browser::new());
    spoil(&fake);
    fake.secrets.add("nothing", "no-secret-was-given-out");
    let house = house(&fake, &browser, json!({}));
    let daemon = house.serve();
    let warning = daemon.warns("web", "login: ");
    for text in texts {
        assert!(warning.contains(text), "{text}: {warning}");
    }
    for _ in 0..2 {
        let (_, why) = daemon.call("web__echo", "{}").error();
        for text in texts {
            assert!(why.contains(text), "{text}: {why}");
        }
        assert!(why.contains("mcpmux auth login web"), "{why}");
    }
    let status = house.status("web");
    let trouble = status["trouble"].as_str().unwrap_or_default();
    for text in texts {
        assert!(trouble.contains(text), "{text}: {status}");
    }
    assert_eq!(status["login"], "needs_login");
    let login = house.auth(&["login", "web"]);
    assert_eq!(login.code, Some(1), "{login:?}");
    for text in texts {
        assert!(login.stderr.contains(text), "{text}: {login:?}");
    }
    let warnings = daemon.warnings("web");
    let warnings = warnings.iter().filter(|one| one.starts_with("login: "));
    assert_eq!(warnings.count(), 1, "it is said once");
    assert_eq!(daemon.logins_asked("web"), 0);
    assert_eq!(browser.opened(), "");
    for path in ["/authorize", "/token", "/register"] {
        assert_eq!(fake.seen(path).len(), 0, "{path} was asked");
    }
}

/// The same where only a member of the authorization server's metadata is wrong.
#[track_caller]
fn member_leads_nowhere(name: &'static str, value: impl Into<Value>, texts: &[&str]) {
    let value = value.into();
    let change = |fake: &Fake| {
        let value = value.clone();
        fake.change(SERVER, move |metadata| metadata[name] = value.clone());
    };
    leads_nowhere(change, texts);
}

fn endless() -> Answer {
    Answer {
        body: Body::Endless(" ".repeat(1 << 16)),
        ..Answer::text(200, "application/json", "")
    }
}

#[test]
fn good_metadata_opens_a_browser() {
    let (fake, browser) = (Fake::start(), Browser::new());
    let house = house(&fake, &browser, json!({}));
    let daemon = house.serve();
    let url = daemon.asks_for_login("web", 1);
    let opened = eventually("a browser", || {
        Some(browser.opened()).filter(|o| !o.is_empty())
    });
    assert_eq!(opened.trim(), url);
    house.hear("the browser", &opened);
    daemon.log_in("web");
}

#[test]
fn metadata_that_redirects_to_a_link_local_address_is_not_followed() {
    let to = "http://169.254.169.254/latest/meta-data";
    leads_nowhere(
        |fake| fake.on(RESOURCE, move |_, _| Answer::redirect(to)),
        &["redirects to http://169.254.169.254/", "is not asked"],
    );
    leads_nowhere(
        |fake| fake.on(SERVER, move |_, _| Answer::redirect(to)),
        &["redirects to http://169.254.169.254/", "is not asked"],
    );
}

#[test]
fn metadata_that_redirects_for_ever_is_left() {
    leads_nowhere(
        |fake| fake.on(SERVER, |_, _| Answer::redirect(SERVER)),
        &["one redirect too many"],
    );
}

#[test]
fn endless_metadata_is_left() {
    leads_nowhere(
        |fake| fake.on(RESOURCE, |_, _| endless()),
        &["answers with more than"],
    );
    leads_nowhere(
        |fake| fake.on(SERVER, |_, _| endless()),
        &["answers with more than"],
    );
}

#[test]
fn an_authorization_endpoint_that_is_no_web_page_is_not_opened() {
    for endpoint in [
        "javascript:alert(document.cookie)",
        "file:///etc/passwd",
        "data:text/html,<script>alert(1)</script>",
    ] {
        member_leads_nowhere(
            "authorization_endpoint",
            endpoint,
            &["authorization_endpoint"],
        );
    }
}

#[test]
fn endpoints_must_be_https_but_on_this_machine() {
    for name in [
        "token_endpoint",
        "registration_endpoint",
        "authorization_endpoint",
    ] {
        member_leads_nowhere(name, "http://10.1.2.3/x", &[name, "https"]);
    }
    member_leads_nowhere(
        "token_endpoint",
        "https://169.254.169.254/token",
        &["token_endpoint", "is not asked"],
    );
}

#[test]
fn a_server_without_pkce_is_not_used() {
    let name = "code_challenge_methods_supported";
    for methods in [Value::Null, json!([]), json!(["plain"])] {
        member_leads_nowhere(name, methods, &["PKCE with S256", name]);
    }
}

#[test]
fn metadata_of_another_resource_is_not_used() {
    for resource in ["https://other.example/mcp", "http://127.0.0.1:1/mcp"] {
        leads_nowhere(
            |fake| {
                fake.change(RESOURCE, move |metadata| {
                    metadata["resource"] = resource.into();
                });
            },
            &["is for the resource", "auth.resource"],
        );
    }
}

#[test]
fn a_server_that_calls_itself_by_another_name_is_used_only_if_that_is_allowed() {
    let name = "https://elsewhere.example";
    member_leads_nowhere(
        "issuer",
        name,
        &[
            "calls itself https://elsewhere.example",
            "auth.allow_issuer_mismatch",
        ],
    );
    let (fake, browser) = (Fake::start(), Browser::new());
    fake.change(SERVER, move |metadata| metadata["issuer"] = name.into());
    let house = house(&fake, &browser, json!({ "allow_issuer_mismatch": true }));
    let daemon = house.serve();
    let url = daemon.asks_for_login("web", 1);
    house.hear("the browser", &browser.opened());
    // It is then the other name that answers must have.
    let answer = crate::walker::Walker::alice().walk(&url).with("iss", name);
    assert_eq!(answer.follow().status, 200);
    daemon.up("web");
}

#[test]
fn a_server_that_cannot_say_what_it_is_is_not_taken_for_one_that_has_nothing_to_say() {
    leads_nowhere(
        |fake| fake.on(RESOURCE, |_, _| Answer::text(503, "text/plain", "")),
        &["answers 503"],
    );
    leads_nowhere(
        |fake| fake.on(SERVER, |_, _| Answer::nothing()),
        &["broke off"],
    );
}

#[test]
fn a_registration_that_is_refused_says_what_to_do() {
    let (fake, browser) = (Fake::start(), Browser::new());
    fake.on("/register", |_, _| {
        Answer::json(
            403,
            &json!({ "error": "access_denied", "error_description": "ask us" }),
        )
    });
    fake.secrets.add("nothing", "no-secret-was-given-out");
    let house = house(&fake, &browser, json!({}));
    let daemon = house.serve();
    for text in ["access_denied: ask us", "auth.client_id"] {
        daemon.warns("web", text);
        let (_, why) = daemon.call("web__echo", "{}").error();
        assert!(why.contains(text), "{why}");
        let trouble = house.status("web")["trouble"].to_string();
        assert!(trouble.contains(text), "{trouble}");
    }
    assert_eq!(browser.opened(), "");
    // It may be let in later.
    fake.off("/register");
    daemon.call("web__echo", "{}").error();
    daemon.log_in("web");
    assert_eq!(house.status("web")["trouble"], json!(null));
    house.hear("the browser", &browser.opened());
}
