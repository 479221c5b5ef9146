//! What all logins share: where tokens are kept, where browsers come back to,
//! and whether there is somebody to ask.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use tokio::{net::TcpListener, sync::OnceCell};

use super::CALLBACK_PATH;
use crate::{
    config::{Config, Environment, TokenStore},
    credential::vault::{Vault, VaultError},
};

/// What all logins share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) environment: Environment,
    /// Whether a person may be asked to log in.
    pub(super) attended: bool,
    store: TokenStore,
    vault: OnceCell<Arc<Vault>>,
    /// Where mcpmux itself listens.
    served: OnceLock<SocketAddr>,
    /// The port to bind, if it is free, where mcpmux itself does not listen.
    favourite: u16,
}

/// Where the browser of one login comes back to.
pub(super) struct Redirect {
    /// The address, with its path.
    pub(super) uri: String,
    /// The listener there, if it is the login's own.
    pub(super) listener: Option<TcpListener>,
}

impl House {
    pub(super) fn new(config: &Config, environment: Environment, attended: bool) -> Self {
        Self {
            environment,
            attended,
            store: config.token_store.clone(),
            vault: OnceCell::new(),
            served: OnceLock::new(),
            favourite: config.listen.address.port(),
        }
    }

    /// Where tokens are kept; opened when first needed, which may take a moment.
    pub(super) async fn vault(&self) -> Result<Arc<Vault>, VaultError> {
        // Boxed: it is done once, and every login would have to hold room for it.
        let open = Box::pin(async {
            let vault = Vault::open(&self.store, &self.environment).await?;
            Ok(Arc::new(vault))
        });
        self.vault.get_or_try_init(|| open).await.cloned()
    }

    /// mcpmux itself listens at `address`; the first one counts.
    pub(super) fn served_at(&self, address: SocketAddr) {
        let _ = self.served.set(address);
    }

    /// Where the browser of a login comes back to: to `port`, if one is
    /// configured, else to mcpmux itself, else to a port of this login's own.
    pub(super) async fn redirect(&self, port: Option<u16>) -> Result<Redirect, String> {
        if let Some(port) = port {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener = bound.map_err(|error| {
                format!("port {port} (auth.callback_port) cannot be bound: {error}")
            })?;
            return Redirect::to(listener);
        }
        if let Some(host) = self.served.get().and_then(loopback) {
            return Ok(Redirect {
                uri: format!("http://{host}{CALLBACK_PATH}"),
                listener: None,
            });
        }
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, self.favourite)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map_err(|error| format!("no port can be bound for the redirect: {error}"))?,
        };
        Redirect::to(listener)
    }
}

impl Redirect {
    fn to(listener: TcpListener) -> Result<Self, String> {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        Ok(Self {
            uri: format!("http://{address}{CALLBACK_PATH}"),
            listener: Some(listener),
        })
    }
}

/// How a browser on this machine reaches `address`; `None` if not by loopback,
/// which is all that a redirect without TLS may go to.
fn loopback(address: &SocketAddr) -> Option<SocketAddr> {
    let ip = match address.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => return None,
    };
    Some(SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::loopback;

    #[test]
    fn a_browser_comes_back_by_loopback_or_not_at_all() {
        let reached = |address: &str| {
            loopback(&address.parse().expect("an address")).map(|address| address.to_string())
        };
        assert_eq!(reached("127.0.0.1:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(reached("0.0.0.0:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(reached("[::]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(reached("192.0.2.1:80"), None);
    }
}
