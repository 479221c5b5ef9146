//! Each combination of a client's and a backend's era, over each transport.

use super::{X, Y, new, old, old_http, relayed, tagged, told, updated, watch};
use crate::support::{Client, Era, Peer, Setup, at, eventually, member};

const OLD: Era = Era::Legacy("2025-11-25");

#[track_caller]
fn cell(client_era: Era, peer: &Peer, backend_era: Era) {
    let mux = Setup::one("b", peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::new(&mux, client_era);
    let mut stream = watch(&client, client_era, &[X]);
    let update = |uri| match backend_era {
        Era::Modern => tagged(uri),
        Era::Legacy(_) => updated(uri),
    };
    if backend_era == Era::Modern {
        // The stream that was open before asked for no resource.
        let wanted = eventually("a listen that names the resource", || {
            let listens = peer.messages("subscriptions/listen");
            listens.into_iter().find(|listen| {
                let filter = at(listen, &["params", "notifications"]);
                member(&filter, "resourceSubscriptions").is_some()
            })
        });
        assert_eq!(
            at(
                &wanted,
                &["params", "notifications", "resourceSubscriptions"]
            ),
            format!(r#"["{X}"]"#)
        );
        relayed(peer);
    } else {
        let asked = peer.message("resources/subscribe", 1);
        assert_eq!(at(&asked, &["params"]), format!(r#"{{"uri":"{X}"}}"#));
        if peer.listens() {
            peer.relaying("GET");
        }
    }
    // Nobody is subscribed to the one, so the other is what is told.
    peer.emit(&update(Y));
    peer.emit(&update(X));
    let event = stream.event().expect("an update");
    let params = at(&event, &["params"]);
    match client_era {
        Era::Modern => {
            assert_eq!(
                at(&params, &["_meta"]),
                r#"{"io.modelcontextprotocol/subscriptionId":"sub"}"#
            );
            assert_eq!(at(&params, &["uri"]), format!("{X:?}"));
            assert_eq!(at(&params, &["n"]), "1.0");
        }
        Era::Legacy(_) => {
            let spaced = params.trim_start_matches('{').trim_start();
            assert_eq!(spaced, format!(r#""uri":"{X}", "n":1.0 }}"#));
        }
    }
    peer.emit(&update(X));
    assert_eq!(told(&mut stream), X);
}

#[test]
fn a_legacy_client_is_told_by_a_legacy_process() {
    cell(OLD, &Peer::new(old()), OLD);
}

#[test]
fn a_legacy_client_is_told_by_a_legacy_server() {
    cell(OLD, &Peer::http(old_http()), OLD);
}

#[test]
fn a_legacy_client_is_told_by_a_modern_process() {
    cell(OLD, &Peer::new(new()), Era::Modern);
}

#[test]
fn a_legacy_client_is_told_by_a_modern_server() {
    cell(OLD, &Peer::http(new()), Era::Modern);
}

#[test]
fn a_modern_client_is_told_by_a_legacy_process() {
    cell(Era::Modern, &Peer::new(old()), OLD);
}

#[test]
fn a_modern_client_is_told_by_a_legacy_server() {
    cell(Era::Modern, &Peer::http(old_http()), OLD);
}

#[test]
fn a_modern_client_is_told_by_a_modern_process() {
    cell(Era::Modern, &Peer::new(new()), Era::Modern);
}

#[test]
fn a_modern_client_is_told_by_a_modern_server() {
    cell(Era::Modern, &Peer::http(new()), Era::Modern);
}
