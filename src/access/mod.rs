//! Who may come in, and as whom: once for a connection by what the kernel says
//! of its other end, once for a request by what it carries.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::{
    audit::Audit,
    config::{Config, Door, Environment, KeysSetting, ListenTransport},
};

mod certificate;
mod denial;
mod fresh;
pub mod keys;
mod log;
mod owner;
mod peer;
mod policy;
mod principal;
mod shown;
mod tls;
mod token;
mod users;

pub use denial::{Denied, Refused};
use keys::Keys;
use log::Log;
pub use peer::Peer;
pub use policy::{Known, NO_ROLE, Policy};
pub use principal::{DEFAULT_ROLE, Identity, Principal, role_in};
use shown::Shown;
use tls::Tls;
pub use token::Claims;
use token::Tokens;
pub use users::UnknownUser;
use users::Users;

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    policy: Policy,
    users: Users,
    /// The API keys, if they are looked at.
    keys: Option<Keys>,
    /// The access tokens that are taken, if any are.
    tokens: Option<Tokens>,
    /// How TCP sockets speak TLS, if they do.
    tls: Option<Tls>,
    /// Whether over TCP nobody comes in without a credential.
    required: bool,
    insecure: bool,
    log: Log,
}

/// Why `access` cannot be as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A user that there is not.
    #[error(transparent)]
    User(#[from] UnknownUser),
    /// The keys have no place.
    #[error("access.keys: require: {0}")]
    Keys(keys::KeyError),
    /// TLS or tokens; with the key.
    #[error("{0}")]
    Setting(String),
    /// Other machines reach mcpmux, and nobody is asked who they are.
    #[error(
        "{0} is reachable from other machines, and nobody would be asked who they are: bind \
         127.0.0.1 (listen.address, or ListenStream= of mcpmux.socket), set access.keys: require, \
         access.oauth or listen.tls.client_ca, or set access.insecure: true if something in front of mcpmux lets in only who may"
    )]
    Open(SocketAddr),
}

/// Who sends a request, as far as it was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recognised {
    identity: Identity,
    /// The role that its credential names.
    role: Option<String>,
    /// What its access token says.
    claims: Option<Arc<Claims>>,
}

impl Access {
    /// As `config` has it, for an mcpmux that listens on the TCP addresses
    /// `addresses`; `audit` records who is refused. Blocks.
    pub fn open(
        config: &Config,
        addresses: &[SocketAddr],
        audit: Arc<Audit>,
    ) -> Result<Self, AccessError> {
        let settings = &config.access;
        let listen = &config.listen;
        let http = listen.transport == ListenTransport::Http;
        let required = settings.keys == KeysSetting::Require || settings.oauth.is_some();
        let tls = listen.tls.as_ref().filter(|_| http);
        let mutual = tls.is_some_and(|tls| tls.client_ca.is_some());
        let reachable = addresses.iter().find(|address| !is_loopback(**address));
        if let Some(address) =
            reachable.filter(|_| http && !required && !mutual && !settings.insecure)
        {
            return Err(AccessError::Open(*address));
        }
        if let Some(address) = reachable.filter(|_| http && tls.is_none()) {
            tracing::warn!(
                "{address} is reachable from other machines without TLS: whoever listens in on the \
                 way reads credentials and answers (listen.tls)"
            );
        }
        let place = keys::place(settings.keys_file.as_deref(), &Environment::process());
        let keys = match place {
            _ if settings.keys == KeysSetting::Off || !http => None,
            Ok(place) => Some(Keys::open(place)),
            Err(error) if settings.keys == KeysSetting::Require => {
                return Err(AccessError::Keys(error));
            }
            Err(_) => None,
        };
        let tokens = settings.oauth.as_ref().filter(|_| http).map(|oauth| {
            let address = addresses.first().copied();
            Tokens::open(oauth, address, &listen.path, tls.is_some())
        });
        Ok(Self {
            policy: Policy::new(&config.policy),
            users: Users::new(&settings.local_users)?,
            keys,
            tokens: tokens.transpose().map_err(AccessError::Setting)?,
            tls: tls
                .map(Tls::open)
                .transpose()
                .map_err(AccessError::Setting)?,
            required,
            insecure: settings.insecure,
            log: Log::new(audit),
        })
    }

    /// Where is recorded who called what, and who was refused.
    pub fn audit(&self) -> &Arc<Audit> {
        self.log.audit()
    }

    /// Who launched this mcpmux.
    pub fn parent(&self) -> Principal {
        let parent = Recognised {
            identity: Identity::Parent,
            role: None,
            claims: None,
        };
        self.principal(&parent, &Door::Stdio)
    }

    /// Who is at the other end of a TCP connection that was just accepted.
    pub async fn tcp(&self, stream: &TcpStream) -> Result<Peer, Refused> {
        let (Ok(server), Ok(client)) = (stream.local_addr(), stream.peer_addr()) else {
            return Err(Refused);
        };
        let door = Door::Tcp(server);
        let here = is_loopback(client) || client.ip() == server.ip();
        let why = if here {
            match owner::owner(client, server) {
                // A connection that was broken off in between may have been
                // another's than the one that the kernel was asked about.
                Ok(_) if stream.peer_addr().is_err() => return Err(Refused),
                Ok(uid) if self.users.hold(uid) => {
                    return Ok(self.known(Some(server.ip()), door, Identity::User(uid)));
                }
                Ok(uid) => of_stranger(uid),
                Err(_) if self.users.are_all() => {
                    return Ok(self.known(Some(server.ip()), door, Identity::Anyone));
                }
                Err(untold) => untold.to_string(),
            }
        } else if self.insecure {
            return Ok(self.known(Some(server.ip()), door, Identity::Anyone));
        } else {
            "it comes from another machine, and there is no credential that it could show (access.keys, \
             access.oauth, listen.tls.client_ca)".to_owned()
        };
        let peer = Peer::stranger(Some(server.ip()), door, client.to_string());
        self.stranger(peer, &why).await
    }

    /// Who is at the other end of a unix socket's connection (`SO_PEERCRED`).
    pub async fn unix(&self, stream: &UnixStream) -> Result<Peer, Refused> {
        let address = stream.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        let door = Door::Unix(path.map(Path::to_owned).unwrap_or_default());
        let why = match stream.peer_cred() {
            Ok(cred) if self.users.hold(cred.uid()) => {
                return Ok(self.known(None, door, Identity::User(cred.uid())));
            }
            Ok(cred) => of_stranger(cred.uid()),
            Err(error) => format!("the kernel does not say whose it is ({error})"),
        };
        let peer = Peer::stranger(None, door, "a unix socket".to_owned());
        self.stranger(peer, &why).await
    }

    /// A connection of nobody that is known is kept only where a credential may
    /// still say who it is.
    async fn stranger(&self, peer: Peer, why: &str) -> Result<Peer, Refused> {
        let certificate = peer.local.is_some() && self.tls.as_ref().is_some_and(Tls::is_mutual);
        if certificate || self.tokens.is_some() || self.keys_in_use().await {
            tracing::debug!("{} must show a credential: {why}", peer.from);
            return Ok(peer);
        }
        self.log.refused("a connection", &peer.from, why);
        Err(Refused)
    }

    /// Whether TCP sockets speak TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Shakes hands with `peer` over TLS, which there must be; `None` if that
    /// fails. A certificate says more of who it is than its connection did.
    pub async fn secure(
        &self,
        stream: TcpStream,
        peer: Peer,
    ) -> Option<(TlsStream<TcpStream>, Peer)> {
        let (stream, certificate) = self.tls.as_ref()?.accept(stream).await?;
        let peer = match certificate {
            Some(identity) => self.known(peer.local, peer.door, identity),
            None => peer,
        };
        Some((stream, peer))
    }

    /// What mcpmux says of itself as a protected resource, if it is one and that
    /// is asked for at `path` (RFC 9728, section 3) with `headers`. It is for everybody.
    pub fn metadata(&self, path: &str, headers: &HeaderMap) -> Option<Bytes> {
        self.tokens.as_ref()?.metadata(path, host(headers))
    }

    /// Who sends a request with `headers` on the connection of `peer`.
    pub async fn recognise(&self, peer: &Peer, headers: &HeaderMap) -> Result<Principal, Denied> {
        let shown = Shown::in_headers(headers);
        let host = host(headers);
        let found = match shown {
            Shown::Unclear => Some(Err(Denied::wrong())),
            Shown::Nothing => None,
            Shown::Bearer(text) if !keys::is_claimed(text) && self.tokens.is_some() => {
                Box::pin(self.token(text, host)).await
            }
            Shown::Bearer(text) | Shown::Key(text) => self.key(text).await,
        };
        let known = match found {
            Some(found) => found.map(|recognised| self.principal(&recognised, &peer.door)),
            None if self.required && peer.local.is_some() => Err(self.unknown(host)),
            None => peer.principal.clone().ok_or_else(|| self.unknown(host)),
        };
        if let Err(denied) = &known {
            let what = match shown {
                Shown::Nothing => "it shows no credential",
                _ => "its credential is wrong, revoked or expired",
            };
            let status = denied.status.as_u16();
            let why = format!("{what} ({status})");
            self.log.refused("a request", &peer.from, &why);
        }
        known
    }

    /// Whose the key `text` is. `None` where no key was ever made and this does
    /// not look like one: what a client sends that it was not asked for is nothing.
    async fn key(&self, text: &str) -> Option<Result<Recognised, Denied>> {
        let book = self.keys.as_ref()?.now().await;
        if !book.is_in_use() && !self.required && !keys::is_claimed(text) {
            return None;
        }
        let key = book.find(text, SystemTime::now());
        let recognised = key.map(|key| Recognised {
            identity: Identity::Key(key.name.clone()),
            role: key.role.clone(),
            claims: None,
        });
        Some(recognised.ok_or_else(Denied::wrong))
    }

    /// Whose the access token `text` is that was shown to `host`.
    async fn token(&self, text: &str, host: Option<&str>) -> Option<Result<Recognised, Denied>> {
        let judged = self.tokens.as_ref()?.judge(text, host).await;
        Some(judged.map(|(identity, claims)| Recognised {
            identity,
            role: None,
            claims: Some(claims),
        }))
    }

    fn unknown(&self, host: Option<&str>) -> Denied {
        let tokens = self.tokens.as_ref();
        tokens.map_or_else(Denied::unknown, |tokens| tokens.unknown(host))
    }

    async fn keys_in_use(&self) -> bool {
        match &self.keys {
            Some(keys) => keys.now().await.is_in_use(),
            None => false,
        }
    }

    fn principal(&self, recognised: &Recognised, door: &Door) -> Principal {
        let role = self.policy.role_of(&Known {
            identity: &recognised.identity,
            carried: recognised.role.as_deref(),
            claims: recognised.claims.as_deref(),
            door,
        });
        Principal::new(recognised.identity.clone(), role)
    }

    /// Who is known by its connection, which came in at `door`.
    fn known(&self, local: Option<IpAddr>, door: Door, identity: Identity) -> Peer {
        let role = None;
        let principal = self.principal(
            &Recognised {
                identity,
                role,
                claims: None,
            },
            &door,
        );
        Peer::known(local, door, principal)
    }
}

/// What the request is addressed to.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn of_stranger(uid: u32) -> String {
    if users::has_no_number(uid) {
        return "it is of a user, root perhaps, who has no number in mcpmux's user namespace \
                (PrivateUsers=), and then needs a key (`mcpmux keys add`)"
            .to_owned();
    }
    format!("it is user {uid}'s; if that one should come in, add it to access.local_users")
}
