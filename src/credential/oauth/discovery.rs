//! Finds who gives out the tokens of a backend (the specification's
//! "Authorization Server Discovery"): from the challenge of its 401, or from the
//! well-known places, the metadata of the protected resource (RFC 9728), and
//! from its issuers the metadata of an authorization server (RFC 8414, `OpenID`
//! Connect Discovery 1.0). A backend without the former is taken for one of
//! 2025-03-26, whose own origin is the authorization server.
//!
//! A place where there is nothing (4xx, a page for people) leads on to the next
//! one. A place that cannot be read now (5xx, a broken connection) does so too,
//! but where nothing better is found it is an error, and not a reason to ask
//! somebody else for consent.

use std::{fmt, time::Duration};

use http::StatusCode;
use url::Url;

use super::{
    challenge::{Challenge, one_line},
    metadata::{DocumentError, ProtectedResource, ServerMetadata},
    web::{Web, shown},
    well_known::{self, covers},
};

/// How long the whole of it may take.
const TIME: Duration = Duration::from_secs(90);

/// The most authorization servers that are asked.
const MAX_SERVERS: usize = 4;

/// What is to be found.
#[derive(Debug, Clone, Copy)]
pub(in crate::credential) struct Wanted<'a> {
    /// The backend's endpoint, as configured.
    pub(in crate::credential) endpoint: &'a Url,
    /// What its last 401 or 403 asked for, if it did.
    pub(in crate::credential) challenge: Option<&'a Challenge>,
    /// The issuer that is known of before: asked first if it is still named.
    pub(in crate::credential) prefer: Option<&'a str>,
    /// `auth.allow_issuer_mismatch`: a server may call itself by another name
    /// than the one that it is found by.
    pub(in crate::credential) allow_issuer_mismatch: bool,
    /// The operator says which resource to ask for (`auth.resource`), so that
    /// what the metadata says of it is of no account.
    pub(in crate::credential) any_resource: bool,
}

/// Who gives out the tokens of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::credential) struct Discovered {
    /// The backend's identifier as it has it, for `resource` (RFC 8707); none
    /// where it has no metadata.
    pub(in crate::credential) resource: Option<String>,
    /// The scopes that the backend names for everyday use.
    pub(in crate::credential) resource_scopes: Option<Vec<String>>,
    /// Whether the backend says that it takes tokens only that are bound to a key.
    pub(in crate::credential) resource_wants_dpop: bool,
    /// The issuer, verbatim, as the metadata has it: what is recorded with a
    /// request, and what clients and tokens are kept under.
    pub(in crate::credential) issuer: String,
    /// What it says of itself.
    pub(in crate::credential) server: ServerMetadata,
    /// The backend has no metadata of 2025-06-18 or later: its own origin gives
    /// out the tokens.
    pub(in crate::credential) fallback: bool,
}

/// Why none was found. Reads on after the backend's name.
#[derive(Debug, thiserror::Error)]
pub(in crate::credential) enum DiscoveryError {
    /// The metadata of the protected resource is there but cannot be used, or
    /// cannot be read now.
    #[error("no metadata of the protected resource can be used: {0}")]
    Resource(Tried),
    /// The metadata is another resource's.
    #[error(
        "the metadata at {url} is for the resource {resource}, which {why}: a token for it \
         is not this backend's. If that is intended, set auth.resource to the resource to ask for"
    )]
    Mismatch {
        /// Where the metadata is.
        url: String,
        /// What it is for.
        resource: String,
        /// Why that is not the endpoint's.
        why: String,
    },
    /// No authorization server can be used.
    #[error("no authorization server can be used: {0}")]
    Servers(Tried),
    /// It took too long.
    #[error("the authorization server was not found within {} s", TIME.as_secs())]
    Slow,
}

/// What was asked, and what came.
#[derive(Debug, Default)]
pub(in crate::credential) struct Tried(Vec<Attempt>);

#[derive(Debug)]
struct Attempt {
    said: String,
    outcome: Outcome,
}

/// What a place without a usable document means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There is nothing.
    Absent,
    /// There is something, and it is wrong.
    Wrong,
    /// There may be something.
    Unread,
}

/// Finds the authorization server of `wanted.endpoint`, within 90 s.
pub(in crate::credential) async fn discover(
    web: &Web,
    wanted: Wanted<'_>,
) -> Result<Discovered, DiscoveryError> {
    let found = tokio::time::timeout(TIME, Discovery { web, wanted }.run()).await;
    found.unwrap_or(Err(DiscoveryError::Slow))
}

/// Finds the metadata of `issuer`, which the operator has named, within 90 s.
pub(super) async fn issuer(web: &Web, issuer: &str) -> Result<ServerMetadata, DiscoveryError> {
    let endpoint = issuer.parse().map_err(|_| {
        let mut tried = Tried::default();
        tried.note("the issuer is no URL".to_owned(), Outcome::Wrong);
        DiscoveryError::Servers(tried)
    })?;
    let wanted = Wanted {
        endpoint: &endpoint,
        challenge: None,
        prefer: None,
        allow_issuer_mismatch: false,
        any_resource: false,
    };
    let issuers = [issuer.to_owned()];
    let found = tokio::time::timeout(TIME, Discovery { web, wanted }.named(&issuers)).await;
    found.unwrap_or(Err(DiscoveryError::Slow))
}

struct Discovery<'a> {
    web: &'a Web,
    wanted: Wanted<'a>,
}

impl Discovery<'_> {
    async fn run(&self) -> Result<Discovered, DiscoveryError> {
        let resource = self.resource().await?;
        let servers = resource
            .as_ref()
            .map(|found| found.authorization_servers.as_slice());
        let server = match servers {
            Some(servers) if !servers.is_empty() => self.named(servers).await?,
            _ => self.origin().await?,
        };
        let fallback = resource.is_none();
        let resource_wants_dpop = resource
            .as_ref()
            .is_some_and(|found| found.dpop_bound_access_tokens_required);
        let (resource, resource_scopes) = match resource {
            Some(found) => (Some(found.resource), found.scopes_supported),
            None => (None, None),
        };
        Ok(Discovered {
            resource,
            resource_scopes,
            resource_wants_dpop,
            issuer: server.issuer.clone(),
            server,
            fallback,
        })
    }

    /// The metadata of the protected resource; none if there is none.
    async fn resource(&self) -> Result<Option<ProtectedResource>, DiscoveryError> {
        let endpoint = self.wanted.endpoint;
        let mut tried = Tried::default();
        let named = self
            .wanted
            .challenge
            .and_then(|challenge| challenge.resource_metadata.as_deref());
        let mut places = Vec::new();
        if let Some(named) = named {
            match endpoint.join(named) {
                Ok(url) => places.push(url),
                Err(_) => tried.note(
                    "the challenge's resource_metadata is no URL".to_owned(),
                    Outcome::Wrong,
                ),
            }
        }
        let named = places.len();
        places.extend(well_known::of_resource(endpoint));
        places.dedup();
        for (place, url) in places.iter().enumerate() {
            let read = self.read(url, ProtectedResource::parse).await;
            let resource = match read {
                Ok(resource) => resource,
                // What the server itself names ought to be there.
                Err(attempt) if place < named => {
                    tried.note(attempt.said, attempt.outcome.promised());
                    continue;
                }
                Err(attempt) => {
                    tried.0.push(attempt);
                    continue;
                }
            };
            if !self.wanted.any_resource
                && let Err(why) = covers(&resource.resource, endpoint)
            {
                return Err(DiscoveryError::Mismatch {
                    url: shown(url),
                    resource: one_line(&resource.resource),
                    why,
                });
            }
            return Ok(Some(resource));
        }
        if tried
            .0
            .iter()
            .all(|attempt| attempt.outcome == Outcome::Absent)
        {
            return Ok(None);
        }
        Err(DiscoveryError::Resource(tried))
    }

    /// The first of the named servers that can be used.
    async fn named(&self, issuers: &[String]) -> Result<ServerMetadata, DiscoveryError> {
        let mut tried = Tried::default();
        let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
        let known = self.wanted.prefer.map(bare);
        let issuers = || issuers.iter().map(String::as_str);
        let preferred = issuers().find(|issuer| Some(bare(issuer)) == known);
        let others = issuers().filter(|issuer| Some(*issuer) != preferred);
        for issuer in preferred.into_iter().chain(others).take(MAX_SERVERS) {
            match self.server(issuer, &mut tried).await {
                Some(server) => return Ok(server),
                // It gave consent before, and will be back.
                None if preferred == Some(issuer) && tried.any(Outcome::Unread) => break,
                None => {}
            }
        }
        Err(DiscoveryError::Servers(tried))
    }

    /// The server at the endpoint's own origin, as 2025-03-26 has it.
    async fn origin(&self) -> Result<ServerMetadata, DiscoveryError> {
        let mut tried = Tried::default();
        // With a slash, which may be missing: nobody wrote it down.
        let issuer = well_known::at(self.wanted.endpoint, "/");
        let issuer = issuer.as_str();
        if let Some(server) = self.server(issuer, &mut tried).await {
            return Ok(server);
        }
        if tried
            .0
            .iter()
            .all(|attempt| attempt.outcome == Outcome::Absent)
            && self.web.policy().check(self.wanted.endpoint).is_ok()
            && let Some(assumed) = ServerMetadata::assumed(self.wanted.endpoint)
        {
            return Ok(assumed);
        }
        Err(DiscoveryError::Servers(tried))
    }

    /// The metadata of `issuer`, from the first place that has it.
    async fn server(&self, issuer: &str, tried: &mut Tried) -> Option<ServerMetadata> {
        let places = match well_known::of_issuer(issuer) {
            Ok(places) => places,
            Err(why) => {
                let issuer = one_line(issuer);
                tried.note(format!("the issuer {issuer} {why}"), Outcome::Wrong);
                return None;
            }
        };
        for url in places {
            let parse = |body: &[u8]| ServerMetadata::parse(body, self.web.policy());
            match self.read(&url, parse).await {
                Ok(server) if self.is_issuer(issuer, &server.issuer) => return Some(server),
                Ok(server) => tried.note(
                    format!(
                        "{} calls itself {}, not {}, and must not be used; if that is intended, \
                         set auth.allow_issuer_mismatch",
                        shown(&url),
                        one_line(&server.issuer),
                        one_line(issuer),
                    ),
                    Outcome::Wrong,
                ),
                Err(attempt) => tried.0.push(attempt),
            }
        }
        None
    }

    /// Whether the metadata found by way of `expected` may call itself `found`:
    /// it must be the same string (RFC 8414 section 3.3). But a `/` that is the
    /// whole path may be missing: libraries put it into what a backend names,
    /// and both forms lead to the same document.
    fn is_issuer(&self, expected: &str, found: &str) -> bool {
        let at_root = |text: &str| text.parse::<Url>().is_ok_and(|url| url.path() == "/");
        self.wanted.allow_issuer_mismatch
            || found == expected
            || (expected.strip_suffix('/') == Some(found) && at_root(expected))
    }

    /// Gets and reads one document.
    async fn read<T>(
        &self,
        url: &Url,
        parse: impl FnOnce(&[u8]) -> Result<T, DocumentError>,
    ) -> Result<T, Attempt> {
        let fail = |said: String, outcome| Err(Attempt { said, outcome });
        let response = match self.web.get(url).await {
            Ok(response) => response,
            Err(error) if error.kind.is_transient() => {
                return fail(error.to_string(), Outcome::Unread);
            }
            Err(error) => return fail(error.to_string(), Outcome::Wrong),
        };
        let status = response.status();
        if status != StatusCode::OK {
            let outcome = match status {
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Outcome::Unread,
                status if status.is_server_error() => Outcome::Unread,
                _ => Outcome::Absent,
            };
            return fail(format!("{} answers {status}", shown(url)), outcome);
        }
        parse(response.body()).map_err(|error| Attempt {
            said: format!("{} {error}", shown(url)),
            outcome: match error {
                DocumentError::NoObject(_) => Outcome::Absent,
                DocumentError::Member(_) | DocumentError::Endpoint(..) => Outcome::Wrong,
            },
        })
    }
}

impl Outcome {
    /// What it means where something was promised.
    fn promised(self) -> Self {
        match self {
            Self::Absent | Self::Wrong => Self::Wrong,
            Self::Unread => Self::Unread,
        }
    }
}

impl Tried {
    fn note(&mut self, said: String, outcome: Outcome) {
        self.0.push(Attempt { said, outcome });
    }

    fn any(&self, outcome: Outcome) -> bool {
        self.0.iter().any(|attempt| attempt.outcome == outcome)
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, attempt) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{}", attempt.said)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
