//! Which backends there are after a reload, in which order, and who is told.

use super::{Desk, running};
use crate::support::{Client, Peer, Setup, at, legacy, member, modern, text};

const CHANGED: &str = r#""notifications/tools/list_changed""#;

#[test]
fn what_is_added_removed_and_reordered_is_told_in_both_eras() {
    let desk = Desk::new();
    let (a, b, c) = (
        Peer::new(legacy(&["t"])),
        Peer::new(legacy(&["t"])),
        Peer::http(modern(&["t"])),
    );
    let mux = desk.serve(Setup::one("a", &a).backend("b", &b, "").backend(
        "d",
        &a,
        "env: { X: y }",
    ));
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    new.await_names(&["a__t", "b__t", "d__t"]);
    let (mut old_news, mut new_news) = (old.listen(), new.listen());
    let starts = a.starts();
    let setup = Setup::one("c", &c)
        .backend("d", &a, "env: { X: y }")
        .backend("a", &a, "");
    let said = desk.reload(&mux, &setup);
    assert_eq!(
        said,
        "added     c\nremoved   b\nthe backends stand in another order\n"
    );
    let news = [&mut old_news, &mut new_news].map(|news| news.event().expect("a notification"));
    assert!(news.iter().all(|event| at(event, &["method"]) == CHANGED));
    new.await_names(&["c__t", "d__t", "a__t"]);
    old.await_names(&["c__t", "d__t", "a__t"]);
    assert_eq!(new.call("b__t", None).error().0, -32602);
    assert!(new.call("c__t", None).result().contains("done"));
    running(&b, 0);
    assert_eq!(a.starts(), starts, "it was not to be touched");
    // The same again changes nothing.
    assert_eq!(desk.reload(&mux, &setup), "no backend has changed\n");
    assert_eq!(a.starts(), starts, "it was not to be touched");
}

#[test]
fn a_backend_that_is_switched_off_is_gone_and_comes_back() {
    let desk = Desk::new();
    let (a, b) = (Peer::new(legacy(&["t"])), Peer::new(legacy(&["t"])));
    let mux = desk.serve(Setup::one("a", &a).backend("b", &b, ""));
    let client = Client::modern(&mux);
    client.await_names(&["a__t", "b__t"]);
    let setup = Setup::one("a", &a).backend("b", &b, "enabled: false");
    assert_eq!(desk.reload(&mux, &setup), "removed   b\n");
    assert_eq!(client.names(), ["a__t"]);
    running(&b, 0);
    let setup = Setup::one("a", &a).backend("b", &b, "");
    assert_eq!(desk.reload(&mux, &setup), "added     b\n");
    client.await_names(&["a__t", "b__t"]);
    assert_eq!((a.starts(), b.starts()), (1, 2));
}

#[test]
fn what_needs_no_new_connection_gets_none() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let mux = desk.serve(Setup::one("a", &peer));
    Client::wait_for(&mux, "a__t");
    let client = Client::modern(&mux);
    let mut news = client.listen();
    let lines = "description: for tests\ntimeout: 7s\nidle_stop: 1h\nnamespace: none";
    let setup = Setup::default().backend("a", &peer, lines);
    assert_eq!(desk.reload(&mux, &setup), "updated   a\n");
    news.event().expect("a notification");
    let tool = client.tool("t");
    let about = text(&at(&tool, &["description"]));
    assert!(about.contains("for tests"), "{about}");
    assert!(client.call("t", None).result().contains("done"));
    assert_eq!(peer.starts(), 1);
}

#[test]
fn a_time_out_of_now_holds_for_the_next_call() {
    let desk = Desk::new();
    let script = legacy(&["t"]).tool("t", [crate::support::Step::Await("never".to_owned())]);
    let peer = Peer::new(script);
    let mux = desk.serve(Setup::one("a", &peer));
    Client::wait_for(&mux, "a__t");
    desk.reload(
        &mux,
        &Setup::default().backend("a", &peer, "timeout: 100ms"),
    );
    let (_, said) = Client::modern(&mux).call("a__t", None).error();
    assert!(said.contains("0.1 s"), "{said}");
    assert_eq!(peer.starts(), 1);
}

#[test]
fn a_backend_that_was_stopped_stays_stopped_when_it_is_replaced() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let mux = desk.serve(Setup::one("a", &peer));
    Client::wait_for(&mux, "a__t");
    let act = |verb: &str| {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_mcpmux"))
            .args([verb, "a"])
            .env_clear()
            .env("MCPMUX_CONTROL", desk.socket())
            .status();
        assert!(command.unwrap().success());
    };
    act("stop");
    running(&peer, 0);
    desk.reload(&mux, &Setup::default().backend("a", &peer, "env: { V: x }"));
    let client = Client::modern(&mux);
    let (_, said) = client.call("a__t", None).error();
    assert!(said.contains("mcpmux start a"), "{said}");
    assert_eq!(peer.starts(), 1);
    act("start");
    assert!(client.call("a__t", None).result().contains("done"));
    assert_eq!(peer.starts(), 2);
}

#[test]
fn a_lazy_backend_with_another_command_is_started_once_for_its_lists() {
    let desk = Desk::new();
    let (before, after) = (Peer::new(legacy(&["t"])), Peer::new(legacy(&["u"])));
    let mux = desk.serve(Setup::default().backend("a", &before, "start: lazy"));
    let client = Client::modern(&mux);
    client.await_names(&["a__t"]);
    let setup = Setup::default().backend("a", &after, "start: lazy");
    assert_eq!(desk.reload(&mux, &setup), "replaced  a\n");
    client.await_names(&["a__u"]);
    running(&before, 0);
    assert_eq!(member(&client.call("a__u", None).response, "error"), None);
}
