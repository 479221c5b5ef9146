//! Who may come in, and as whom: once for a connection by what the kernel says
//! of its other end, once for a request by what it carries.

use std::{net::SocketAddr, path::Path, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::watch,
};
use tokio_rustls::server::TlsStream;

use crate::{
    audit::Audit,
    config::{Config, Door, Listen, ListenTransport},
};

mod admitted;
mod certificate;
mod denial;
mod fresh;
mod keyed;
pub mod keys;
mod log;
mod owner;
mod peer;
mod policy;
mod principal;
mod shown;
mod terms;
mod tls;
mod token;
mod users;

pub use admitted::Admitted;
use admitted::By;
pub use denial::{Denied, Refused};
use keyed::Keyed;
use log::Log;
use peer::Found;
pub use peer::Peer;
pub use policy::{Known, NO_ROLE, Policy};
pub use principal::{DEFAULT_ROLE, Identity, Principal, role_in};
use shown::Shown;
use terms::Recognised;
pub use terms::Terms;
use tls::{NoTls, Tls};
pub use token::Claims;
pub use users::UnknownUser;

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    /// By which terms.
    now: ArcSwap<Terms>,
    /// How TCP sockets speak TLS, if they do.
    tls: Option<Tls>,
    /// Where it is, which does not change.
    listen: Listen,
    addresses: Vec<SocketAddr>,
    /// Tells that the terms are other ones.
    turned: watch::Sender<()>,
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

impl Access {
    /// As `config` has it, for an mcpmux that listens on the TCP addresses
    /// `addresses`; `audit` records who is refused. Blocks.
    pub fn open(
        config: &Config,
        addresses: &[SocketAddr],
        audit: Arc<Audit>,
    ) -> Result<Self, AccessError> {
        let listen = &config.listen;
        let http = listen.transport == ListenTransport::Http;
        let terms = Terms::of(config, listen, addresses, None)?;
        let tls = listen.tls.as_ref().filter(|_| http);
        let reachable = addresses.iter().find(|address| !is_loopback(**address));
        if let Some(address) = reachable.filter(|_| http && tls.is_none()) {
            tracing::warn!(
                "{address} is reachable from other machines without TLS: whoever listens in on the \
                 way reads credentials and answers (listen.tls)"
            );
        }
        Ok(Self {
            now: ArcSwap::from_pointee(terms),
            tls: tls
                .map(Tls::open)
                .transpose()
                .map_err(AccessError::Setting)?,
            listen: listen.clone(),
            addresses: addresses.to_vec(),
            turned: watch::Sender::default(),
            log: Log::new(audit),
        })
    }

    /// The terms of `config`, if they are other ones: for an mcpmux that listens as
    /// it did at its start. Blocks.
    pub fn read(&self, config: &Config) -> Result<Option<Terms>, AccessError> {
        let before = self.now.load();
        if before.are_of(config) {
            return Ok(None);
        }
        Terms::of(config, &self.listen, &self.addresses, Some(&before)).map(Some)
    }

    /// From now on `terms` hold, for who is there already as well.
    pub fn turn_to(&self, terms: Terms) {
        self.now.store(Arc::new(terms));
        self.turned.send_replace(());
    }

    /// Says whenever the terms are other ones.
    pub(crate) fn turned(&self) -> watch::Receiver<()> {
        self.turned.subscribe()
    }

    /// Where is recorded who called what, and who was refused.
    pub fn audit(&self) -> &Arc<Audit> {
        self.log.audit()
    }

    /// Who launched this mcpmux.
    pub fn parent(&self) -> Principal {
        self.now.load().parent.clone()
    }

    /// Whether `peer` may come in without a credential, as far as its connection goes.
    pub async fn knows(&self, peer: &Peer) -> bool {
        self.vouches(peer).await && self.now.load().by_connection(peer).is_some()
    }

    /// Who is at the other end of a TCP connection that was just accepted.
    pub async fn tcp(&self, stream: &TcpStream) -> Result<Peer, Refused> {
        let (Ok(server), Ok(client)) = (stream.local_addr(), stream.peer_addr()) else {
            return Err(Refused);
        };
        let here = is_loopback(client) || client.ip() == server.ip();
        let (found, why) = if here {
            match owner::owner(client, server) {
                // A connection that was broken off in between may have been
                // another's than the one that the kernel was asked about.
                Ok(_) if stream.peer_addr().is_err() => return Err(Refused),
                Ok(uid) => (Found::User(uid), of_stranger(uid)),
                Err(untold) => (Found::Untold, untold.to_string()),
            }
        } else {
            let why = "it comes from another machine, and there is no credential that it could show \
                       (access.keys, access.oauth, listen.tls.client_ca)";
            (Found::Remote, why.to_owned())
        };
        let (local, door) = (Some(server.ip()), Door::Tcp(server));
        self.met(Peer::new(local, door, found, client.to_string()), &why)
            .await
    }

    /// Who is at the other end of a unix socket's connection (`SO_PEERCRED`).
    pub async fn unix(&self, stream: &UnixStream) -> Result<Peer, Refused> {
        let address = stream.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        let door = Door::Unix(path.map(Path::to_owned).unwrap_or_default());
        let (found, why) = match stream.peer_cred() {
            Ok(cred) => (Found::User(cred.uid()), of_stranger(cred.uid())),
            Err(error) => {
                let why = format!("the kernel does not say whose it is ({error})");
                (Found::Untold, why)
            }
        };
        self.met(
            Peer::new(None, door, found, "a unix socket".to_owned()),
            &why,
        )
        .await
    }

    /// A connection of nobody that is known is kept only where a credential may
    /// still say who it is; `why` it is not known.
    async fn met(&self, peer: Peer, why: &str) -> Result<Peer, Refused> {
        if self.knows(&peer).await {
            return Ok(peer);
        }
        let certificate = peer.local.is_some() && self.tls.as_ref().is_some_and(Tls::is_mutual);
        let terms = self.now.load_full();
        let keyed = match &terms.keys {
            Some(keys) => keys.now().await.is_in_use(),
            None => false,
        };
        if certificate || keyed || terms.tokens.is_some() {
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
        let (stream, shown) = match self.tls.as_ref()?.accept(stream).await {
            Ok(accepted) => accepted,
            Err(NoTls::Failed(why)) => {
                tracing::debug!("a TLS handshake with {} failed: {why}", peer.from);
                return None;
            }
            Err(NoTls::Certificate(why)) => {
                self.log.refused("a connection", &peer.from, &why);
                return None;
            }
        };
        let peer = match shown {
            Some(shown) => {
                let found = Found::Certificate(Box::new(shown));
                Peer::new(peer.local, peer.door, found, peer.from)
            }
            None => peer,
        };
        Some((stream, peer))
    }

    /// What mcpmux says of itself as a protected resource, if it is one and that
    /// is asked for at `path` (RFC 9728, section 3) with `headers`. It is for everybody.
    pub fn metadata(&self, path: &str, headers: &HeaderMap) -> Option<Bytes> {
        let terms = self.now.load();
        terms.tokens.as_ref()?.metadata(path, host(headers))
    }

    /// Who is at the other end, where its connection says so and nothing else is asked
    /// for, or where the same was `shown` over it before.
    fn met_before(&self, peer: &Arc<Peer>, shown: Shown<'_>) -> Option<Admitted> {
        if peer.is_certified() {
            return None;
        }
        let terms = self.now.load();
        let (who, by) = match shown {
            Shown::Nothing if terms.required && peer.local.is_some() => None,
            Shown::Nothing => Some((terms.by_connection(peer)?, By::Connection)),
            Shown::Bearer(text) | Shown::Key(text) => {
                let book = terms.keys.as_ref()?.seen()?;
                let before = peer.keyed.load();
                let before = before.as_ref()?;
                let same = before.is(terms.number, &book, text);
                same.then(|| (before.who.clone(), By::Key(Arc::clone(before))))
            }
            Shown::Unclear => None,
        }?;
        Some(Admitted {
            who,
            by,
            peer: Arc::clone(peer),
            terms: terms.number,
        })
    }

    /// Who sends a request with `headers` on the connection of `peer`.
    pub async fn recognise(
        &self,
        peer: &Arc<Peer>,
        headers: &HeaderMap,
    ) -> Result<Admitted, Denied> {
        let shown = Shown::in_headers(headers);
        if let Some(admitted) = self.met_before(peer, shown) {
            return Ok(admitted);
        }
        let terms = self.now.load_full();
        let host = host(headers);
        let found = match shown {
            _ if !self.vouches(peer).await => Some(Err(Denied::wrong())),
            Shown::Unclear => Some(Err(Denied::wrong())),
            Shown::Nothing => None,
            Shown::Bearer(text) if !keys::is_claimed(text) && terms.tokens.is_some() => {
                // Boxed: each request has room for what it may wait for.
                Box::pin(token(&terms, text, host, peer)).await
            }
            Shown::Bearer(text) | Shown::Key(text) => key(&terms, text, peer).await,
        };
        let unknown = || {
            let tokens = terms.tokens.as_ref();
            tokens.map_or_else(Denied::unknown, |tokens| tokens.unknown(host))
        };
        let known = match found {
            Some(found) => found,
            None if terms.required && peer.local.is_some() => Err(unknown()),
            None => terms
                .by_connection(peer)
                .map(|who| (who, By::Connection))
                .ok_or_else(unknown),
        };
        match known {
            Ok((who, by)) => Ok(Admitted {
                who,
                by,
                peer: Arc::clone(peer),
                terms: terms.number,
            }),
            Err(denied) => {
                let what = match shown {
                    Shown::Nothing => "it shows no credential that is good",
                    _ => "its credential is wrong, revoked or expired",
                };
                let status = denied.status.as_u16();
                let why = format!("{what} ({status})");
                self.log.refused("a request", &peer.from, &why);
                Err(denied)
            }
        }
    }
}

/// Whose the key `text` is. `None` where no key was ever made and this does not look
/// like one: what a client sends that it was not asked for is nothing.
async fn key(terms: &Terms, text: &str, peer: &Peer) -> Option<Result<(Principal, By), Denied>> {
    let book = terms.keys.as_ref()?.now().await;
    if !book.is_in_use() && !terms.required && !keys::is_claimed(text) {
        return None;
    }
    let Some(key) = book.find(text, SystemTime::now()).cloned() else {
        return Some(Err(Denied::wrong()));
    };
    let identity = Identity::Key(key.name.clone());
    let recognised = Recognised {
        role: key.role.as_deref(),
        ..Recognised::by(&identity)
    };
    let who = terms.principal(recognised, &peer.door);
    let keyed = Arc::new(Keyed::new(terms.number, book, text, key, who.clone()));
    peer.keyed.store(Some(Arc::clone(&keyed)));
    Some(Ok((who, By::Key(keyed))))
}

/// Whose the access token `text` is that was shown to `host`.
async fn token(
    terms: &Terms,
    text: &str,
    host: Option<&str>,
    peer: &Peer,
) -> Option<Result<(Principal, By), Denied>> {
    let tokens = terms.tokens.as_ref()?;
    let judged = tokens.judge(text, host).await;
    Some(judged.map(|(identity, claims)| {
        let recognised = Recognised {
            claims: Some(&claims),
            ..Recognised::by(&identity)
        };
        let who = terms.principal(recognised, &peer.door);
        (who, By::Token(Arc::clone(tokens), claims))
    }))
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
