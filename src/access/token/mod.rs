//! `access.oauth`: mcpmux as a resource server (2026-07-28,
//! `basic/authorization`; RFC 9728): which access tokens it takes, and what it
//! says of itself to those who have none. Tokens are JWTs (RFC 9068); none goes
//! any further than here.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value, json};
use tracing::debug;
use url::Url;

mod keys;

use super::{Denied, Identity};
use crate::{config::TokenSettings, signature};
use keys::{Keys, NoKey};

/// The longest token.
const MAX_TOKEN: usize = 16 << 10;

/// How much clocks may differ, in seconds.
const LEEWAY: u64 = 30;

/// The path of the metadata (RFC 9728, section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

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
    /// Where its own metadata is, and what it says.
    paths: [String; 2],
    metadata: Bytes,
    /// What is common to all challenges.
    challenge: String,
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
        let scheme = if secure { "https" } else { "http" };
        let own = address.filter(|own| own.port() != 0 && !own.ip().is_unspecified());
        let resource = match (&settings.resource, own) {
            (Some(resource), _) => resource.clone(),
            (None, Some(own)) => format!("{scheme}://{own}{path}"),
            (None, None) => {
                return Err(
                    "access.oauth.resource: must be set to the URL at which clients reach \
                            mcpmux, which the address does not tell"
                        .to_owned(),
                );
            }
        };
        let url =
            Url::parse(&resource).map_err(|error| format!("access.oauth.resource: {error}"))?;
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
            audience.push(resource.clone());
        }
        let below = url.path().trim_end_matches('/');
        let place = format!("{}{WELL_KNOWN}{below}", url.origin().ascii_serialization());
        let mut challenge = format!("resource_metadata=\"{place}\"");
        if !settings.scopes.is_empty() {
            challenge = format!("{challenge}, scope=\"{}\"", settings.scopes.join(" "));
        }
        // It goes into a header.
        if HeaderValue::from_str(&challenge).is_err()
            || settings.scopes.join("").contains(['"', '\\'])
        {
            return Err(
                "access.oauth: a scope or the resource holds what no header can".to_owned(),
            );
        }
        let mut metadata = json!({
            "resource": resource,
            "authorization_servers": [settings.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "mcpmux",
        });
        if !settings.scopes.is_empty() {
            metadata["scopes_supported"] = json!(settings.scopes);
        }
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience,
            algorithms,
            scopes: settings.scopes.clone(),
            keys: Keys::new(settings.issuer.clone(), settings.jwks_uri.clone()),
            paths: [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}{path}")],
            metadata: metadata.to_string().into(),
            challenge,
        })
    }

    /// The metadata of this resource, if it is at `path`.
    pub(super) fn metadata(&self, path: &str) -> Option<Bytes> {
        self.paths
            .iter()
            .any(|own| own == path)
            .then(|| self.metadata.clone())
    }

    /// Whose the token `text` is, and what it says.
    pub(super) async fn judge(&self, text: &str) -> Result<(Identity, Arc<Claims>), Denied> {
        let claims = self.believe(text).await?;
        let of = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(issuer), Some(subject)) = (of("iss"), of("sub")) else {
            return Err(self.wrong("it has no subject"));
        };
        if issuer != self.issuer {
            return Err(self.wrong("it is another issuer's"));
        }
        // One that is bound to a key is for who proves to have it (RFC 9449,
        // section 7.1; RFC 8705, section 3), and no proof is checked here.
        if claims.contains_key("cnf") {
            return Err(self.wrong("it is bound to a key"));
        }
        let granted = scopes(&claims);
        if self
            .scopes
            .iter()
            .any(|needed| !granted.contains(&needed.as_str()))
        {
            let challenge = format!("Bearer error=\"insufficient_scope\", {}", self.challenge);
            return Err(Denied::forbidden(header(&challenge)));
        }
        Ok((Identity::Subject { issuer, subject }, Arc::new(claims)))
    }

    async fn believe(&self, text: &str) -> Result<Claims, Denied> {
        if text.len() > MAX_TOKEN {
            return Err(self.wrong("it is too long"));
        }
        let header = decode_header(text).map_err(|_| self.wrong("it is no JWT"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(self.wrong("its signature is of a kind that is not taken"));
        }
        // Some servers write `JWT` for access tokens; other kinds have names of
        // their own (RFC 8725, section 3.11).
        let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(
            typ.as_deref(),
            None | Some("at+jwt" | "application/at+jwt" | "jwt")
        ) {
            return Err(self.wrong("it is no access token"));
        }
        if header.crit.is_some() {
            return Err(self.wrong("it wants what is not known here"));
        }
        let key = match self.keys.find(header.kid.as_deref(), header.alg).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(self.wrong("its key is not the issuer's")),
            Err(NoKey::Unreachable) => return Err(Denied::unavailable()),
        };
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&self.audience);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        decode::<Claims>(text, &key.checks, &validation)
            .map(|token| token.claims)
            .map_err(|error| self.wrong(&error.to_string()))
    }

    /// No token is shown, and one is needed.
    pub(super) fn unknown(&self) -> Denied {
        Denied::unknown_to(header(&format!("Bearer {}", self.challenge)))
    }

    fn wrong(&self, why: &str) -> Denied {
        debug!("an access token is refused: {why}");
        let challenge = format!("Bearer error=\"invalid_token\", {}", self.challenge);
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
