//! `limits.concurrency`: what is beyond it waits in order, and not for ever.

use std::thread;

use super::{
    DONE,
    support::{
        Answer, Client, Era, Mux, Peer, Script, Setup, Step, at, eventually, legacy, member,
        modern, progress, result, text,
    },
};

const ONE: &str = "limits: { concurrency: 1 }";

/// Tools of these names that wait for gates of their names.
fn gated(script: Script, tools: &[&str]) -> Script {
    tools.iter().fold(script, |script, tool| {
        script.tool(tool, [Step::Await((*tool).to_owned()), result(DONE)])
    })
}

/// The n-th call that has reached the peer, by its tool.
fn reached(peer: &Peer, n: usize) -> String {
    text(&at(&peer.message("tools/call", n), &["params", "name"]))
}

/// Waits until so many calls have begun to wait.
fn queued(mux: &Mux, n: usize) {
    mux.find(&format!("say that {n} calls wait"), |lines| {
        let waits = lines.iter().filter(|line| line.contains("call waits"));
        (waits.count() == n).then_some(())
    });
}

fn in_order(peer: &Peer, mux: &Mux, client: &Client) {
    thread::scope(|scope| {
        let mut answers = Vec::new();
        for (n, tool) in ["b__a", "b__b", "b__c"].into_iter().enumerate() {
            answers.push(scope.spawn(move || client.call(tool, None).result()));
            match n {
                0 => assert_eq!(reached(peer, 1), "a"),
                n => queued(mux, n),
            }
        }
        for (n, tool) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(reached(peer, n + 1), tool);
            assert_eq!(peer.messages("tools/call").len(), n + 1);
            peer.open(tool);
        }
        for answer in answers {
            assert_eq!(answer.join().expect("an answer"), DONE);
        }
    });
}

#[test]
fn calls_beyond_it_wait_and_are_made_in_the_order_in_which_they_came() {
    let tools = ["a", "b", "c"];
    let all = [
        Peer::new(gated(legacy(&tools), &tools)),
        Peer::new(gated(modern(&tools), &tools)),
        Peer::http(gated(legacy(&tools), &tools)),
        Peer::http(gated(modern(&tools), &tools)),
    ];
    for peer in all {
        let mux = Setup::default().backend("b", &peer, ONE).serve();
        in_order(&peer, &mux, &Client::legacy(&mux));
    }
}

#[test]
fn waiting_counts_against_the_deadline() {
    let busy = vec![vec![progress(r#""progress":1"#), Step::Wait(300)]; 20].concat();
    let peer = Peer::new(legacy(&["t", "busy"]).tool("busy", busy));
    let mux = Setup::default()
        .backend("b", &peer, &format!("{ONE}\ntimeout: 1s\nmax_timeout: 1m"))
        .serve();
    let client = Client::modern(&mux);
    let call = client.spell("1", "tools/call", Some("1"), r#""name":"b__busy""#);
    let busy = client.post(&call);
    reached(&peer, 1);
    let (_, message) = client.call("b__t", None).error();
    assert!(
        message.contains("concurrency is 1") && message.contains("within 1 s"),
        "{message}"
    );
    drop(busy);
    client.call("b__t", None).result();
}

#[test]
fn who_goes_leaves_the_queue() {
    let tools = ["a", "b", "c"];
    let peer = Peer::new(gated(modern(&tools), &tools));
    let mux = Setup::default().backend("b", &peer, ONE).serve();
    let client = Client::modern(&mux);
    let call = |tool: &str| {
        let name = format!(r#""name":"b__{tool}""#);
        client.post(&client.spell(&client.id(), "tools/call", None, &name))
    };
    let first = call("a");
    reached(&peer, 1);
    let gone = call("b");
    queued(&mux, 1);
    let last = call("c");
    queued(&mux, 2);
    drop(gone);
    peer.open("c");
    peer.open("a");
    assert_eq!(
        member(&Answer::read(first.reply()).result(), "isError"),
        None
    );
    Answer::read(last.reply()).result();
    let called: Vec<_> = peer.messages("tools/call");
    assert_eq!(called.len(), 2, "{called:?}");
    assert_eq!(reached(&peer, 2), "c");
}

#[test]
fn a_queue_that_is_full_refuses_at_once_and_a_server_that_dies_loses_only_what_it_had() {
    let script = legacy(&["t"]).turns(
        "tools/call t",
        [
            vec![Step::Await("die".to_owned()), Step::Exit(1)],
            vec![result(DONE)],
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::default().backend("b", &peer, ONE).serve();
    let client = Client::new(&mux, Era::Legacy("2025-03-26"));
    let call = || client.spell(&client.id(), "tools/call", None, r#""name":"b__t""#);
    let lost = client.post(&call());
    reached(&peer, 1);
    let waiting: Vec<_> = (0..256).map(|_| client.post(&call())).collect();
    queued(&mux, 256);
    let (_, message) = client.call("b__t", None).error();
    assert!(message.contains("too many calls wait"), "{message}");
    // The next process has a script of its own.
    peer.rewrite(legacy(&["t"]));
    peer.open("die");
    let (_, message) = Answer::read(lost.reply()).error();
    assert!(message.contains("ended"), "{message}");
    for answer in waiting {
        let answer = Answer::read(answer.reply());
        assert!(answer.response.contains("done"), "{}", answer.response);
    }
    eventually("the server is up again", || {
        client
            .call("b__t", None)
            .response
            .contains("done")
            .then_some(())
    });
}

#[test]
fn each_client_s_own_server_has_places_of_its_own() {
    let peer = Peer::new(gated(legacy(&["a"]), &["a"]));
    let mux = Setup::default()
        .backend("b", &peer, &format!("{ONE}\nsession: client"))
        .serve();
    Client::wait_for(&mux, "b__a");
    let (first, second) = (Client::legacy(&mux), Client::legacy(&mux));
    thread::scope(|scope| {
        let calls = [&first, &second].map(|one| scope.spawn(|| one.call("b__a", None).result()));
        // Both are under way at once.
        reached(&peer, 2);
        peer.open("a");
        for call in calls {
            assert_eq!(call.join().expect("an answer"), DONE);
        }
    });
}
