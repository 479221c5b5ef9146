//! Backends that come back know of their subscribers again.

use super::{X, Y, member_uri, new, old, old_http, relayed, tagged, told, updated, watch};
use crate::support::{Client, Era, Peer, Setup, Step, at};

const OLD: Era = Era::Legacy("2025-11-25");

#[test]
fn a_process_that_starts_again_is_subscribed_to_again() {
    let peer = Peer::new(old());
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = watch(&client, OLD, &[X]);
    client
        .request("resources/subscribe", &member_uri(Y))
        .result();
    client
        .request("resources/unsubscribe", &member_uri(Y))
        .result();
    peer.message("resources/unsubscribe", 1);
    peer.exit(1);
    let again = peer.message("resources/subscribe", 3);
    assert_eq!(at(&again, &["params", "uri"]), format!("{X:?}"));
    // What changed while it was away was not said, so it may have.
    assert_eq!(told(&mut stream), X);
    peer.emit(&updated(X));
    assert_eq!(told(&mut stream), X);
}

#[test]
fn a_modern_process_that_starts_again_is_listened_to_again() {
    let peer = Peer::new(new());
    let mux = Setup::one("b", &peer).serve();
    let client = Client::modern(&mux);
    client.tool("b__t");
    let mut stream = watch(&client, Era::Modern, &[X]);
    peer.exit(1);
    assert_eq!(told(&mut stream), X);
    relayed(&peer);
    peer.emit(&tagged(X));
    assert_eq!(told(&mut stream), X);
    assert_eq!(peer.starts(), 2);
}

#[test]
fn a_session_that_is_renewed_is_subscribed_to_again() {
    let lost = Step::Respond {
        status: 404,
        headers: Vec::new(),
        body: String::new(),
    };
    let done = result_of_call();
    let script = old_http().turns("tools/call t", [vec![lost], vec![done]]);
    let peer = Peer::http(script);
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = watch(&client, OLD, &[X]);
    client.call("b__t", None).result();
    peer.message("resources/subscribe", 2);
    let requests = peer.requests();
    let sessions: Vec<_> = requests
        .iter()
        .filter(|request| request.body.contains("resources/subscribe"))
        .map(|request| request.header("mcp-session-id"))
        .collect();
    assert_eq!(sessions, [Some("s1"), Some("s2")]);
    assert_eq!(told(&mut stream), X);
}

fn result_of_call() -> Step {
    crate::support::result(r#"{"content":[]}"#)
}

#[test]
fn who_subscribes_while_a_backend_is_away_is_told_so() {
    let peer = Peer::new(old().start([Step::Exit(1)]));
    let mux = Setup::one("b", &peer).serve();
    mux.logged("down for");
    let client = Client::legacy(&mux);
    let answer = client.request("resources/subscribe", &member_uri(&format!("b+{X}")));
    assert_eq!(answer.error().0, -32000);
    // A stream outlives that: it is told once the backend is there.
    let modern = Client::modern(&mux);
    let mut stream = watch(&modern, Era::Modern, &[&format!("b+{X}")]);
    peer.rewrite(old());
    mux.signal(rustix::process::Signal::USR1);
    peer.message("resources/subscribe", 1);
    peer.emit(&updated(X));
    assert_eq!(told(&mut stream), format!("b+{X}"));
}
