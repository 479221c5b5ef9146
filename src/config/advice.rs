//! What is right in a backend's configuration, and most likely not meant so.

use std::net::IpAddr;

use url::{Host, Url};

use super::{
    document,
    settings::{Auth, BackendSettings, Transport},
};

/// What there is to say of a backend that stands so in the document.
pub(super) fn of_document(backend: &document::Backend) -> Option<String> {
    let (timeout, most) = (backend.timeout.0, backend.max_timeout.0);
    let usual = document::Backend::default().max_timeout.0;
    (most < timeout && most != usual).then(|| {
        format!(
            "{}: `max_timeout` is shorter than `timeout`, which then holds",
            backend.name
        )
    })
}

/// What there is to say of a backend's settings.
pub(super) fn of_settings(backend: &BackendSettings) -> Option<String> {
    let Ok(Transport::Http(http)) = &backend.transport else {
        return None;
    };
    let shown = matches!(
        http.auth,
        Auth::Bearer { .. } | Auth::Header { .. } | Auth::Command { .. }
    );
    (backend.enabled && shown && is_in_the_clear(&http.endpoint)).then(|| {
        format!(
            "{}: its credential goes to {} without TLS: whoever listens in on the way has it",
            backend.name,
            http.endpoint.origin().ascii_serialization()
        )
    })
}

/// Whether what is sent to `url` leaves this machine as it is.
fn is_in_the_clear(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !here
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};

    fn warnings(backend: &str) -> Vec<String> {
        let text = format!("backends:\n  - {{ name: a, {backend} }}\n");
        let config = Config::parse(&text, "m.yaml", &Environment::default());
        config.expect("it is right").warnings
    }

    #[test]
    fn a_credential_is_not_sent_in_the_clear_without_a_word() {
        let with = |url: &str, auth: &str| {
            warnings(&format!("transport: http, endpoint: '{url}', auth: {auth}"))
        };
        let bearer = "{ type: bearer, token: t }";
        let warned = with("http://mcp.example:80/x", bearer);
        assert!(warned[0].contains("a: its credential goes to http://mcp.example without TLS"));
        assert!(!warned[0].contains("t }"));
        for url in [
            "https://mcp.example/x",
            "http://localhost:1/",
            "http://127.0.0.9/",
            "http://[::1]:3/",
        ] {
            assert_eq!(with(url, bearer), [""; 0], "{url}");
        }
        assert_eq!(with("http://mcp.example/", "{ type: none }"), [""; 0]);
    }

    #[test]
    fn a_deadline_that_does_not_hold_is_warned_of() {
        let with = |times: &str| warnings(&format!("transport: command, command: [x], {times}"));
        assert!(with("max_timeout: 10s")[0].contains("`max_timeout` is shorter"));
        for times in ["timeout: 2h", "timeout: 5s, max_timeout: 10s"] {
            assert_eq!(with(times), [""; 0], "{times}");
        }
    }
}
