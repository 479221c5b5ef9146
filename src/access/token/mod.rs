//! `access.oauth`: mcpmux as a resource server (2026-07-28,
//! `basic/authorization`; RFC 9728): which access tokens it takes, and what it
//! says of itself to those who have none. Tokens are JWTs (RFC 9068); none goes
//! any further than here.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tracing::debug;

mod keys;
mod resource;

use super::{Denied, Identity};
use crate::{config::TokenSettings, signature};
use keys::{Keys, NoKey};
use resource::{Resources, WELL_KNOWN};

/// The longest token.
const MAX_TOKEN: usize = 16 << 10;

/// How much clocks may differ, in seconds.
pub(super) const LEEWAY: u64 = 30;

/// The signatures that are taken if no others are configured: all that an
/// outsider cannot make with what is public.
const USUAL: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The claims of a token that was believed.
pub type Claims = Map<String, Value>;

/// The tokens that are taken.
#[derive(Debug)]
pub(super) struct Tokens {
    issuer: String,
    audience: Vec<String>,
    algorithms: Vec<Algorithm>,
    scopes: Vec<String>,
    keys: Keys,
    /// Where its own metadata is.
    paths: [String; 2],
    resources: Resources,
}

/// Why a token is not believed.
#[derive(Debug)]
enum Unbelieved {
    /// It is wrong.
    Wrong(String),
    /// The keys of its issuer cannot be had.
    Unreachable,
}

impl Unbelieved {
    fn wrong(why: impl Into<String>) -> Self {
        Self::Wrong(why.into())
    }
}

impl Tokens {
    /// As `settings` have it, for an endpoint at `path` of `address`, over TLS if
    /// `secure`. Error: what is wrong, with its key.
    pub(super) fn open(
        settings: &TokenSettings,
        address: Option<SocketAddr>,
        path: &str,
        secure: bool,
    ) -> Result<Self, String> {
        signature::install();
        let resources = Resources::open(settings, address, path, secure)?;
        let algorithms = settings.algorithms.iter().map(|name| {
            let algorithm = name.parse().ok().filter(|known| USUAL.contains(known));
            algorithm
                .ok_or_else(|| format!("access.oauth.algorithms: {name:?} is none that is taken"))
        });
        let mut algorithms = algorithms.collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            algorithms = USUAL.to_vec();
        }
        let mut audience = settings.audience.clone();
        if audience.is_empty() {
            audience.extend(resources.urls().map(str::to_owned));
        }
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience,
            algorithms,
            scopes: settings.scopes.clone(),
            keys: Keys::new(settings.issuer.clone(), settings.jwks_uri.clone()),
            paths: [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}{path}")],
            resources,
        })
    }

    /// The metadata of this resource as `host` has it, if it is at `path`.
    pub(super) fn metadata(&self, path: &str, host: Option<&str>) -> Option<Bytes> {
        let asked = self.paths.iter().any(|own| own == path);
        asked.then(|| self.resources.of(host).metadata.clone())
    }

    /// Whose the token `text` is that was shown to `host`, and what it says.
    pub(super) async fn judge(
        &self,
        text: &str,
        host: Option<&str>,
    ) -> Result<(Identity, Arc<Claims>), Denied> {
        let claims = match self.believe(text).await {
            Ok(claims) => claims,
            Err(Unbelieved::Wrong(why)) => return Err(self.wrong(&why, host)),
            Err(Unbelieved::Unreachable) => return Err(Denied::unavailable()),
        };
        let of = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(issuer), Some(subject)) = (of("iss"), of("sub")) else {
            return Err(self.wrong("it has no subject", host));
        };
        if issuer != self.issuer {
            return Err(self.wrong("it is another issuer's", host));
        }
        // One that is bound to a key is for who proves to have it (RFC 9449,
        // section 7.1; RFC 8705, section 3), and no proof is checked here.
        if claims.contains_key("cnf") {
            return Err(self.wrong("it is bound to a key", host));
        }
        let granted = scopes(&claims);
        if self
            .scopes
            .iter()
            .any(|needed| !granted.contains(&needed.as_str()))
        {
            let about = &self.resources.of(host).challenge;
            let challenge = format!("Bearer error=\"insufficient_scope\", {about}");
            return Err(Denied::forbidden(header(&challenge)));
        }
        Ok((Identity::Subject { issuer, subject }, Arc::new(claims)))
    }

    async fn believe(&self, text: &str) -> Result<Claims, Unbelieved> {
        if text.len() > MAX_TOKEN {
            return Err(Unbelieved::wrong("it is too long"));
        }
        let header = decode_header(text).map_err(|_| Unbelieved::wrong("it is no JWT"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(Unbelieved::wrong(
                "its signature is of a kind that is not taken",
            ));
        }
        // Some servers write `JWT` for access tokens; other kinds have names of
        // their own (RFC 8725, section 3.11).
        let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(
            typ.as_deref(),
            None | Some("at+jwt" | "application/at+jwt" | "jwt")
        ) {
            return Err(Unbelieved::wrong("it is no access token"));
        }
        if header.crit.is_some() {
            return Err(Unbelieved::wrong("it wants what is not known here"));
        }
        let key = match self.keys.find(header.kid.as_deref(), header.alg).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(Unbelieved::wrong("its key is not the issuer's")),
            Err(NoKey::Unreachable) => return Err(Unbelieved::Unreachable),
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&self.audience);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        decode::<Claims>(text, &key.checks, &validation)
            .map(|token| token.claims)
            .map_err(|error| Unbelieved::wrong(error.to_string()))
    }

    /// No token is shown to `host`, and one is needed.
    pub(super) fn unknown(&self, host: Option<&str>) -> Denied {
        let about = &self.resources.of(host).challenge;
        Denied::unknown_to(header(&format!("Bearer {about}")))
    }

    fn wrong(&self, why: &str, host: Option<&str>) -> Denied {
        debug!("an access token is refused: {why}");
        let about = &self.resources.of(host).challenge;
        let challenge = format!("Bearer error=\"invalid_token\", {about}");
        Denied::wrong_to(header(&challenge))
    }
}

/// What was found to be one when it was configured.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// The scopes of a token: `scope` (RFC 8693, section 4.2), or `scp` as some write.
fn scopes(claims: &Claims) -> Vec<&str> {
    let named = [claims.get("scope"), claims.get("scp")];
    let named = named.into_iter().flatten();
    named
        .flat_map(|value| match value {
            Value::String(text) => text.split(' ').collect(),
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>(),
            _ => Vec::new(),
        })
        .collect()
}
