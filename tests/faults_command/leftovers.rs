//! Nothing is left behind, however mcpmux ends.

use rustix::process::Signal;
use std::thread;

use super::DONE;
use crate::support::{
    Client, Event, Mux, Peer, Setup, Step, alive, eventually, legacy, processes_naming, result,
};

fn grandchildren(peer: &Peer, count: usize) -> Vec<u32> {
    peer.wait("grandchildren", |events| {
        let pids: Vec<u32> = events
            .iter()
            .filter_map(|event| match event {
                Event::Grandchild(pid) => Some(*pid),
                _ => None,
            })
            .collect();
        (pids.len() == count).then_some(pids)
    })
}

/// A peer with three grandchildren that ignore SIGTERM, and which goes on after
/// its stdin ends.
fn family() -> Peer {
    Peer::new(
        legacy(&["t"])
            .tool("t", [Step::Grandchildren(3), result(DONE)])
            .on("end", [Step::Await("never".to_owned())]),
    )
}

fn raise_family(peer: &Peer, mux: &Mux) -> Vec<u32> {
    Client::legacy(mux).call("b__t", None).result();
    let pids = grandchildren(peer, 3);
    assert!(pids.iter().all(|pid| alive(*pid)));
    pids
}

#[test]
fn after_sigterm_no_child_and_no_grandchild_is_left() {
    let peer = family();
    let mux = Setup::one("b", &peer).serve();
    let pids = raise_family(&peer, &mux);
    mux.stop();
    assert!(
        pids.iter().all(|pid| !alive(*pid)),
        "grandchildren are left"
    );
    assert!(processes_naming(peer.dir()).is_empty());
    // Its stdin was closed first, as a server may expect.
    assert!(
        peer.events()
            .iter()
            .any(|event| matches!(event, Event::EndOfInput))
    );
}

#[test]
fn after_sigkill_no_child_and_no_grandchild_is_left() {
    let peer = family();
    let mux = Setup::one("b", &peer).serve();
    raise_family(&peer, &mux);
    mux.kill();
    eventually("the end of the whole family", || {
        processes_naming(peer.dir()).is_empty().then_some(())
    });
}

#[test]
fn after_sigkill_a_child_that_ignores_everything_is_gone_too() {
    let peer = Peer::new(legacy(&["t"]).on("end", [Step::Await("never".to_owned())]));
    let script = r#"trap '' TERM INT HUP; "$0" "$1"; true"#;
    let command = format!(
        "[sh, -c, {script:?}, {}",
        peer.command().trim_start_matches('[')
    );
    let mux = Setup::default()
        .raw_backend(&format!("name: b\ntransport: command\ncommand: {command}"))
        .serve();
    Client::legacy(&mux).call("b__t", None).result();
    mux.kill();
    eventually("the end of the child", || {
        processes_naming(peer.dir()).is_empty().then_some(())
    });
}

#[test]
fn a_child_that_ends_takes_its_grandchildren_along() {
    let peer =
        Peer::new(legacy(&["t", "dies"]).tool("dies", [Step::Grandchildren(2), Step::Exit(0)]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    client.call("b__dies", None).error();
    let pids = grandchildren(&peer, 2);
    eventually("the end of the grandchildren", || {
        pids.iter().all(|pid| !alive(*pid)).then_some(())
    });
    client.await_names(&["b__t", "b__dies"]);
}

#[test]
fn sigint_ends_mcpmux_as_sigterm_does() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::one("b", &peer).serve();
    Client::legacy(&mux).call("b__t", None).result();
    mux.signal(Signal::INT);
    assert!(mux.ended().success());
    assert!(processes_naming(peer.dir()).is_empty());
}

#[test]
fn a_call_in_flight_finishes_when_mcpmux_is_asked_to_end() {
    let peer = Peer::new(legacy(&["t"]).tool("t", [Step::Await("go".to_owned()), result(DONE)]));
    let mux = Setup::one("b", &peer).serve();
    let client = Client::legacy(&mux);
    thread::scope(|scope| {
        let call = scope.spawn(|| client.call("b__t", None));
        peer.message("tools/call", 1);
        mux.signal(Signal::TERM);
        eventually("no new connection", || {
            std::net::TcpStream::connect(mux.address())
                .is_err()
                .then_some(())
        });
        peer.open("go");
        assert_eq!(call.join().expect("the call ends").result(), DONE);
    });
    assert!(mux.ended().success());
}
