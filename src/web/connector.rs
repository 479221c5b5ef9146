//! How a TCP connection to a server or its proxy is made.

use std::time::Duration;

use hyper_util::client::legacy::connect::{HttpConnector, dns::GaiResolver};

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connector that finds addresses as the system does.
pub(crate) fn connector() -> HttpConnector {
    connector_with(GaiResolver::new())
}

/// A connector that asks `resolver` for the addresses of a name. An address
/// that stands in the URL itself is not shown to it.
pub(crate) fn connector_with<R>(resolver: R) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}
