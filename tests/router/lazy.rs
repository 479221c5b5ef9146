//! Servers that are started by the call that needs them, and ended when none has
//! for a while.

use std::time::Duration;

use crate::support::{Client, Mux, PATIENCE, Peer, Setup, Step, eventually, legacy, result};

const DONE: &str = r#"{"content":[]}"#;

/// A state directory that outlives the mcpmux in it.
struct Desk {
    dir: tempfile::TempDir,
    peer: Peer,
    lines: &'static str,
}

impl Desk {
    fn new(peer: Peer, lines: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, peer, lines }
    }

    fn serve(&self) -> Mux {
        Setup::default()
            .backend("b", &self.peer, self.lines)
            .env("XDG_STATE_HOME", self.dir.path().to_str().expect("text"))
            .serve()
    }
}

fn starts(peer: &Peer, number: usize) {
    eventually(&format!("start {number}"), || {
        (peer.starts() == number).then_some(())
    });
}

#[test]
fn a_lazy_server_is_started_by_the_first_call_and_listed_before() {
    let desk = Desk::new(Peer::new(legacy(&["t"])), "start: lazy");
    // What it offers is found out once.
    let mux = desk.serve();
    Client::wait_for(&mux, "b__t");
    mux.stop();
    assert_eq!(desk.peer.starts(), 1);
    let mux = desk.serve();
    let client = Client::legacy(&mux);
    assert_eq!(client.names(), ["b__t"]);
    assert_eq!(desk.peer.starts(), 1, "nobody has called it");
    client.call("b__t", None).result();
    assert_eq!(desk.peer.starts(), 2);
}

#[test]
fn an_idle_server_is_ended_and_the_next_call_starts_it() {
    let desk = Desk::new(Peer::new(legacy(&["t"])), "idle_stop: 200ms");
    let mux = desk.serve();
    let client = Client::legacy(&mux);
    client.call("b__t", None).result();
    mux.logged("nobody uses it, it is ended");
    assert_eq!(client.names(), ["b__t"], "it stays listed");
    client.call("b__t", None).result();
    starts(&desk.peer, 2);
}

#[test]
fn a_server_in_use_is_not_ended_however_long_that_takes() {
    let script = legacy(&["slow"]).tool("slow", [Step::Await("go".to_owned()), result(DONE)]);
    let desk = Desk::new(Peer::new(script), "idle_stop: 100ms");
    let mux = desk.serve();
    let client = Client::legacy(&mux);
    let call = client.spell("7", "tools/call", None, r#""name":"b__slow""#);
    let pending = client.post(&call);
    desk.peer.message("tools/call", 1);
    // As many times as it would take to end it.
    std::thread::sleep(Duration::from_millis(500));
    desk.peer.open("go");
    let answer = crate::support::Answer::read(pending.reply());
    answer.result();
    assert_eq!(desk.peer.starts(), 1);
}

#[test]
fn calls_and_the_end_of_an_idle_server_never_collide() {
    let desk = Desk::new(Peer::new(legacy(&["t"])), "idle_stop: 30ms");
    let mux = desk.serve();
    let client = Client::legacy(&mux);
    let start = std::time::Instant::now();
    for turn in 0..60_u64 {
        assert!(start.elapsed() < PATIENCE * 4);
        // Around the time at which it is ended.
        std::thread::sleep(Duration::from_millis(20 + turn % 20));
        client.call("b__t", None).result();
    }
    assert!(desk.peer.starts() > 1, "it was never ended");
}
