//! Which proxy stands between here and a server, by the system's settings
//! (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).

use http::Uri;
use hyper_util::client::{
    legacy::connect::{HttpConnector, proxy::Tunnel},
    proxy::matcher::{Intercept, Matcher},
};

use super::connector;

/// A proxy that is asked to CONNECT.
#[derive(Debug)]
pub(crate) struct Proxy(Intercept);

impl Proxy {
    /// The proxy for `uri`, if there is one. Error: it is one that cannot be
    /// used; the text reads on after who is affected.
    pub(crate) fn of(uri: &Uri) -> Result<Option<Self>, String> {
        let Some(proxy) = Matcher::from_system().intercept(uri) else {
            return Ok(None);
        };
        if proxy.uri().scheme_str() != Some("http") {
            return Err(format!(
                "the proxy of the environment is no http:// one ({})",
                proxy.uri().scheme_str().unwrap_or("without a scheme")
            ));
        }
        Ok(Some(Self(proxy)))
    }

    /// A connector that goes through it.
    pub(crate) fn tunnel(&self) -> Tunnel<HttpConnector> {
        let tunnel = Tunnel::new(self.0.uri().clone(), connector());
        match self.0.basic_auth() {
            Some(auth) => tunnel.with_auth(auth.clone()),
            None => tunnel,
        }
    }
}
