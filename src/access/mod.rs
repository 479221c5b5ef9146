//! Who may come in, and as whom: once for a connection by what the kernel says
//! of its other end, once for a request by what it carries.

use std::net::SocketAddr;

use http::HeaderMap;
use tokio::net::{TcpStream, UnixStream};

use crate::config::{Config, ListenTransport};

mod denial;
mod log;
mod owner;
mod peer;
mod principal;
mod users;

pub use denial::{Denied, Refused};
use log::Log;
pub use peer::Peer;
pub use principal::{DEFAULT_ROLE, Identity, Principal};
pub use users::UnknownUser;
use users::Users;

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    users: Users,
    insecure: bool,
    log: Log,
}

/// Why `access` cannot be as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A user that there is not.
    #[error(transparent)]
    User(#[from] UnknownUser),
    /// Other machines reach mcpmux, and nobody is asked who they are.
    #[error(
        "{0} is reachable from other machines, and nobody would be asked who they are: bind \
         127.0.0.1 (listen.address, or ListenStream= of mcpmux.socket), or set access.insecure: true \
         if something in front of mcpmux lets in only who may"
    )]
    Open(SocketAddr),
}

impl Access {
    /// As `config` has it, for an mcpmux that listens on the TCP addresses
    /// `addresses`. Blocks.
    pub fn open(config: &Config, addresses: &[SocketAddr]) -> Result<Self, AccessError> {
        let settings = &config.access;
        let http = config.listen.transport == ListenTransport::Http;
        let reachable = addresses.iter().find(|address| !is_loopback(**address));
        if let Some(address) = reachable.filter(|_| http && !settings.insecure) {
            return Err(AccessError::Open(*address));
        }
        Ok(Self {
            users: Users::new(&settings.local_users)?,
            insecure: settings.insecure,
            log: Log::default(),
        })
    }

    /// Who is at the other end of a TCP connection that was just accepted.
    pub fn tcp(&self, stream: &TcpStream) -> Result<Peer, Refused> {
        let (Ok(server), Ok(client)) = (stream.local_addr(), stream.peer_addr()) else {
            return Err(Refused);
        };
        let here = is_loopback(client) || client.ip() == server.ip();
        let why = if here {
            match owner::owner(client, server) {
                // A connection that was broken off in between may have been
                // another's than the one that the kernel was asked about.
                Ok(_) if stream.peer_addr().is_err() => return Err(Refused),
                Ok(uid) if self.users.hold(uid) => {
                    return Ok(Peer::known(Some(server.ip()), Identity::User(uid)));
                }
                Ok(uid) => of_stranger(uid),
                Err(_) if self.users.are_all() => {
                    return Ok(Peer::known(Some(server.ip()), Identity::Anyone));
                }
                Err(untold) => untold.to_string(),
            }
        } else if self.insecure {
            return Ok(Peer::known(Some(server.ip()), Identity::Anyone));
        } else {
            "it comes from another machine".to_owned()
        };
        self.log.refused(&client, &why);
        Err(Refused)
    }

    /// Who is at the other end of a unix socket's connection (`SO_PEERCRED`).
    pub fn unix(&self, stream: &UnixStream) -> Result<Peer, Refused> {
        let why = match stream.peer_cred() {
            Ok(cred) if self.users.hold(cred.uid()) => {
                return Ok(Peer::known(None, Identity::User(cred.uid())));
            }
            Ok(cred) => of_stranger(cred.uid()),
            Err(error) => format!("the kernel does not say whose it is ({error})"),
        };
        self.log.refused(&"a unix socket", &why);
        Err(Refused)
    }

    /// Who sends a request with `headers` on the connection of `peer`.
    #[allow(clippy::unused_async)]
    pub async fn recognise(&self, peer: &Peer, _headers: &HeaderMap) -> Result<Principal, Denied> {
        peer.principal.clone().ok_or_else(Denied::stranger)
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn of_stranger(uid: u32) -> String {
    format!("it is user {uid}'s; if that one should come in, add it to access.local_users")
}
