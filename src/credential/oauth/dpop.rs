//! Proof of possession (`DPoP`, RFC 9449): the key that the tokens of one login
//! are bound to, a proof for each request, and the nonces that servers want in
//! them. When tokens are bound is for [`binding`](super::binding) to say.

use std::{fmt, sync::Arc, time::SystemTime};

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::challenge::Challenge;
use crate::Secret;

/// The header of a proof.
pub(in crate::credential) const HEADER: HeaderName = HeaderName::from_static("dpop");

/// The header of a nonce.
const NONCE: &str = "dpop-nonce";

/// The algorithm of the proofs.
pub(super) const ALGORITHM: &str = "ES256";

/// What a server says that wants a nonce.
const USE_NONCE: &str = "use_dpop_nonce";

/// The longest nonce that is taken, in bytes.
const MAX_NONCE: usize = 1024;

/// What makes the proofs of one login. Clones share the key and the nonces.
#[derive(Clone)]
pub(in crate::credential) struct Prover(Arc<Inner>);

struct Inner {
    /// The key in PKCS#8, as base64url.
    key: Secret,
    pair: EcdsaKeyPair,
    /// The header of every proof, as it stands there.
    header: String,
    thumbprint: String,
    /// The nonces are each server's own (section 8.2).
    of_server: ArcSwapOption<HeaderValue>,
    of_backend: ArcSwapOption<HeaderValue>,
}

/// What a request to the backend was sent with.
#[derive(Debug, Clone)]
pub(in crate::credential) struct Proof {
    prover: Prover,
    nonce: Option<HeaderValue>,
}

/// Why there is no proof. No text shows the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No key could be made.
    #[error("no key could be made for proofs of possession")]
    Key,
    /// The key is there and does not sign.
    #[error("no proof of possession could be signed")]
    Signature,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl Prover {
    /// One with a new key.
    pub(super) fn new() -> Result<Self, ProofError> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let key = key.map_err(|_| ProofError::Key)?;
        Self::of(Secret::new(URL_SAFE_NO_PAD.encode(key.as_ref())))
    }

    fn of(key: Secret) -> Result<Self, ProofError> {
        let pkcs8 = Zeroizing::new(
            URL_SAFE_NO_PAD
                .decode(key.expose())
                .map_err(|_| ProofError::Key)?,
        );
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random)
            .map_err(|_| ProofError::Key)?;
        // An uncompressed point: 4, then both coordinates.
        let point = pair.public_key().as_ref().get(1..65);
        let (x, y) = point.ok_or(ProofError::Key)?.split_at(32);
        let jwk = jwk(&URL_SAFE_NO_PAD.encode(x), &URL_SAFE_NO_PAD.encode(y));
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{ALGORITHM}","jwk":{jwk}}}"#);
        Ok(Self(Arc::new(Inner {
            key,
            pair,
            header: URL_SAFE_NO_PAD.encode(header),
            thumbprint: hashed(&jwk),
            of_server: ArcSwapOption::empty(),
            of_backend: ArcSwapOption::empty(),
        })))
    }

    /// The key's name (RFC 7638), for an authorization code to be bound to
    /// (section 10).
    pub(super) fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    /// A proof for one request (section 4.2) that carries `token`, if any.
    pub(super) fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&Secret>,
        nonce: Option<&HeaderValue>,
    ) -> Result<HeaderValue, ProofError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| ProofError::Signature)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let claims = Claims {
            jti: URL_SAFE_NO_PAD.encode(id),
            htm: method.as_str(),
            htu: &without_query(uri),
            iat: since.unwrap_or_default().as_secs(),
            ath: token.map(|token| hashed(token.expose())),
            nonce: nonce.and_then(|nonce| nonce.to_str().ok()),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| ProofError::Signature)?;
        let mut proof = format!("{}.{}", self.0.header, URL_SAFE_NO_PAD.encode(claims));
        let signed = self.0.pair.sign(&SystemRandom::new(), proof.as_bytes());
        let signed = signed.map_err(|_| ProofError::Signature)?;
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(signed.as_ref(), &mut proof);
        let mut proof = HeaderValue::try_from(proof).map_err(|_| ProofError::Signature)?;
        proof.set_sensitive(true);
        Ok(proof)
    }

    /// A proof for a request to the backend with `token`, and what tells later
    /// what the backend wants of the next one.
    pub(in crate::credential) fn prove_to_backend(
        &self,
        method: &Method,
        uri: &Uri,
        token: &Secret,
    ) -> Result<(HeaderValue, Proof), ProofError> {
        let nonce = self.0.of_backend.load_full();
        let nonce = nonce.map(|nonce| HeaderValue::clone(&nonce));
        let proof = self.prove(method, uri, Some(token), nonce.as_ref())?;
        let prover = self.clone();
        Ok((proof, Proof { prover, nonce }))
    }

    /// The nonce that the authorization server wants.
    pub(super) fn server_nonce(&self) -> Option<HeaderValue> {
        let nonce = self.0.of_server.load_full();
        nonce.map(|nonce| HeaderValue::clone(&nonce))
    }

    /// Takes note of the nonce that the authorization server gives, if it does.
    pub(super) fn hear_server(&self, headers: &HeaderMap) {
        note(&self.0.of_server, headers);
    }

    /// Whether the authorization server refused a request for want of a nonce
    /// other than `used` (section 8).
    pub(super) fn is_refused_by_server(
        &self,
        response: &Response<Vec<u8>>,
        used: Option<&HeaderValue>,
    ) -> bool {
        #[derive(Deserialize)]
        struct Said {
            error: String,
        }
        response.status().is_client_error()
            && self.server_nonce().as_ref() != used
            && serde_json::from_slice::<Said>(response.body())
                .is_ok_and(|said| said.error == USE_NONCE)
    }
}

impl Proof {
    /// Takes note of the nonce that the backend gives, if it does. True if it
    /// refused the request for want of another than was used (section 9).
    pub(in crate::credential) fn heard(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let Some(given) = note(&self.prover.0.of_backend, headers) else {
            return false;
        };
        status == StatusCode::UNAUTHORIZED
            && self.nonce.as_ref() != Some(&given)
            && Challenge::of(headers)
                .is_some_and(|challenge| challenge.error.as_deref() == Some(USE_NONCE))
    }
}

/// The nonce that an answer gives, which is kept for the next proof.
fn note(place: &ArcSwapOption<HeaderValue>, headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(NONCE)?;
    if given.is_empty() || given.len() > MAX_NONCE || given.to_str().is_err() {
        return None;
    }
    if place.load().as_deref() != Some(given) {
        place.store(Some(Arc::new(given.clone())));
    }
    Some(given.clone())
}

/// The public key, its members in the order of RFC 7638.
fn jwk(x: &str, y: &str) -> String {
    format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

/// SHA-256 as base64url.
fn hashed(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// `uri` as a proof names it: without query and fragment.
fn without_query(uri: &Uri) -> String {
    let (scheme, authority) = (uri.scheme_str(), uri.authority());
    format!(
        "{}://{}{}",
        scheme.unwrap_or_default(),
        authority.map_or("", |authority| authority.as_str()),
        uri.path()
    )
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").finish_non_exhaustive()
    }
}

/// In clear: only for what encrypts it.
impl Serialize for Prover {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.key.expose())
    }
}

impl<'de> Deserialize<'de> for Prover {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = Secret::new(String::deserialize(deserializer)?);
        Self::of(key).map_err(de::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests;
