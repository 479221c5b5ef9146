//! Who may come in, and as whom: once for a connection by what the kernel says
//! of its other end, once for a request by what it carries.

use std::net::IpAddr;

use http::HeaderMap;

mod peer;
mod principal;

pub use peer::Peer;
pub use principal::{DEFAULT_ROLE, Identity, Principal};

/// Who may come in.
#[derive(Debug, Default)]
pub struct Access {}

impl Access {
    /// Who is at the other end of a TCP connection that came in on `local`.
    pub fn tcp(&self, local: IpAddr) -> Peer {
        Peer {
            local: Some(local),
            principal: Principal::default(),
        }
    }

    /// Who is at the other end of a unix socket: the user `uid`.
    pub fn unix(&self, uid: u32) -> Peer {
        Peer {
            local: None,
            principal: Principal::new(Identity::User(uid), DEFAULT_ROLE),
        }
    }

    /// Who sends a request with `headers` on the connection of `peer`.
    pub fn recognise(&self, peer: &Peer, _headers: &HeaderMap) -> Principal {
        peer.principal.clone()
    }
}
