//! Backends that are up and do not answer any more, and those that only work long.

use std::thread;

use super::{
    DONE,
    support::{Client, Event, Peer, Script, Setup, Step, at, eventually, legacy, modern, result},
};

const HEALTH: &str = "health: { interval: 200ms, timeout: 300ms }";

fn serve(peer: &Peer, more: &str) -> super::support::Mux {
    Setup::default()
        .backend("b", peer, &format!("{HEALTH}\n{more}"))
        .serve()
}

#[test]
fn a_process_that_answers_no_ping_is_ended_and_started_anew() {
    let hangs = |script: Script, ping: &str| script.turns(ping, [vec![result("{}")], vec![]]);
    let discovered = modern(&["t"]).on["server/discover"][0].clone();
    for (sick, well, ping) in [
        (hangs(legacy(&["t"]), "ping"), legacy(&["t"]), "ping"),
        (
            modern(&["t"]).turns("server/discover", [discovered, vec![]]),
            modern(&["t"]),
            "server/discover",
        ),
    ] {
        let peer = Peer::new(sick);
        let mux = serve(&peer, "");
        peer.wait("its start", |events| (!events.is_empty()).then_some(()));
        mux.logged("tools=1");
        peer.rewrite(well);
        mux.logged(&format!("it has not answered {ping} within 1 s"));
        let lost = mux.logged("connecting anew");
        assert!(lost.contains("3 times in a row"), "{lost}");
        peer.wait("a second start", |events| {
            let starts = events
                .iter()
                .filter(|event| matches!(event, Event::Start { .. }));
            (starts.count() == 2).then_some(())
        });
        assert_eq!(
            at(
                &Client::legacy(&mux).call("b__t", None).result(),
                &["content"]
            ),
            at(DONE, &["content"])
        );
        // The pings of the first that were missed, and none of them too many.
        let before = peer.messages(ping).len();
        eventually("the second one is pinged as well", || {
            (peer.messages(ping).len() > before + 3).then_some(())
        });
        assert_eq!(peer.starts(), 2);
    }
}

#[test]
fn a_process_that_works_long_is_not_pinged_and_not_ended() {
    let script = legacy(&["slow"])
        .on("ping", [])
        .tool("slow", [Step::Wait(3000), result(DONE)]);
    let peer = Peer::new(script);
    let mux = serve(&peer, "");
    Client::wait_for(&mux, "b__slow");
    let client = Client::legacy(&mux);
    // It is called all the time, and takes much longer than pings would be waited for.
    thread::scope(|scope| {
        let calls = [(); 2].map(|()| scope.spawn(|| client.call("b__slow", None).result()));
        for call in calls {
            assert_eq!(call.join().expect("an answer"), DONE);
        }
    });
    assert_eq!(peer.starts(), 1, "{}", mux.log());
}

#[test]
fn an_endpoint_that_hangs_fails_calls_at_once_until_one_trial_succeeds() {
    let discovered = modern(&["t"]).on["server/discover"][0].clone();
    let healed = [vec![Step::Await("healed".to_owned())], discovered.clone()].concat();
    let script = modern(&["t"]).turns("server/discover", [discovered, healed]);
    let peer = Peer::http(script);
    let mux = serve(&peer, "");
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let down = mux.logged("3 times in a row (down for");
    assert!(down.contains("next attempt in"), "{down}");
    // One that found it up, three pings, and one trial, for which nobody waits.
    peer.message("server/discover", 5);
    for _ in 0..5 {
        let (_, message) = client.call("b__t", None).error();
        assert!(
            message.contains("3 times in a row") && message.contains("tried again now"),
            "{message}"
        );
    }
    assert_eq!(peer.messages("server/discover").len(), 5);
    peer.open("healed");
    eventually("a call succeeds again", || {
        let answer = client.call("b__t", None);
        answer.response.contains("done").then_some(())
    });
}

#[test]
fn calls_that_time_out_one_after_the_other_have_it_asked_although_it_is_busy() {
    let never = || [Step::Await("never".to_owned())];
    // One call is open all the time, and says nothing.
    let script = legacy(&["t"]).on("ping", []).tool("t", never());
    let peer = Peer::new(script);
    let mux = serve(&peer, "timeout: 1s");
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    if peer.starts() > 1 {
                        break;
                    }
                    let answer = client.call("b__t", None);
                    assert!(answer.response.contains("error"), "{}", answer.response);
                }
            });
        }
    });
    mux.logged("3 times in a row");
}

#[test]
fn calls_that_have_no_answer_though_pings_do_fail_at_once_until_a_trial_succeeds() {
    let never = || [Step::Await("never".to_owned())];
    let script = legacy(&["bad", "good"]).tool("bad", never());
    let peer = Peer::new(script);
    let mux = Setup::default()
        .backend("b", &peer, &format!("{HEALTH}\ntimeout: 300ms"))
        .serve();
    Client::wait_for(&mux, "b__bad");
    let client = Client::legacy(&mux);
    for _ in 0..5 {
        let (_, message) = client.call("b__bad", None).error();
        assert!(message.contains("no response within"), "{message}");
    }
    let open = mux.logged("its calls fail at once: 5 calls in a row had no answer");
    assert!(open.contains("next attempt in"), "{open}");
    // One at a time, after a pause, is sent; none of the others is.
    let mut refused = 0;
    eventually("a trial fails as well", || {
        let (_, message) = client.call("b__bad", None).error();
        refused += usize::from(message.contains("is unavailable: 5 calls"));
        (peer.messages("tools/call").len() == 6).then_some(())
    });
    assert!(refused > 0, "{}", mux.log());
    mux.logged("6 calls in a row had no answer");
    // It is one bad tool: another one goes through, and what it answers counts.
    let answer = client.call("b__good", None).result();
    assert!(answer.contains("done"), "{answer}");
    mux.logged("it answers calls again");
    let (_, message) = client.call("b__bad", None).error();
    assert!(message.contains("no response within"), "{message}");
    assert_eq!(peer.starts(), 1, "{}", mux.log());
}

#[test]
fn a_ping_is_no_use() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = serve(&peer, "idle_stop: 2s");
    Client::wait_for(&mux, "b__t");
    peer.message("ping", 2);
    mux.logged("nobody uses it, it is ended");
}

#[test]
fn one_that_is_not_to_be_asked_is_not() {
    let peer = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend(
            "b",
            &peer,
            "health: { enabled: false, interval: 1ms }\nidle_stop: 1s",
        )
        .serve();
    Client::wait_for(&mux, "b__t");
    mux.logged("nobody uses it, it is ended");
    assert_eq!(peer.messages("ping").len(), 0);
}
