//! Calls that take too long, and those that nobody waits for any more.

use std::{thread, time::Instant};

use super::DONE;
use crate::support::{Client, Peer, Setup, Step, at, legacy, member, modern, progress, result};

#[test]
fn a_call_times_out_and_is_cancelled_at_the_backend() {
    let peer = Peer::new(legacy(&["t"]).tool("t", [Step::Await("never".to_owned())]));
    let mux = Setup::default()
        .backend("shaky", &peer, "timeout: 1s")
        .serve();
    let client = Client::legacy(&mux);
    let start = Instant::now();
    let (_, message) = client.call("shaky__t", None).error();
    assert!(
        (1..5).contains(&start.elapsed().as_secs()),
        "it took {:?}",
        start.elapsed()
    );
    assert!(
        message.contains("shaky") && message.contains("no response within 1 s"),
        "{message}"
    );
    let call = peer.message("tools/call", 1);
    let cancelled = peer.message("notifications/cancelled", 1);
    assert_eq!(at(&cancelled, &["params", "requestId"]), at(&call, &["id"]));
}

#[test]
fn progress_puts_the_deadline_off_but_not_past_the_longest() {
    let busy = vec![vec![progress(r#""progress":1"#), Step::Wait(400)]; 30].concat();
    let soon = [
        vec![vec![progress(r#""progress":1"#), Step::Wait(600)]; 3].concat(),
        vec![result(DONE)],
    ]
    .concat();
    let peer = Peer::new(
        legacy(&["busy", "soon"])
            .tool("busy", busy)
            .tool("soon", soon),
    );
    let mux = Setup::default()
        .backend("b", &peer, "timeout: 1s\nmax_timeout: 3s")
        .serve();
    let client = Client::legacy(&mux);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(client.call_with_token("b__soon", "1").result(), DONE));
        let start = Instant::now();
        let (_, message) = client.call_with_token("b__busy", "2").error();
        assert!(message.contains("no response within 3 s"), "{message}");
        assert!(
            (3..6).contains(&start.elapsed().as_secs()),
            "it took {:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_cancelled_exchange_does_not_disturb_the_calls_that_share_its_pipe() {
    let peer = Peer::new(modern(&["slow", "t"]).tool(
        "slow",
        [Step::Await("late".to_owned()), result(r#"{"late":true}"#)],
    ));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    let gone = client.post(&client.spell("1", "tools/call", None, r#""name":"b__slow""#));
    let call = peer.message("tools/call", 1);
    drop(gone);
    let cancelled = peer.message("notifications/cancelled", 1);
    assert_eq!(at(&cancelled, &["params", "requestId"]), at(&call, &["id"]));
    // The answer comes all the same, to nobody.
    peer.open("late");
    for _ in 0..3 {
        assert_eq!(member(&client.call("b__t", None).result(), "late"), None);
    }
}
