//! Browsers that come back from a login, and what is not one.

use super::{ask, house};
use crate::support::Connection;

const PATH: &str = "/oauth/callback";

#[test]
fn an_answer_that_nobody_waits_for_gets_a_page_that_says_so() {
    let (_peer, mux) = house();
    let mut connection = Connection::open(mux.address());
    let target = format!("{PATH}?code=s3cret-code&state=%3Cb%3E");
    connection
        .request("GET", &target, &[("Sec-Fetch-Mode", "navigate")], "")
        .expect("mcpmux reads the request");
    let reply = connection.reply();
    assert_eq!(reply.status, 400);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        let header = (name.to_owned(), value.to_owned());
        assert!(reply.headers.contains(&header), "{name}");
    }
    let page = reply.text();
    assert!(page.contains("Nothing was logged in"), "{page}");
    assert!(page.contains("mcpmux auth login"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    mux.stop();
    assert!(!mux.log().contains("s3cret-code"), "a code in the log");
}

#[test]
fn only_a_navigation_comes_back() {
    let (_peer, mux) = house();
    let target = format!("{PATH}?code=c&state=s");
    for method in ["HEAD", "POST", "OPTIONS", "DELETE"] {
        let mut connection = Connection::open(mux.address());
        connection
            .request(method, &target, &[], "")
            .expect("mcpmux reads the request");
        assert_eq!(connection.reply().status, 405, "{method}");
    }
    let address = mux.address().to_string();
    let own = format!("http://{address}");
    for header in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        // No page of mcpmux's own asks for it.
        ("Origin", own.as_str()),
        ("Sec-Fetch-Dest", "image"),
        ("Host", "evil.example"),
    ] {
        let (status, page) = ask(&mux, "GET", &target, &[header], "");
        assert_eq!(status, 403, "{header:?}");
        assert!(page.starts_with("<!doctype html>"), "{header:?}: {page}");
    }
    let long = format!("{PATH}?code={}", "c".repeat(17 * 1024));
    assert_eq!(ask(&mux, "GET", &long, &[], "").0, 414);
}
