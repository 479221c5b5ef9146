//! What mcpmux says of itself as a protected resource (RFC 9728), under each name by
//! which clients reach it: they compare that with the URL that they were given
//! (2026-07-28, `basic/authorization`), as a string.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;
use url::Url;

use crate::config::TokenSettings;

/// The path of the metadata (RFC 9728, section 3).
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The resource under all of its names.
#[derive(Debug)]
pub(super) struct Resources {
    /// The name that counts where a request is addressed to none of the others.
    first: Resource,
    /// The other names of the same socket of this machine, by `Host`.
    others: Vec<(String, Resource)>,
}

/// The resource under one name.
#[derive(Debug)]
pub(super) struct Resource {
    /// Its identifier, which tokens are asked for (RFC 8707).
    pub(super) url: String,
    /// The metadata.
    pub(super) metadata: Bytes,
    /// What is common to all challenges: where the metadata is, and the scopes.
    pub(super) challenge: String,
}

impl Resources {
    /// As `settings` have it, for an endpoint at `path` of `address`, over TLS if
    /// `secure`. Without a word of the configuration an endpoint on loopback is the
    /// resource that a client calls it, by its address or as `localhost`. Error: what
    /// is wrong, with its key.
    pub(super) fn open(
        settings: &TokenSettings,
        address: Option<SocketAddr>,
        path: &str,
        secure: bool,
    ) -> Result<Self, String> {
        let scheme = if secure { "https" } else { "http" };
        let of = |authority: &str| Resource::new(settings, format!("{scheme}://{authority}{path}"));
        if let Some(resource) = &settings.resource {
            return Ok(Self {
                first: Resource::new(settings, resource.clone())?,
                others: Vec::new(),
            });
        }
        let own = address.filter(|own| own.port() != 0 && !own.ip().is_unspecified());
        let Some(own) = own else {
            return Err(
                "access.oauth.resource: must be set to the URL at which clients reach \
                 mcpmux, which the address does not tell"
                    .to_owned(),
            );
        };
        let mut others = Vec::new();
        if own.ip().is_loopback() {
            let localhost = format!("localhost:{}", own.port());
            let resource = of(&localhost)?;
            others.push((localhost, resource));
        }
        Ok(Self {
            first: of(&own.to_string())?,
            others,
        })
    }

    /// Under the name that a request's `host` has for it.
    pub(super) fn of(&self, host: Option<&str>) -> &Resource {
        let named = host.and_then(|host| {
            let mut others = self.others.iter();
            others.find(|(name, _)| name.eq_ignore_ascii_case(host))
        });
        named.map_or(&self.first, |(_, resource)| resource)
    }

    /// Its identifiers, under all names.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(|(_, resource)| resource);
        std::iter::once(&self.first)
            .chain(others)
            .map(|resource| resource.url.as_str())
    }
}

impl Resource {
    fn new(settings: &TokenSettings, resource: String) -> Result<Self, String> {
        let url =
            Url::parse(&resource).map_err(|error| format!("access.oauth.resource: {error}"))?;
        let below = url.path().trim_end_matches('/');
        let place = format!("{}{WELL_KNOWN}{below}", url.origin().ascii_serialization());
        let mut challenge = format!("resource_metadata=\"{place}\"");
        let mut metadata = json!({
            "resource": resource,
            "authorization_servers": [settings.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "mcpmux",
        });
        if !settings.scopes.is_empty() {
            let scopes = settings.scopes.join(" ");
            challenge = format!("{challenge}, scope=\"{scopes}\"");
            metadata["scopes_supported"] = json!(settings.scopes);
        }
        // It goes into a header.
        if HeaderValue::from_str(&challenge).is_err()
            || settings.scopes.join("").contains(['"', '\\'])
        {
            return Err(
                "access.oauth: a scope or the resource holds what no header can".to_owned(),
            );
        }
        Ok(Self {
            url: resource,
            metadata: metadata.to_string().into(),
            challenge,
        })
    }
}
