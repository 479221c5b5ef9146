//! How a TCP connection to a server or its proxy is made.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

/// How long it may take to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connector that finds addresses as the system does.
pub(crate) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}
