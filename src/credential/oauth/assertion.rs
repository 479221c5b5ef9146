//! A client's proof of itself by a key: a signed assertion (RFC 7523 sections
//! 2.2 and 3).

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::{Ed25519KeyPair, RsaKeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;

use crate::{
    Secret,
    signature::{ecdsa, install},
};

/// The `client_assertion_type` of such a proof.
pub(in crate::credential) const ASSERTION_TYPE: &str =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good: for one request and clocks that differ.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// Why there is no assertion. Reads on after the backend's name; no text shows
/// the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::credential) enum AssertionError {
    /// The key is none, or in a form that is not taken.
    #[error(
        "the client's key is no private key in PEM (PKCS#8: \
         `openssl pkcs8 -topk8 -nocrypt -in KEY` makes one)"
    )]
    Key,
    /// The key is of a kind that is not taken.
    #[error("the client's key is none of: EC on P-256 or P-384, Ed25519, RSA of 2048 to 4096 bits")]
    Kind,
    /// There is no such algorithm, or not for this key.
    #[error("the client's key cannot sign by {0}")]
    Algorithm(String),
    /// The signature failed.
    #[error("the client's key cannot sign ({0})")]
    Signature(&'static str),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

/// An assertion by which the client `client_id` proves itself to `audience`,
/// the issuer of the server, good for five minutes from `now`.
///
/// `key` is a private key in PEM; `algorithm` one that the key can sign by
/// (`ES256`, `ES384`, `EdDSA`, `RS256` to `RS512`, `PS256` to `PS512`), by
/// default the first of its kind.
pub(in crate::credential) fn assertion(
    key: &Secret,
    algorithm: Option<&str>,
    client_id: &str,
    audience: &str,
    now: SystemTime,
) -> Result<Secret, AssertionError> {
    install();
    let key = Key::parse(key)?;
    let algorithm = key.algorithm(algorithm)?;
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| AssertionError::Signature("no random numbers"))?;
    let claims = Claims {
        iss: client_id,
        sub: client_id,
        aud: audience,
        jti: URL_SAFE_NO_PAD.encode(id),
        iat: now.as_secs(),
        exp: (now + GOOD_FOR).as_secs(),
    };
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &key.encoding)
        .map(Secret::new)
        .map_err(|_| AssertionError::Signature("it was refused"))
}

/// A key and what it can sign by, the default first.
struct Key {
    encoding: EncodingKey,
    algorithms: &'static [Algorithm],
}

impl Key {
    fn parse(pem: &Secret) -> Result<Self, AssertionError> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|_| AssertionError::Key)?;
        let rsa = |der: &[u8]| Self {
            encoding: EncodingKey::from_rsa_der(der),
            algorithms: RSA,
        };
        let der = match &der {
            PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der(),
            PrivateKeyDer::Pkcs1(der) => {
                let der = der.secret_pkcs1_der();
                return RsaKeyPair::from_der(der)
                    .map(|_| rsa(der))
                    .map_err(|_| AssertionError::Kind);
            }
            _ => return Err(AssertionError::Key),
        };
        let ec = |algorithms| Self {
            encoding: EncodingKey::from_ec_der(der),
            algorithms,
        };
        for algorithms in [P256, P384] {
            if ecdsa(algorithms[0], der).is_some() {
                return Ok(ec(algorithms));
            }
        }
        if Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok() {
            return Ok(Self {
                encoding: EncodingKey::from_ed_der(der),
                algorithms: ED,
            });
        }
        RsaKeyPair::from_pkcs8(der)
            .map(|_| rsa(der))
            .map_err(|_| AssertionError::Kind)
    }

    fn algorithm(&self, name: Option<&str>) -> Result<Algorithm, AssertionError> {
        let Some(name) = name else {
            return Ok(self.algorithms[0]);
        };
        let named = name
            .parse()
            .ok()
            .filter(|named| self.algorithms.contains(named));
        named.ok_or_else(|| AssertionError::Algorithm(super::challenge::one_line(name)))
    }
}

const P256: &[Algorithm] = &[Algorithm::ES256];
const P384: &[Algorithm] = &[Algorithm::ES384];
const ED: &[Algorithm] = &[Algorithm::EdDSA];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

#[cfg(test)]
mod tests;
