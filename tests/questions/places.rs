//! Questions and `limits.concurrency`: a call that asks needs no second place, and
//! who waits for a person holds one only where the server is at work on it.

use super::{
    ANSWER, able, able_legacy, asking, asking_in_rounds, call,
    support::{Client, Era, Mux, Peer, Script, Setup, at, text},
};

fn serve(peer: &Peer) -> Mux {
    let one = "limits: { concurrency: 1 }";
    Setup::default().backend("b", peer, one).serve()
}

#[test]
fn a_question_needs_no_place() {
    for peer in [
        Peer::new(asking()),
        Peer::http(asking().streamed("tools/call ask")),
    ] {
        let mux = serve(&peer);
        let client = able_legacy(&mux);
        let answer = client.converse(&call(&client, "b__ask", ""), |_| ANSWER.to_owned());
        assert_eq!(answer.before.len(), 1);
        answer.result();
    }
}

#[test]
fn a_round_gives_its_place_back_while_a_person_is_asked() {
    let script: Script = asking_in_rounds();
    let peer = Peer::new(script);
    let mux = serve(&peer);
    let (client, other) = (able_legacy(&mux), able(&mux, Era::Modern));
    let answer = client.converse(&call(&client, "b__ask", ""), |_| {
        // Nothing is in flight at the server now.
        other.send(&call(&other, "b__ask", "")).result();
        ANSWER.to_owned()
    });
    answer.result();
}

#[test]
fn a_call_that_is_parked_keeps_its_place_until_its_client_comes_back() {
    let peer = Peer::new(asking());
    let mux = serve(&peer);
    let client = able(&mux, Era::Modern);
    let first = client.send(&call(&client, "b__ask", "")).result();
    let state = at(&first, &["requestState"]);
    let other = Client::modern(&mux);
    let waits = other.post(&call(&other, "b__wait", ""));
    mux.logged("call waits");
    let members = format!(r#""inputResponses":{{"0-0":{ANSWER}}},"requestState":{state}"#);
    client.send(&call(&client, "b__ask", &members)).result();
    super::support::Answer::read(waits.reply()).result();
    let called = peer.messages("tools/call");
    let names: Vec<_> = called
        .iter()
        .map(|call| text(&at(call, &["params", "name"])))
        .collect();
    assert_eq!(names, ["ask", "wait"]);
}
