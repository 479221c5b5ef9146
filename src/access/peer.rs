//! The other end of a connection, as far as the connection itself tells.

use std::net::IpAddr;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{Identity, Principal, certificate::Certificate, keyed::Keyed};
use crate::config::Door;

/// The other end of a connection; found once, when it is accepted.
#[derive(Debug)]
pub struct Peer {
    /// The address of this end; `None` for a unix socket.
    pub local: Option<IpAddr>,
    /// Where it came in.
    pub(super) door: Door,
    /// Where it is or whose, for the log.
    pub from: String,
    pub(super) found: Found,
    /// Who that is, by the terms of this number.
    pub(super) known: ArcSwap<(u64, Option<Principal>)>,
    /// The key that was shown over it last.
    pub(super) keyed: ArcSwapOption<Keyed>,
}

/// What was found of it.
#[derive(Debug)]
pub(super) enum Found {
    /// It is this user's, by the kernel's word.
    User(u32),
    /// It is of this machine, and the kernel does not say whose.
    Untold,
    /// It is of another machine.
    Remote,
    /// It has shown this certificate.
    Certificate(Box<Certificate>),
}

impl Peer {
    /// One that came in at `door`, and is at `from` if nobody knows whose it is.
    pub(super) fn new(local: Option<IpAddr>, door: Door, found: Found, from: String) -> Self {
        let from = match &found {
            Found::User(uid) => Identity::User(*uid).to_string(),
            Found::Certificate(shown) => shown.identity.to_string(),
            Found::Untold | Found::Remote => from,
        };
        Self {
            local,
            door,
            from,
            found,
            known: ArcSwap::from_pointee((0, None)),
            keyed: ArcSwapOption::empty(),
        }
    }

    /// Whether it has shown a certificate, which may be good no longer.
    pub(super) fn is_certified(&self) -> bool {
        matches!(self.found, Found::Certificate(_))
    }
}
