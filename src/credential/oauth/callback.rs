//! Which requests to the redirection endpoint (RFC 6749, section 3.1.2) are a
//! browser that comes back, whoever listens. What such a one means is
//! [`super::Logins`]' to say; whether its `Host` is served, the listener's.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};

use super::page;

/// The path that browsers come back to.
pub const CALLBACK_PATH: &str = "/oauth/callback";

/// The longest query, in bytes. Codes of some servers are tokens of 2 KiB and
/// more.
pub(super) const MAX_QUERY: usize = 16 * 1024;

/// The query of a browser that comes back, without its `?`; else what it is
/// answered.
///
/// A browser comes back by a navigation of its own: a GET without `Origin` (Fetch
/// standard, section 3.2), and with `Sec-Fetch-Dest: document` where it sends
/// that (Fetch Metadata, section 2.1). What a web page sends on its own account,
/// with an image or a script, is none.
///
/// The error is the answer, a page.
#[allow(
    clippy::result_large_err,
    reason = "it is sent at once, on the same task"
)]
pub fn callback_query<'a>(
    method: &Method,
    uri: &'a Uri,
    headers: &HeaderMap,
) -> Result<&'a str, Response<String>> {
    if method != Method::GET {
        let mut response = page::refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "A browser comes back from a login with GET.",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET"));
        return Err(response);
    }
    let other_than = |name: &str, own: &str| headers.get(name).is_some_and(|value| value != own);
    if headers.contains_key(header::ORIGIN)
        || other_than("sec-fetch-dest", "document")
        || other_than("sec-fetch-mode", "navigate")
    {
        return Err(page::refusal(
            StatusCode::FORBIDDEN,
            "The request came from within a web page, not from a browser that was sent here.",
        ));
    }
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY {
        return Err(page::refusal(
            StatusCode::URI_TOO_LONG,
            "The address is longer than any login's.",
        ));
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &Method, uri: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        match callback_query(method, &uri.parse().unwrap(), &headers) {
            Ok(_) => 200,
            Err(refused) => refused.status().as_u16(),
        }
    }

    #[test]
    fn a_navigation_is_let_in_with_its_query() {
        let uri = "/oauth/callback?code=c&state=s%20t".parse().unwrap();
        let headers = HeaderMap::from_iter([
            (
                "sec-fetch-mode".parse().unwrap(),
                HeaderValue::from_static("navigate"),
            ),
            (
                "sec-fetch-dest".parse().unwrap(),
                HeaderValue::from_static("document"),
            ),
            (
                "sec-fetch-site".parse().unwrap(),
                HeaderValue::from_static("cross-site"),
            ),
        ]);
        let query = callback_query(&Method::GET, &uri, &headers).unwrap();
        assert_eq!(query, "code=c&state=s%20t");
        assert_eq!(status(&Method::GET, "/oauth/callback", &[]), 200);
    }

    #[test]
    fn what_a_web_page_sends_is_refused() {
        for header in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-dest", "image"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-mode", "no-cors"),
        ] {
            let status = status(&Method::GET, "/oauth/callback?code=c", &[header]);
            assert_eq!(status, 403, "{header:?}");
        }
    }

    #[test]
    fn only_get_comes_back() {
        for method in [Method::HEAD, Method::POST, Method::OPTIONS] {
            assert_eq!(status(&method, "/oauth/callback?code=c", &[]), 405);
        }
    }

    #[test]
    fn a_query_is_bounded() {
        let long = |length| format!("/oauth/callback?{}", "c".repeat(length));
        assert_eq!(status(&Method::GET, &long(MAX_QUERY), &[]), 200);
        assert_eq!(status(&Method::GET, &long(MAX_QUERY + 1), &[]), 414);
    }
}
