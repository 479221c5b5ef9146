//! What a backend that is reached over HTTP can do wrong, and what becomes of
//! it: a proper error of that backend, never a call made twice, never a
//! credential gone astray.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod answers;
mod changes;
mod connections;
mod redirects;
mod resumption;
mod sessions;
mod sse;
#[path = "../support/mod.rs"]
mod support;

use support::{Client, Mux, Peer, Setup, Step};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

fn respond(status: u16, kind: &str, body: &str) -> Vec<Step> {
    let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
    vec![Step::Respond {
        status,
        headers,
        body: body.to_owned(),
    }]
}

fn calls(peer: &Peer) -> usize {
    peer.messages("tools/call").len()
}

/// A mux with one backend `web`, and a client of it that sees its tools.
fn house(peer: &Peer) -> (Mux, Client) {
    let mux = Setup::one("web", peer).serve();
    Client::wait_for(&mux, "web__t");
    let client = Client::legacy(&mux);
    (mux, client)
}
