//! The other end of a connection, as far as the connection itself tells.

use std::net::IpAddr;

use super::Principal;

/// The other end of a connection; found once, when it is accepted.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address of this end; `None` for a unix socket.
    pub local: Option<IpAddr>,
    /// Who it is, unless a request says more.
    pub principal: Principal,
}
