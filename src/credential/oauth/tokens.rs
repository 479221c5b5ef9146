//! What a token endpoint gives (RFC 6749, section 5.1), read leniently, and how
//! long it is good.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::exposed;
use crate::Secret;

/// A token is replaced this long before it expires, so that it does not expire
/// on its way; a short-lived one after three quarters of its life.
const MARGIN: Duration = Duration::from_secs(30);

/// A new token is used this long whatever its life: a server that gives none,
/// or a clock that jumps, must not make every request ask for another.
const AT_LEAST: Duration = Duration::from_secs(2);

/// Tokens that live shorter are replaced only when they are needed.
const WORTH_KEEPING: Duration = Duration::from_secs(120);

/// An access token and what came with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    #[serde(with = "exposed::value")]
    pub(super) access: Secret,
    #[serde(with = "exposed::option")]
    pub(super) refresh: Option<Secret>,
    /// When it came, in seconds since 1970.
    pub(super) received: u64,
    /// How long it is good, in seconds, if the server has told.
    pub(super) lifetime: Option<u64>,
    /// The scopes that it has; those asked for, where the server is silent.
    pub(super) scopes: Vec<String>,
    /// Whose it is, if the server has told.
    pub(super) account: Option<String>,
    /// Whether it is good with a proof of possession only (RFC 9449).
    #[serde(default)]
    pub(super) bound: bool,
}

impl Tokens {
    /// The tokens of `answer`, which came at `now` and was asked with `scopes`.
    /// What it leaves out stays as it was `before` (RFC 6749, section 6).
    pub(super) fn new(
        answer: &Answer,
        now: SystemTime,
        scopes: &[String],
        before: Option<&Self>,
    ) -> Self {
        let refresh = answer
            .refresh_token()
            .map(|token| Secret::new(token.secret().clone()));
        Self {
            access: Secret::new(answer.access_token.secret().clone()),
            refresh: refresh.or_else(|| before?.refresh.clone()),
            received: seconds(now),
            lifetime: answer.expires_in,
            scopes: match (&answer.scope, before) {
                (Some(scopes), _) => scopes.iter().map(|scope| scope.to_string()).collect(),
                (None, Some(before)) => before.scopes.clone(),
                (None, None) => scopes.to_vec(),
            },
            account: answer
                .id_token
                .as_ref()
                .and_then(|token| account(token.expose()))
                .or_else(|| before?.account.clone()),
            bound: answer.is_dpop(),
        }
    }

    /// Whether a request of `now` may carry it.
    pub(super) fn is_good(&self, now: SystemTime) -> bool {
        let Some(lifetime) = self.lifetime.map(Duration::from_secs) else {
            return true;
        };
        let age = self.age(now);
        age < AT_LEAST || age + MARGIN.min(lifetime / 4) < lifetime
    }

    /// When it expires, if the server has told.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        let since = self.received.checked_add(self.lifetime?)?;
        UNIX_EPOCH.checked_add(Duration::from_secs(since))
    }

    /// How long from `now` until it is worth replacing though nobody asks for
    /// it: a refresh token that is never used is forgotten by some servers.
    pub(super) fn due(&self, now: SystemTime) -> Option<Duration> {
        let lifetime = self.lifetime.map(Duration::from_secs)?;
        self.refresh.as_ref()?;
        let early = (lifetime / 10).max(MARGIN * 2);
        (lifetime >= WORTH_KEEPING).then(|| lifetime.saturating_sub(early + self.age(now)))
    }

    /// How old it is; a clock that was set back makes it new.
    fn age(&self, now: SystemTime) -> Duration {
        Duration::from_secs(seconds(now).saturating_sub(self.received))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A token endpoint's answer. Real ones leave out `token_type`, write numbers
/// as strings and scopes as lists.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Answer {
    access_token: AccessToken,
    #[serde(default = "bearer", deserialize_with = "kind")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "lifetime")]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(default, deserialize_with = "scopes")]
    scope: Option<Vec<Scope>>,
    #[serde(default, with = "exposed::option")]
    id_token: Option<Secret>,
}

impl Answer {
    /// Whether the token is used as `Authorization: Bearer` (RFC 6750).
    pub(super) fn is_bearer(&self) -> bool {
        self.token_type == BasicTokenType::Bearer
    }

    /// Whether it is used with a proof of possession (RFC 9449, section 5).
    pub(super) fn is_dpop(&self) -> bool {
        matches!(&self.token_type, BasicTokenType::Extension(kind) if kind.eq_ignore_ascii_case("dpop"))
    }
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        // Some servers write an empty one for none.
        self.refresh_token
            .as_ref()
            .filter(|token| !token.secret().is_empty())
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scope.as_ref()
    }
}

/// What an identity token says of whose it is, for people to read; it came from
/// the token endpoint itself and nothing is decided by it.
fn account(id_token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let claim = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
    let account = claim("email")
        .or_else(|| claim("preferred_username"))
        .or_else(|| claim("sub"))?;
    Some(
        account
            .chars()
            .filter(|c| !c.is_control())
            .take(128)
            .collect(),
    )
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BasicTokenType, D::Error> {
    let kind = Option::<String>::deserialize(deserializer)?;
    Ok(match kind {
        Some(kind) if !kind.eq_ignore_ascii_case("bearer") => BasicTokenType::Extension(kind),
        _ => BasicTokenType::Bearer,
    })
}

fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a lifetime; the cast saturates"
    )]
    let seconds = number.or_else(|| value.as_f64().map(|seconds| seconds as u64));
    Ok(seconds)
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Scope>>, D::Error> {
    let words = |text: &str| -> Vec<Scope> {
        text.split_whitespace()
            .map(|word| Scope::new(word.to_owned()))
            .collect()
    };
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(words(&text)),
        Value::Array(all) => Some(
            all.iter()
                .filter_map(Value::as_str)
                .flat_map(words)
                .collect(),
        ),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tokens(answer: &str, before: Option<&Tokens>) -> Tokens {
        let answer: Answer = serde_json::from_str(answer).expect("an answer");
        Tokens::new(&answer, at(NOW), &["asked".to_owned()], before)
    }

    #[test]
    fn what_real_servers_write_is_understood() {
        for (answer, lifetime, scopes) in [
            (r#"{"access_token":"a"}"#, None, vec!["asked"]),
            (
                r#"{"access_token":"a","token_type":"bearer","expires_in":"3600","scope":"x y"}"#,
                Some(3600),
                vec!["x", "y"],
            ),
            (
                r#"{"access_token":"a","token_type":null,"expires_in":3600.0,"scope":["x","y"],"refresh_token":""}"#,
                Some(3600),
                vec!["x", "y"],
            ),
        ] {
            let tokens = tokens(answer, None);
            assert_eq!(tokens.lifetime, lifetime, "{answer}");
            assert_eq!(tokens.scopes, scopes, "{answer}");
            assert!(tokens.refresh.is_none(), "{answer}");
        }
        let other: Answer =
            serde_json::from_str(r#"{"access_token":"a","token_type":"DPoP"}"#).expect("an answer");
        assert!(other.is_dpop() && !other.is_bearer());
    }

    #[test]
    fn what_a_refresh_leaves_out_stays() {
        let first = tokens(
            r#"{"access_token":"a","refresh_token":"r","scope":"x"}"#,
            None,
        );
        let second = tokens(r#"{"access_token":"b"}"#, Some(&first));
        assert_eq!(second.refresh, Some(Secret::new("r".to_owned())));
        assert_eq!(second.scopes, ["x"]);
        let rotated = tokens(r#"{"access_token":"c","refresh_token":"s"}"#, Some(&second));
        assert_eq!(rotated.refresh, Some(Secret::new("s".to_owned())));
    }

    #[test]
    fn a_token_is_good_until_shortly_before_it_expires() {
        let hour = tokens(r#"{"access_token":"a","expires_in":3600}"#, None);
        assert!(hour.is_good(at(NOW + 3569)));
        assert!(!hour.is_good(at(NOW + 3570)));
        assert!(hour.is_good(at(NOW - 100)), "a clock that was set back");
        let short = tokens(r#"{"access_token":"a","expires_in":8}"#, None);
        assert!(short.is_good(at(NOW + 5)));
        assert!(!short.is_good(at(NOW + 6)));
        let none = tokens(r#"{"access_token":"a","expires_in":0}"#, None);
        assert!(none.is_good(at(NOW + 1)) && !none.is_good(at(NOW + 2)));
    }

    #[test]
    fn an_account_is_read_from_an_identity_token() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"1","email":"ann@example.com"}"#);
        assert_eq!(
            account(&format!("e30.{claims}.")).as_deref(),
            Some("ann@example.com")
        );
        assert_eq!(account("nonsense"), None);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let tokens = tokens(
            r#"{"access_token":"s3cret","refresh_token":"s3cret","id_token":"s3cret"}"#,
            None,
        );
        assert!(!format!("{tokens:?}").contains("s3cret"));
    }
}
