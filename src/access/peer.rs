//! The other end of a connection, as far as the connection itself tells.

use std::net::IpAddr;

use super::Principal;
use crate::config::Door;

/// The other end of a connection; found once, when it is accepted.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address of this end; `None` for a unix socket.
    pub local: Option<IpAddr>,
    /// Where it came in.
    pub(super) door: Door,
    /// Where it is or whose, for the log.
    pub from: String,
    /// Who it is, if the connection tells; else a request must.
    pub(super) principal: Option<Principal>,
}

impl Peer {
    /// One that is known by its connection.
    pub(super) fn known(local: Option<IpAddr>, door: Door, principal: Principal) -> Self {
        Self {
            local,
            door,
            from: principal.name().to_owned(),
            principal: Some(principal),
        }
    }

    /// One that is not, and is at `from`.
    pub(super) fn stranger(local: Option<IpAddr>, door: Door, from: String) -> Self {
        Self {
            local,
            door,
            from,
            principal: None,
        }
    }

    /// Whether it may come in without a credential, as far as its connection goes.
    pub fn is_known(&self) -> bool {
        self.principal.is_some()
    }

    /// Its name, for the audit.
    pub(crate) fn name(&self) -> &str {
        self.principal.as_ref().map_or("unknown", Principal::name)
    }
}
