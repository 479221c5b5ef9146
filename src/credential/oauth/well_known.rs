//! Where metadata is, by what it is of: the well-known places of a resource (RFC
//! 9728 section 3.1) and of an issuer (RFC 8414 section 3.1), and which resource
//! an endpoint belongs to.

use url::Url;

use super::web::shown;

const RESOURCE: &str = "oauth-protected-resource";
const OAUTH: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";

/// The well-known places of a resource's metadata: with its path, then at the
/// root.
pub(super) fn of_resource(endpoint: &Url) -> Vec<Url> {
    let path = endpoint.path().trim_end_matches('/');
    let mut places = vec![at(endpoint, &format!("/.well-known/{RESOURCE}{path}"))];
    if let Some(first) = places.first_mut() {
        // RFC 9728 section 3.1: with its query.
        first.set_query(endpoint.query());
    }
    places.push(at(endpoint, &format!("/.well-known/{RESOURCE}")));
    places
}

/// The well-known places of an issuer's metadata, in the specification's order.
/// Error: it is no issuer; reads on after it.
pub(super) fn of_issuer(issuer: &str) -> Result<Vec<Url>, &'static str> {
    let url: Url = issuer.parse().map_err(|_| "is no absolute URL")?;
    if url.cannot_be_a_base() {
        return Err("is no https:// URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment, which no issuer has");
    }
    let path = url.path().trim_end_matches('/');
    let mut places = vec![
        at(&url, &format!("/.well-known/{OAUTH}{path}")),
        at(&url, &format!("/.well-known/{OPENID}{path}")),
    ];
    if !path.is_empty() {
        places.push(at(&url, &format!("{path}/.well-known/{OPENID}")));
    }
    Ok(places)
}

/// `base` with another path and nothing after it.
pub(super) fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Whether a token for `resource` is one for `endpoint`: of its origin, and its
/// path or one above it. RFC 9728 section 3.3 wants the same string; servers
/// publish their root, and clients of every kind take it. Error: why not; reads
/// on after the resource.
pub(super) fn covers(resource: &str, endpoint: &Url) -> Result<(), String> {
    let Ok(url) = resource.parse::<Url>() else {
        return Err("is no URL".to_owned());
    };
    if url.fragment().is_some() {
        return Err("has a fragment, which no resource has".to_owned());
    }
    let below = |url: &Url| format!("{}/", url.path().trim_end_matches('/'));
    let same = url.origin() == endpoint.origin()
        && below(endpoint).starts_with(&below(&url))
        && (url.query().is_none() || url.query() == endpoint.query());
    if same {
        return Ok(());
    }
    Err(format!("is not {} or above it", shown(endpoint)))
}
