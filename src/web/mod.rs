//! What every HTTP client in this program shares: how a server is reached
//! ([`connector`], [`dial`]), with which TLS ([`tls`]), through which proxy ([`proxy`]),
//! and how it is told who asks. What is asked, and of whom, is the clients' own. How
//! small messages are copied and written ([`buffers`]) concerns the listener as well.

mod buffers;
mod connector;
mod dial;
mod proxy;
mod tls;

use std::error::Error;

use http::HeaderValue;

pub(crate) use buffers::{Gather, apart};
pub(crate) use connector::{connector, connector_with};
pub(crate) use dial::{Dial, Stream};
pub(crate) use proxy::Proxy;
pub(crate) use tls::tls;

/// The `User-Agent` of every request: some front ends refuse one without.
pub(crate) const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mcpmux/", env!("CARGO_PKG_VERSION")));

/// The innermost of a chain of errors: the outer ones of an HTTP client only
/// say again that a request failed.
pub(crate) fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}
