//! A token that a helper printed, and until when it is good.

use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;

use crate::Secret;

/// A token is replaced this long before its JWT's `exp`, so that it does not
/// expire on its way and clocks may differ a little.
const MARGIN: Duration = Duration::from_secs(60);

/// A new token is kept this long even if its `exp` says otherwise: a clock that
/// is wrong must not make the helper run for each request.
const AT_LEAST: Duration = Duration::from_secs(5);

/// A bearer token and until when it is used.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    until: Until,
}

#[derive(Debug, Clone, Copy)]
enum Until {
    /// By the wall clock, as `exp` is; it also holds after a suspend.
    Expiry {
        not_before: Instant,
        expiry: SystemTime,
    },
    /// By the monotonic clock, as a time to live is.
    Lapse(Instant),
}

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

/// The one claim that is read (RFC 7519, section 4.1.4). The issuer's signature
/// is the backend's to check.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }
}

impl Token {
    /// A token that came at `now`: good until shortly before its `exp` if it is
    /// a JWT that has one, else for `ttl`.
    pub(super) fn new(secret: Secret, ttl: Duration, now: Moment) -> Self {
        let until = match expiry(secret.expose()) {
            Some(expiry) => Until::Expiry {
                not_before: now.steady + AT_LEAST,
                expiry,
            },
            None => Until::Lapse(now.steady + ttl),
        };
        Self { secret, until }
    }

    /// Whether a request of `now` may still carry it.
    pub(super) fn is_good(&self, now: Moment) -> bool {
        match self.until {
            Until::Expiry { not_before, expiry } => {
                now.wall + MARGIN < expiry || now.steady < not_before
            }
            Until::Lapse(until) => now.steady < until,
        }
    }
}

/// When a JWT expires; `None` if `token` is no JWT or does not say.
fn expiry(token: &str) -> Option<SystemTime> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    // What does not fit is so far away that the time to live is the better bound.
    let since_epoch = Duration::try_from_secs_f64(claims.exp.max(0.0)).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::{Duration, Moment, Secret, SystemTime, Token};

    const TTL: Duration = Duration::from_secs(300);

    fn jwt(exp: &str) -> Secret {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let claims = part(&format!("{{\"sub\":\"x\",\"exp\":{exp}}}"));
        Secret::new(format!(
            "{}.{claims}.c2ln",
            part("{\"alg\":\"ES256\",\"typ\":\"JWT\"}")
        ))
    }

    fn seconds(wall: SystemTime) -> u64 {
        wall.duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
    }

    fn later(now: Moment, seconds: u64) -> Moment {
        let passed = Duration::from_secs(seconds);
        Moment {
            wall: now.wall + passed,
            steady: now.steady + passed,
        }
    }

    #[test]
    fn a_jwt_is_good_until_a_minute_before_it_expires() {
        let now = Moment::now();
        let exp = seconds(now.wall) + 3600;
        for exp in [exp.to_string(), format!("{exp}.5")] {
            let token = Token::new(jwt(&exp), TTL, now);
            assert!(token.is_good(now));
            assert!(
                token.is_good(later(now, 3500)),
                "longer than the time to live"
            );
            assert!(!token.is_good(later(now, 3541)));
        }
    }

    #[test]
    fn a_token_that_seems_to_have_expired_already_is_used_for_a_moment() {
        let now = Moment::now();
        let token = Token::new(jwt(&(seconds(now.wall) - 600).to_string()), TTL, now);
        assert!(token.is_good(later(now, 4)));
        assert!(!token.is_good(later(now, 5)));
    }

    #[test]
    fn what_is_no_jwt_with_an_expiry_is_good_for_its_time_to_live() {
        let now = Moment::now();
        for secret in [
            Secret::new("opaque".to_owned()),
            Secret::new("a.b.c".to_owned()),
            jwt("\"soon\""),
            jwt("1e300"),
        ] {
            let token = Token::new(secret, TTL, now);
            assert!(token.is_good(later(now, 299)));
            assert!(!token.is_good(later(now, 300)));
        }
    }
}
