//! Whether a request comes from where it may: `Host` against DNS rebinding,
//! `Origin` against other web pages (2026-07-28,
//! `basic/transports/streamable-http`, Security).

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::Authority};

use crate::config::Listen;

/// The methods of the MCP endpoint.
pub(super) const METHODS: &str = "POST, GET, DELETE";

/// Which hosts and origins are let in.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// The `Host` is not one of this endpoint's names.
    #[error("Host {0:?} is not served here; if it should be, add it to listen.allowed_hosts")]
    Host(String),
    /// There is no `Host`, or more than one (RFC 9112, section 3.2).
    #[error("a request must have one Host header")]
    Unaddressed,
    /// The `Origin` is another one than the endpoint's.
    #[error("Origin {0:?} is not allowed; if it should be, add it to listen.allowed_origins")]
    Origin(String),
}

impl Refused {
    /// The status by which it is told.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Unaddressed => StatusCode::BAD_REQUEST,
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl Doors {
    /// As the configuration has it.
    pub(super) fn new(listen: &Listen) -> Self {
        let lower = |list: &[String]| list.iter().map(|item| item.to_ascii_lowercase()).collect();
        Self {
            hosts: lower(&listen.allowed_hosts),
            origins: lower(&listen.allowed_origins),
        }
    }

    /// Checks a request that came in on `local`, the connection's own address;
    /// `None` on a unix socket, which no browser reaches. Gives the `Origin` to
    /// be named in the answer, if there is one.
    pub(super) fn check<'h>(
        &self,
        local: Option<IpAddr>,
        uri: &Uri,
        headers: &'h HeaderMap,
    ) -> Result<Option<&'h HeaderValue>, Refused> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let one = hosts.next().is_some() && hosts.next().is_none();
        if local.is_some() && !one {
            return Err(Refused::Unaddressed);
        }
        let host = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => sole_host(headers).unwrap_or_default(),
        };
        if let Some(local) = local
            && !self.host_allowed(host, local)
        {
            return Err(Refused::Host(host.to_owned()));
        }
        // Of several each must be right: nobody can say which is meant.
        for origin in headers.get_all(header::ORIGIN) {
            let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            if !self.origins.contains(&text) && !is_same_origin(&text, host) {
                return Err(Refused::Origin(text));
            }
        }
        Ok(headers.get(header::ORIGIN))
    }

    fn host_allowed(&self, host: &str, local: IpAddr) -> bool {
        // Most requests name a loopback address and a port.
        if local.is_loopback()
            && let Ok(address) = host.parse::<SocketAddr>()
            && address.ip().is_loopback()
        {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Ok(address) = name.parse::<IpAddr>() {
            // A literal address cannot be rebound.
            return address.is_loopback() && local.to_canonical().is_loopback()
                || address.to_canonical() == local.to_canonical()
                || self.lists(name, host);
        }
        name == "localhost" || name.ends_with(".localhost") || self.lists(name, host)
    }

    fn lists(&self, name: &str, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|allowed| allowed == name || allowed.eq_ignore_ascii_case(host))
    }
}

/// The `Host`, of which there is one (RFC 9112, section 3.2).
fn sole_host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let first = hosts.next()?;
    hosts.next().is_none().then(|| first.to_str().ok())?
}

/// Whether `origin` is the endpoint itself: a page that mcpmux served.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let rest = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.eq_ignore_ascii_case(host))
}

/// Lets a page of an allowed origin read the answer (Fetch standard, CORS protocol).
pub(super) fn cross_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(METHODS),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("*, Authorization"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate"),
    );
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn check(host: &str, origin: Option<&str>, local: IpAddr) -> bool {
        let doors = Doors {
            hosts: vec!["mux.example".into()],
            origins: vec!["https://app.example".into()],
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        doors
            .check(Some(local), &Uri::from_static("/mcp"), &headers)
            .is_ok()
    }

    #[test]
    fn loopback_names_and_listed_hosts_are_served() {
        for host in [
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.9:1",
            "[::1]:8080",
            "LOCALHOST",
            "mux.example:99",
        ] {
            assert!(check(host, None, LOOPBACK), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "",
            "localhost.evil.example",
            "192.168.1.5",
            "a b",
        ] {
            assert!(!check(host, None, LOOPBACK), "{host}");
        }
    }

    #[test]
    fn the_address_itself_is_served_beyond_loopback() {
        let lan = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));
        assert!(check("192.168.1.5:8080", None, lan));
        assert!(!check("127.0.0.1:8080", None, lan));
    }

    #[test]
    fn only_the_same_or_a_listed_origin_is_let_in() {
        assert!(check(
            "localhost:8080",
            Some("http://localhost:8080"),
            LOOPBACK
        ));
        assert!(check(
            "localhost:8080",
            Some("https://app.example"),
            LOOPBACK
        ));
        for origin in [
            "http://localhost:3000",
            "https://evil.example",
            "null",
            "http://",
        ] {
            assert!(!check("localhost:8080", Some(origin), LOOPBACK), "{origin}");
        }
    }
}
