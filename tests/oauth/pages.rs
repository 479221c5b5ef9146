//! The page after the redirect, in a real browser: what a person reads for
//! success and for each failure, with scripts and without.

use serde_json::json;

use crate::{
    browser::{Page, Scripts, browse},
    house::House,
    peers::Plan,
    walker::Walker,
};

/// What holds for every page: it loads nothing, complains of nothing, is kept
/// nowhere and tells nobody its address.
fn is_quiet(page: &Page) {
    let header = |name: &str| page.headers.get(name).map(String::as_str);
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("referrer-policy"), Some("no-referrer"));
    let policy = header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let origin = page.url.split("/oauth/").next().unwrap();
    let of_page = |url: &str| url.starts_with(origin);
    let loaded = page.requests.iter().filter(|asked| of_page(&asked.url));
    let loaded: Vec<_> = loaded.collect();
    assert_eq!(loaded.len(), 1, "{loaded:?}");
    let told = page
        .requests
        .iter()
        .filter_map(|asked| asked.referer.as_deref());
    let told: Vec<_> = told.filter(|referer| of_page(referer)).collect();
    assert!(told.is_empty(), "{told:?}");
    let complaints = page.complaints.iter().filter(|one| of_page(&one.url));
    // That a page is one of a failure is no complaint about it.
    let complaints: Vec<_> = complaints
        .filter(|complaint| !complaint.text.contains("status of 400"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn consent_in_a_browser_logs_in_and_the_page_says_so() {
    let peers = Plan::default().start();
    for (scripts, name) in [
        (Scripts::Run, "success"),
        (Scripts::Off, "success-no-scripts"),
    ] {
        let house = House::of(&peers, peers.endpoint(), json!({}));
        let daemon = house.serve();
        let url = daemon.asks_for_login("web", 1);
        let page = browse(&url, &Walker::alice(), scripts, name);
        assert_eq!(page.status, 200);
        assert!(page.text.contains("web is logged in"), "{}", page.text);
        is_quiet(&page);
        daemon.up("web");
        daemon.echoes("web");
    }
}

#[test]
fn a_person_who_refuses_reads_that_nothing_was_granted() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let url = daemon.asks_for_login("web", 1);
    let page = browse(&url, &Walker::denying(), Scripts::Run, "denied");
    assert_eq!(page.status, 400);
    assert!(page.text.contains("web is not logged in"), "{}", page.text);
    assert!(page.text.contains("mcpmux auth login web"), "{}", page.text);
    is_quiet(&page);
    assert_eq!(peers.requests_for("token").len(), 0);
}

#[test]
fn a_redirect_that_nobody_waits_for_logs_nothing_in() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({}));
    let daemon = house.serve();
    let url = daemon.asks_for_login("web", 1);
    let redirect = Walker::alice().walk(&url);
    let unknown = redirect.with("state", "0123456789abcdef0123456789abcdef");
    let page = browse(
        unknown.0.as_str(),
        &Walker::alice(),
        Scripts::Run,
        "unknown-state",
    );
    assert_eq!(page.status, 400);
    is_quiet(&page);
    // The login that waits is not disturbed.
    assert_eq!(redirect.follow().status, 200);
    daemon.up("web");
    let page = browse(
        redirect.0.as_str(),
        &Walker::alice(),
        Scripts::Off,
        "replayed",
    );
    assert_eq!(page.status, 400);
    is_quiet(&page);
    daemon.echoes("web");
}
