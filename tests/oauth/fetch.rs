//! HTTP requests by URL, as a script makes them: no redirect is followed, and a
//! status is no error.

use std::net::{SocketAddr, ToSocketAddrs as _};

use serde_json::Value;
use url::Url;

use crate::support::{Connection, Reply};

/// All that an answer brought.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// The number of the status line.
    pub(crate) status: u16,
    /// The header fields in order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Fetched {
    /// The first header field of this name, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The header fields of this name, given in lower case.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self.headers.iter().filter(move |(n, _)| n == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}), {}: {}", self.status, self.body))
    }

    /// The words of an HTML body, without its markup.
    pub(crate) fn words(&self) -> String {
        let mut words = String::new();
        let mut rest = self.body.as_str();
        for (element, end) in [("<head", "</head>"), ("<style", "</style>")] {
            if let (Some(from), Some(to)) = (rest.find(element), rest.find(end))
                && from < to
            {
                rest = &rest[to + end.len()..];
            }
        }
        for piece in rest.split('<') {
            words.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
            words.push(' ');
        }
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Makes a request; `Host` is that of `url` where `headers` have none.
#[track_caller]
pub(crate) fn fetch(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> Fetched {
    let reply = begin(method, url, headers, body);
    let (status, headers) = (reply.status, reply.headers.clone());
    let body = reply.text();
    Fetched {
        status,
        headers,
        body,
    }
}

/// Makes a request and reads the head of the answer.
#[track_caller]
pub(crate) fn begin(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> Reply {
    start(method, url, headers, body).reply()
}

/// Makes a request and reads nothing of the answer.
#[track_caller]
pub(crate) fn start(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> Connection {
    let mut connection = Connection::open(address(url));
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut all = vec![("Connection", "close")];
    if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
        all.push(("Host", host));
    }
    all.extend(headers);
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let sent = connection.request(method, target, &all, body);
    // Who answers before it has read all is to be heard nevertheless.
    drop(sent);
    connection
}

/// `GET`.
#[track_caller]
pub(crate) fn get(url: &Url) -> Fetched {
    fetch("GET", url, &[], "")
}

/// `POST` of a form.
#[track_caller]
pub(crate) fn post_form(url: &Url, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Fetched {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    fetch("POST", url, &[headers, &[kind]].concat(), &form(fields))
}

/// `POST` of JSON.
#[track_caller]
pub(crate) fn post_json(url: &Url, headers: &[(&str, &str)], body: &Value) -> Fetched {
    let kinds = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    fetch("POST", url, &[headers, &kinds].concat(), &body.to_string())
}

/// Fields as a form spells them.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// Where the server of `url` listens, by IPv4 where it has both.
#[track_caller]
pub(crate) fn address(url: &Url) -> SocketAddr {
    let host = url.host_str().expect("the URL has a host");
    let port = url.port_or_known_default().expect("the URL has a port");
    let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let mut found: Vec<_> = found.expect("the host has an address").collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found[0]
}
