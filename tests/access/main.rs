//! Who may come in: users of this machine, other machines, keys, certificates
//! and tokens; through the real listener, as each of them would.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]
// What a test changes of a token stands in one line.
#![allow(clippy::semicolon_if_nothing_returned, clippy::format_push_string)]

mod addresses;
mod keys;
mod mutual;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tokens;
mod users;

use std::{net::SocketAddr, thread};

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use support::{Connection, Mux, Peer, Setup, initialize, legacy};

/// A user who is neither root nor runs the tests.
const OTHER: u32 = 65_534;

const HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
];

fn house(setup: impl FnOnce(Setup) -> Setup) -> (Peer, Mux) {
    let peer = Peer::new(legacy(&["t"]));
    let mux = setup(Setup::one("b", &peer)).serve();
    (peer, mux)
}

/// Sends one request on a connection of its own: status, headers and body.
#[track_caller]
fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Vec<(String, String)>, String) {
    let mut connection = Connection::open(address);
    // Who is refused may be told before all was sent.
    let _ = connection.request(method, path, headers, body);
    let reply = connection.reply();
    (reply.status, reply.headers.clone(), reply.text())
}

/// The status of an `initialize` with these further headers.
#[track_caller]
fn begin(address: SocketAddr, headers: &[(&str, &str)]) -> u16 {
    let headers = [&HEADERS[..], headers].concat();
    ask(address, "POST", "/mcp", &headers, &initialize("2025-11-25")).0
}

/// What `act` gives when [`OTHER`] does it; `None`, with a word on why, where the
/// tests may not become somebody else.
fn as_other<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    if !geteuid().is_root() {
        eprintln!("NOT RUN: to be another user takes root");
        return None;
    }
    // The kernel has the user of a thread; the others stay what they are.
    let done = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let (uid, gid) = (Uid::from_raw(OTHER), Gid::from_raw(OTHER));
            set_thread_groups(&[]).expect("root may leave its groups");
            set_thread_res_gid(gid, gid, gid).expect("root may be anybody");
            set_thread_res_uid(uid, uid, uid).expect("root may be anybody");
            act()
        });
        other.join()
    });
    Some(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
