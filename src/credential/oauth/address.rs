//! Which addresses a server may make mcpmux ask. The metadata of a backend
//! names further servers; without a rule, whoever writes it could have mcpmux
//! ask services that only this machine, or only this network, can reach (the
//! specification's "Server-Side Request Forgery").
//!
//! The rule: a server may name others at any public address; nearer ones only
//! if the endpoint that the operator configured is as near itself.
//!
//! | the configured endpoint is at | may be asked |
//! |---|---|
//! | a loopback address, or `localhost` | loopback, private, public |
//! | a private address (RFC 1918, unique local, shared and the like) | private, public |
//! | a public address | public |
//!
//! A program on this machine reaches the private network anyway, but a machine
//! of that network must not reach what listens on loopback here. Link-local
//! addresses (metadata services of clouds), unspecified, multicast and reserved
//! ones are never asked. `https` everywhere but on loopback.
//!
//! What counts is the address that is connected to: a [`Guard`] stands where
//! names are resolved. Through a proxy, which resolves names itself, only what
//! stands in the URL can be judged.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::OnceCell;
use tower_service::Service;
use url::{Host, Url};

/// How near an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anyone's to ask.
    Public,
    /// This network's.
    Private,
    /// This machine's.
    Loopback,
    /// Nobody's: link-local, unspecified, multicast, reserved, or known to be
    /// the metadata service of a cloud.
    Never,
}

/// Where the servers of one backend may be.
pub(in crate::credential) struct Policy {
    own: Own,
    lookup: Lookup,
}

/// What is known of the configured endpoint.
enum Own {
    /// From its URL.
    Known(Reach),
    /// It is a name; looked up when first needed, and then kept: what it is
    /// must not change between two questions.
    Named(String, OnceCell<Reach>),
}

/// Why a server is not asked. Reads on after its URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not asked: {0}")]
pub(super) struct Refusal(String);

/// The addresses of a name.
pub(super) type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How names are resolved.
type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Resolves names to the addresses that a [`Policy`] allows.
#[derive(Clone)]
pub(super) struct Guard(pub(super) Arc<Policy>);

impl Policy {
    /// What `endpoint`, which the operator configured, allows.
    pub(in crate::credential) fn new(endpoint: &Url) -> Self {
        Self::with_lookup(endpoint, |host| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) })
        })
    }

    /// The same with another way to resolve names.
    pub(super) fn with_lookup(
        endpoint: &Url,
        lookup: impl Fn(String) -> Found + Send + Sync + 'static,
    ) -> Self {
        let own = match (literal(endpoint), endpoint.host_str()) {
            (Some(ip), _) => Own::Known(reach(ip)),
            (None, Some(host)) if is_localhost(host) => Own::Known(Reach::Loopback),
            (None, Some(host)) => Own::Named(host.to_owned(), OnceCell::new()),
            (None, None) => Own::Known(Reach::Public),
        };
        Self {
            own,
            lookup: Arc::new(lookup),
        }
    }

    /// Whether `url` may be asked, or a person sent there, as far as it can be
    /// seen without resolving its name.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        let refuse = |reason: &str| Err(Refusal(reason.to_owned()));
        let Some(host) = url.host_str() else {
            return refuse("its address is no https:// URL");
        };
        let ip = literal(url);
        let near = match ip {
            Some(ip) => Some(reach(ip)),
            None => is_localhost(host).then_some(Reach::Loopback),
        };
        match url.scheme() {
            "https" => {}
            "http" if near == Some(Reach::Loopback) => {}
            "http" => {
                return refuse("OAuth goes over https; plain http is for loopback addresses only");
            }
            _ => return refuse("its address is no https:// URL"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("its address holds a user name or password");
        }
        let nearest = match &self.own {
            Own::Known(own) => *own,
            // Only what stands in a URL makes an endpoint a loopback one.
            Own::Named(..) => Reach::Private,
        };
        near.map_or(Ok(()), |near| allow(near, nearest, ip))
    }

    /// Whether a connection to `ip` may be made.
    pub(super) async fn admit(&self, ip: IpAddr) -> Result<(), Refusal> {
        let near = reach(ip);
        // Most are public: no need to know more.
        if near == Reach::Public {
            return Ok(());
        }
        allow(near, self.own().await?, Some(ip))
    }

    /// As [`Self::check`], and of an address in the URL as [`Self::admit`].
    pub(super) async fn check_all(&self, url: &Url) -> Result<(), Refusal> {
        self.check(url)?;
        match literal(url) {
            Some(ip) => self.admit(ip).await,
            None => Ok(()),
        }
    }

    async fn own(&self) -> Result<Reach, Refusal> {
        let (host, known) = match &self.own {
            Own::Known(reach) => return Ok(*reach),
            Own::Named(host, known) => (host, known),
        };
        let looked_up = known.get_or_try_init(|| async {
            let addresses = (self.lookup)(host.clone()).await?;
            // One public address among them makes it a public server.
            let farthest = addresses.iter().map(|address| reach(address.ip())).min();
            // A name is not this machine, whatever a DNS server says of it.
            Ok::<_, io::Error>(farthest.map_or(Reach::Public, |own| own.min(Reach::Private)))
        });
        looked_up.await.copied().map_err(|error| {
            Refusal(format!(
                "it is at an address that is not public, and that of the backend's own endpoint \
                 cannot be found ({error})"
            ))
        })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: &dyn fmt::Debug = match &self.own {
            Own::Known(reach) => reach,
            Own::Named(_, known) => known,
        };
        f.debug_struct("Policy")
            .field("own", own)
            .finish_non_exhaustive()
    }
}

impl Service<Name> for Guard {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0.clone();
        Box::pin(async move {
            let mut admitted = Vec::new();
            let mut refusal = None;
            for address in (policy.lookup)(name.as_str().to_owned()).await? {
                // Plain http is spoken to this name: it must be what it says.
                let as_named =
                    !is_localhost(name.as_str()) || reach(address.ip()) == Reach::Loopback;
                match policy.admit(address.ip()).await {
                    Ok(()) if as_named => admitted.push(address),
                    Ok(()) => {
                        refusal = Some(Refusal(format!("{} is not this machine", address.ip())));
                    }
                    Err(refused) => refusal = Some(refused),
                }
            }
            match refusal {
                Some(refusal) if admitted.is_empty() => Err(io::Error::other(refusal)),
                _ => Ok(admitted.into_iter()),
            }
        })
    }
}

/// Whether a backend whose own endpoint is at `own` may have `near` asked.
fn allow(near: Reach, own: Reach, ip: Option<IpAddr>) -> Result<(), Refusal> {
    // An endpoint of the last class makes no other reachable.
    let own = if own == Reach::Never {
        Reach::Public
    } else {
        own
    };
    let what = match near {
        Reach::Never => "no authorization server can be at",
        _ if near <= own => return Ok(()),
        Reach::Loopback => {
            "a backend that is not on this machine itself must not have it ask the loopback address"
        }
        Reach::Private | Reach::Public => {
            "a backend at a public address must not have this machine ask the private address"
        }
    };
    Err(Refusal(match ip {
        Some(ip) => format!("{what} {ip}"),
        None => format!("{what} of localhost"),
    }))
}

/// The address that stands in `url` itself.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    }
}

/// Whether `host` is a name of this machine (RFC 6761 section 6.3).
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    last.eq_ignore_ascii_case("localhost")
}

/// How near `ip` is (the special-purpose address registries of IANA).
pub(super) fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => reach_v6(ip),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        [127, ..] => Reach::Loopback,
        // Metadata services: of Alibaba, in the shared space, and of Azure.
        [100, 100, 100, 200] | [168, 63, 129, 16]
        // This network, link-local, protocol assignments, documentation, the
        // former 6to4 relays, and from multicast on.
        | [0 | 224.., ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Never,
        // RFC 1918; shared space (100.64/10), of carriers and of networks laid
        // over others; for benchmarks (198.18/15), what some tunnels give every
        // name.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18 | 19, ..] => {
            Reach::Private
        }
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // Metadata services of Amazon and Google.
        [0xfd00, 0x0ec2, .., 0x0254] | [0xfd20, 0x00ce, .., 0x0254] => Reach::Never,
        // An IPv4 address in another form: mapped, translated (RFC 6052), 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        // Translation of a network's own choice (RFC 8215), site-local, unique local.
        [0x0064, 0xff9b, 1, ..] => Reach::Private,
        [first, ..] if first & 0xffc0 == 0xfec0 || first & 0xfe00 == 0xfc00 => Reach::Private,
        // Teredo, documentation.
        [0x2001, 0 | 0x0db8, ..] => Reach::Never,
        [0x3fff, second, ..] if second & 0xf000 == 0 => Reach::Never,
        // Global unicast; all else is unspecified, link-local, multicast or unassigned.
        [first, ..] if first & 0xe000 == 0x2000 => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests;
