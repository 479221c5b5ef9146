//! The `requestState` that mcpmux gives a modern client whose call waits for its
//! answers: sealed, bound to its owner, to the request and to a time (2026-07-28,
//! `basic/patterns/mrtr`, Server Requirements).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{digest, hmac, rand};
use serde_json::Value;

use crate::protocol::Message;

/// What every handle of mcpmux begins with.
const MARK: &str = "mcpmux1.";

const BODY: usize = 8 + 8 + 8;
const SEAL: usize = 32;

/// Seals handles, and knows its own again.
pub(super) struct Sealer {
    key: hmac::Key,
    /// Tells this run of mcpmux from others.
    run: u64,
}

/// Why a handle leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsealed {
    /// It is none of mcpmux.
    #[error("requestState was not given out by this server")]
    Foreign,
    /// It was given out for another request or to somebody else, or changed on
    /// the way.
    #[error("requestState does not belong to this request")]
    Forged,
    /// It was given out before the last restart.
    #[error("mcpmux was restarted while this call waited for its answers: call again")]
    Restarted,
    /// Its time is over.
    #[error("this call waited too long for its answers and has ended: call again")]
    Expired,
}

impl Sealer {
    /// With a key of this run's own. Error: the system gives no random numbers.
    pub(super) fn new() -> Result<Self, ring::error::Unspecified> {
        let random = rand::SystemRandom::new();
        let run: [u8; 8] = rand::generate(&random)?.expose();
        Ok(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &random)?,
            run: u64::from_be_bytes(run),
        })
    }

    /// A handle of number `number` for `request` of `owner`, good for `life`.
    pub(super) fn seal(
        &self,
        number: u64,
        owner: &str,
        request: &Message,
        life: Duration,
    ) -> String {
        let expires = now() + life.as_secs();
        let mut bytes = Vec::with_capacity(BODY + SEAL);
        for part in [self.run, number, expires] {
            bytes.extend_from_slice(&part.to_be_bytes());
        }
        let seal = hmac::sign(&self.key, &sealed(&bytes, owner, request));
        bytes.extend_from_slice(seal.as_ref());
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The number of `handle`, with which `request` of `owner` came back.
    pub(super) fn open(
        &self,
        handle: &str,
        owner: &str,
        request: &Message,
    ) -> Result<u64, Unsealed> {
        let text = handle.strip_prefix(MARK).ok_or(Unsealed::Foreign)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| Unsealed::Foreign)?;
        if bytes.len() != BODY + SEAL {
            return Err(Unsealed::Foreign);
        }
        let (body, seal) = bytes.split_at(BODY);
        let part = |index: usize| {
            let part: Option<[u8; 8]> = body[index * 8..].first_chunk().copied();
            part.map(u64::from_be_bytes).unwrap_or_default()
        };
        if part(0) != self.run {
            return Err(Unsealed::Restarted);
        }
        hmac::verify(&self.key, &sealed(body, owner, request), seal)
            .map_err(|_| Unsealed::Forged)?;
        if part(2) < now() {
            return Err(Unsealed::Expired);
        }
        Ok(part(1))
    }
}

/// Whether `state` has the form of a handle of mcpmux.
pub(super) fn is_handle(state: &str) -> bool {
    state.starts_with(MARK)
}

/// What the seal covers: the handle's body, whose it is, and what makes the request the one
/// it is. How its JSON is written does not matter, nor what a retry adds.
fn sealed(body: &[u8], owner: &str, request: &Message) -> Vec<u8> {
    let mut params: Value = request
        .payload()
        .and_then(|params| serde_json::from_str(params).ok())
        .unwrap_or_default();
    if let Some(params) = params.as_object_mut() {
        for added in ["_meta", "inputResponses", "requestState"] {
            params.remove(added);
        }
    }
    let method = request.method().unwrap_or_default();
    let request = digest::digest(
        &digest::SHA256,
        format!("{owner}\n{method}\n{params}").as_bytes(),
    );
    [body, request.as_ref()].concat()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Id;

    const ME: &str = "user:1";
    const MINUTE: Duration = Duration::from_secs(60);

    fn call(params: &str) -> Message {
        Message::request(&Id::from(1), "tools/call", params)
    }

    #[test]
    fn a_handle_is_good_for_its_own_request_in_its_own_time() {
        let sealer = Sealer::new().unwrap();
        let request = call(r#"{"name":"t","arguments":{"a":1,"b":2}}"#);
        let handle = sealer.seal(7, ME, &request, MINUTE);
        let again = call(
            r#"{"requestState":"x","arguments":{"b":2, "a":1},"name":"t","inputResponses":{},"_meta":{}}"#,
        );
        assert_eq!(sealer.open(&handle, ME, &again), Ok(7));
        let other = call(r#"{"name":"t","arguments":{"a":2,"b":2}}"#);
        assert_eq!(sealer.open(&handle, ME, &other), Err(Unsealed::Forged));
        let at = MARK.len() + 15;
        let digit = if &handle[at..=at] == "A" { "B" } else { "A" };
        let forged = format!("{}{digit}{}", &handle[..at], &handle[at + 1..]);
        assert_eq!(sealer.open(&forged, ME, &request), Err(Unsealed::Forged));
        assert_eq!(
            sealer.open("mcpmux1.abc", ME, &request),
            Err(Unsealed::Foreign)
        );
        assert_eq!(sealer.open("else", ME, &request), Err(Unsealed::Foreign));
        let theirs = sealer.open(&handle, "user:2", &request);
        assert_eq!(theirs, Err(Unsealed::Forged));
        let later = Sealer::new().unwrap();
        assert_eq!(later.open(&handle, ME, &request), Err(Unsealed::Restarted));
    }
}
