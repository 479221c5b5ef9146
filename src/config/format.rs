//! What a string must look like where the schema gives it a `format`, and the
//! types that such strings become.

use std::net::{Ipv6Addr, SocketAddr};

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    quantity::{Share, Size, Span},
    rules::Rule,
    settings::{BackendName, Door},
};

/// Checks `text` against `format`. The error says what is wrong without showing
/// the text; it reads on after the text or the key ("… is not a duration").
pub(super) fn check(format: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    match format {
        "span" => text.parse::<Span>().map(drop).map_err(str::to_owned),
        "size" => text.parse::<Size>().map(drop).map_err(str::to_owned),
        "share" => text.parse::<Share>().map(drop).map_err(str::to_owned),
        "backend-name" => BackendName::new(text).map(drop).map_err(str::to_owned),
        "socket-address" => socket_address(text).map(drop),
        "http-url" => http_url(text).map(drop),
        "header-name" => header_name(text).map(drop),
        "header-value" => header_value(text).map(drop),
        "url-path" => url_path(text),
        "variable-name" => variable_name(text),
        "host" => host(text),
        "origin" => origin(text),
        "access-rule" => Rule::parse(text).map(drop),
        "door" => Door::parse(text).map(drop),
        "tool-name" => tool_name(text),
        "pattern" | "file" | "directory" if text.is_empty() => Err("is empty".to_owned()),
        _ => Ok(()),
    }
}

/// Whether a message may show a text of `format`: no secret belongs there.
pub(super) fn is_public(format: &str) -> bool {
    matches!(
        format,
        "span"
            | "size"
            | "share"
            | "backend-name"
            | "socket-address"
            | "header-name"
            | "url-path"
            | "host"
            | "origin"
            | "tool-name"
            | "access-rule"
            | "door"
            | "pattern"
    )
}

/// `IP:PORT`, `localhost:PORT`, or `:PORT` for every interface.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let port = |port: &str| port.parse::<u16>().ok();
    let address = if let Some(rest) = text.strip_prefix("localhost:") {
        port(rest).map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
    } else if let Some(rest) = text.strip_prefix(':') {
        port(rest).map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    } else {
        text.parse().ok()
    };
    address.ok_or_else(|| {
        "is not an address with a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

/// An absolute `http` or `https` URL with a host.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    const LOOKS: &str = "is not an absolute http(s) URL, such as https://example.com/mcp";
    let url = Url::parse(text).map_err(|error| format!("{LOOKS}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(LOOKS.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; give them by auth or headers".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment (\"#…\")".to_owned());
    }
    Ok(url)
}

/// Headers that belong to the connection or that mcpmux writes for each message, as
/// it does those of MCP.
const OWN_HEADERS: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "last-event-id",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A header's name (RFC 9110, section 5.1), of those that may be set.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| "is not a header's name".to_owned())?;
    if OWN_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("mcp-") {
        return Err("is a header that mcpmux sets by itself".to_owned());
    }
    Ok(name)
}

/// A header's value (RFC 9110, section 5.5).
pub(super) fn header_value(text: &str) -> Result<HeaderValue, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    HeaderValue::from_str(text).map_err(|_| {
        "holds a character that an HTTP header cannot carry, such as a newline".to_owned()
    })
}

fn url_path(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err("must start with \"/\"".to_owned());
    }
    if text == "/oauth/callback" || text == "/healthz" || text.starts_with("/.well-known/") {
        return Err("is an address that mcpmux itself answers at".to_owned());
    }
    if text.contains(['?', '#', '%', ' ']) || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err("must be a plain path, without \"?\", \"#\", \"%\" or spaces".to_owned());
    }
    Ok(())
}

fn variable_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        return Err("is not an environment variable's name".to_owned());
    }
    Ok(())
}

/// A tool's name as the specification has it (2025-11-25, `server/tools`, Tool Names).
fn tool_name(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=128).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err("is not a tool's name: 1 to 128 letters, digits, '_', '-' and '.'".to_owned())
}

/// A host as `Host` has it: a name or an address, with or without a port.
fn host(text: &str) -> Result<(), String> {
    let authority: Result<http::uri::Authority, _> = text.parse();
    match authority {
        Ok(authority) if !text.contains('@') && !authority.host().is_empty() => Ok(()),
        _ => Err("is not a host, such as mcp.example.com or 192.0.2.1:8080".to_owned()),
    }
}

/// An origin as `Origin` has it (RFC 6454, section 6.2).
fn origin(text: &str) -> Result<(), String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && host(rest).is_ok()
    });
    if is_origin {
        Ok(())
    } else {
        Err("is not an origin, such as https://app.example.com, without a path".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{check, socket_address};

    #[test]
    fn each_format_takes_what_is_right_and_refuses_what_is_wrong() {
        for (format, right, wrong) in [
            (
                "socket-address",
                &["127.0.0.1:80", "[::1]:8080", "localhost:1", ":8080"][..],
                &["8080", "host:80", ":x", "1.2.3.4"][..],
            ),
            (
                "http-url",
                &["https://a.b/mcp", "http://[::1]:80/x?y"],
                &[
                    "a.b/mcp",
                    "ftp://a/",
                    "https://",
                    "https://u:p@a/",
                    "https://a/#x",
                ],
            ),
            (
                "header-name",
                &["X-Api-Key", "Host"],
                &["", "X Key", "é:", "Content-Length", "MCP-Session-Id"],
            ),
            ("header-value", &["abc", "a b"], &["", "a\nb"]),
            ("url-path", &["/", "/mcp"], &["", "mcp", "/a b", "/a?b"]),
            (
                "host",
                &["a.b", "a.b:80", "[::1]"],
                &["", "https://a", "a/b", "u@a"],
            ),
            (
                "origin",
                &["https://a.b", "http://a:80", "vscode-webview://x"],
                &["a.b", "https://a/", "null"],
            ),
            ("variable-name", &["A", "a.b"], &["", "A=B", "A\0"]),
            ("tool-name", &["a", "a.b-C_9"], &["", "a b", "a/b"]),
            ("pattern", &["*", "a?"], &[""]),
            (
                "backend-name",
                &["a", "a.b-c_d"],
                &["", "_a", "a__b", "a b"],
            ),
        ] {
            for text in right {
                assert_eq!(check(format, text), Ok(()), "{format}: {text}");
            }
            for text in wrong {
                assert!(check(format, text).is_err(), "{format}: {text}");
            }
        }
    }

    #[test]
    fn a_port_alone_is_every_interface() {
        assert!(socket_address(":80").is_ok_and(|address| address.ip().is_unspecified()));
        assert!(socket_address("localhost:80").is_ok_and(|address| address.ip().is_loopback()));
    }
}
