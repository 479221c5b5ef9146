//! The keys of the authorization server, fetched when a token first needs one,
//! and again for a key that is not among them: one fetch at a time, and one in
//! half a minute at most, whatever the tokens claim.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};
use url::Url;

use crate::credential;

/// The least time between two fetches.
const PAUSE: Duration = Duration::from_secs(30);

/// The age from which on keys are fetched anew, so that one that was withdrawn
/// is not believed for ever.
const AGE: Duration = Duration::from_secs(10 * 60);

/// The age from which on they are not believed any more.
const END: Duration = Duration::from_secs(24 * 3600);

/// How long a request waits for them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most keys that are kept.
const MAX_KEYS: usize = 64;

/// A key by which tokens are signed.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    pub(super) checks: DecodingKey,
}

/// Those of one authorization server.
#[derive(Debug)]
pub(super) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: String,
    place: Option<Url>,
    held: ArcSwapOption<Held>,
    course: Mutex<Fetching>,
}

#[derive(Debug)]
struct Held {
    keys: Vec<Arc<Key>>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Fetching {
    began: Option<Instant>,
    /// Closed when the fetch that is under way has ended.
    ended: Option<watch::Receiver<()>>,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The server has no such key.
    Unknown,
    /// The server cannot be asked.
    Unreachable,
}

impl Keys {
    /// Those of `issuer`, at `place` or where its metadata says. Asks nobody yet.
    pub(super) fn new(issuer: String, place: Option<Url>) -> Self {
        Self(Arc::new(Inner {
            issuer,
            place,
            held: ArcSwapOption::empty(),
            course: Mutex::default(),
        }))
    }

    /// The key named `id` for signatures by `algorithm`; without a name the only
    /// one that there is for those.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Key>, NoKey> {
        let found = self.0.look(id, algorithm);
        if self.0.age().is_some_and(|age| age < AGE) && found.is_some() {
            return found.ok_or(NoKey::Unknown);
        }
        if let Some(mut ended) = self.0.fetch() {
            // Those at hand do while newer ones are fetched.
            if let Some(found) = found {
                return Ok(found);
            }
            let _ = timeout(PATIENCE, ended.changed()).await;
        }
        match (self.0.look(id, algorithm), self.0.age()) {
            (Some(found), _) => Ok(found),
            (None, Some(age)) if age < END => Err(NoKey::Unknown),
            (None, _) => Err(NoKey::Unreachable),
        }
    }
}

impl Inner {
    fn look(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let held = self.held.load_full()?;
        if held.since.elapsed() > END {
            return None;
        }
        let mut fitting = held.keys.iter().filter(|key| {
            key.checks.family() == algorithm.family()
                && key.algorithm.is_none_or(|own| own == algorithm)
                && id.is_none_or(|id| key.id.as_deref() == Some(id))
        });
        let first = fitting.next()?;
        // Without a name there must be no choice.
        (id.is_some() || fitting.next().is_none()).then(|| Arc::clone(first))
    }

    fn age(&self) -> Option<Duration> {
        let held = self.held.load();
        held.as_ref().map(|held| held.since.elapsed())
    }

    /// Begins a fetch if it is time for one; what tells the end of the one that is
    /// under way.
    fn fetch(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        let mut fetching = self.fetching();
        if let Some(ended) = &fetching.ended {
            return Some(ended.clone());
        }
        if fetching.began.is_some_and(|began| began.elapsed() < PAUSE) {
            return None;
        }
        fetching.began = Some(Instant::now());
        let (end, ended) = watch::channel(());
        fetching.ended = Some(ended.clone());
        let own = Arc::clone(self);
        tokio::spawn(async move {
            match credential::jwks(&own.issuer, own.place.as_ref()).await {
                Ok(document) => own.take(&document),
                Err(why) => warn!(
                    "access.oauth: the keys of {} cannot be had: {why}",
                    own.issuer
                ),
            }
            own.fetching().ended = None;
            drop(end);
        });
        Some(ended)
    }

    fn take(&self, document: &[u8]) {
        let keys = read(document);
        info!(
            "access.oauth: {} has {} keys that can be used",
            self.issuer,
            keys.len()
        );
        self.held.store(Some(Arc::new(Held {
            keys,
            since: Instant::now(),
        })));
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of a JWK Set (RFC 7517, section 5) that sign; others are passed over.
fn read(document: &[u8]) -> Vec<Arc<Key>> {
    let document: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let all = document["keys"].as_array().into_iter().flatten();
    let keys = all.filter_map(|key| {
        let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
        if matches!(jwk.common.public_key_use, Some(ref of) if *of != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match key["alg"].as_str() {
            Some(name) => Some(name.parse().ok()?),
            None => None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        // A secret that others have as well signs nothing.
        (key.family() != AlgorithmFamily::Hmac).then(|| {
            Arc::new(Key {
                id: jwk.common.key_id,
                algorithm,
                checks: key,
            })
        })
    });
    keys.take(MAX_KEYS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_sign_are_read() {
        let set = br#"{"keys":[
            {"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB","use":"sig","alg":"RS256"},
            {"kty":"RSA","kid":"enc","n":"AQAB","e":"AQAB","use":"enc"},
            {"kty":"oct","kid":"o","k":"c2VjcmV0"},
            {"kty":"new","kid":"n"}, 5,
            {"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        ]}"#;
        let ids: Vec<_> = read(set)
            .iter()
            .map(|key| key.id.clone().unwrap())
            .collect();
        assert_eq!(ids, ["r", "e"]);
        assert!(read(b"nonsense").is_empty());
    }

    #[test]
    fn a_key_is_found_by_its_name_or_if_there_is_no_choice() {
        let keys = Keys::new("https://issuer.example".to_owned(), None);
        let set = br#"{"keys":[
            {"kty":"RSA","kid":"one","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"two","n":"AQAB","e":"AQAB","alg":"PS256"}
        ]}"#;
        keys.0.take(set);
        let found = |id, algorithm| keys.0.look(id, algorithm).is_some();
        assert!(found(Some("one"), Algorithm::RS256) && found(Some("one"), Algorithm::PS256));
        assert!(found(Some("two"), Algorithm::PS256) && !found(Some("two"), Algorithm::RS256));
        assert!(found(None, Algorithm::RS256) && !found(None, Algorithm::PS256));
        assert!(!found(Some("one"), Algorithm::HS256) && !found(Some("three"), Algorithm::RS256));
    }
}
