//! Somebody who was let in, and by what: whether that still lets in, a stream
//! asks before each thing that it says.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    Access, Claims, Peer, Principal,
    keyed::Keyed,
    peer::Found,
    terms::Recognised,
    token::{LEEWAY, Tokens},
};

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who it is.
    pub who: Principal,
    pub(super) by: By,
    pub(super) peer: Arc<Peer>,
    /// The number of the terms by which it is `who`.
    pub(super) terms: u64,
}

/// What lets it in.
#[derive(Debug, Clone)]
pub(super) enum By {
    /// Its connection.
    Connection,
    /// This key.
    Key(Arc<Keyed>),
    /// An access token that says this, to who takes such ones.
    Token(Arc<Tokens>, Arc<Claims>),
}

impl Access {
    /// Whether who was `admitted` would be let in now with the same, as the same: no
    /// key is revoked or expired, no token over, no certificate revoked or expired,
    /// and the configuration no other one. Keys and certificates are as they were
    /// within the last second.
    pub async fn still_admits(&self, admitted: &Admitted) -> bool {
        let Admitted {
            who,
            by,
            peer,
            terms,
        } = admitted;
        let now = self.now.load_full();
        if !self.vouches(peer).await {
            return false;
        }
        let same = *terms == now.number;
        match by {
            By::Connection => {
                let enough = !(now.required && peer.local.is_some());
                same || (enough && now.by_connection(peer).as_ref() == Some(who))
            }
            By::Key(keyed) => {
                let key = &keyed.key;
                let Some(keys) = &now.keys else { return false };
                let has = keys.now().await.has(key, SystemTime::now());
                let recognised = Recognised {
                    role: key.role.as_deref(),
                    ..Recognised::by(who.identity())
                };
                has && (same || now.principal(recognised, &peer.door) == *who)
            }
            By::Token(tokens, claims) => {
                let takes = now.tokens.as_ref();
                let takes = takes.is_some_and(|own| Arc::ptr_eq(own, tokens));
                let recognised = Recognised {
                    claims: Some(claims),
                    ..Recognised::by(who.identity())
                };
                takes && !is_over(claims) && (same || now.principal(recognised, &peer.door) == *who)
            }
        }
    }

    /// Whether the certificate of `peer`, if it has shown one, is good still.
    pub(super) async fn vouches(&self, peer: &Peer) -> bool {
        match (&peer.found, &self.tls) {
            (Found::Certificate(shown), Some(tls)) => tls.vouches(shown).await,
            (Found::Certificate(_), None) => false,
            _ => true,
        }
    }
}

/// Whether the end that a token names for itself has passed.
fn is_over(claims: &Claims) -> bool {
    let end = claims.get("exp").and_then(|end| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = |end: f64| end as u64;
        end.as_u64().or_else(|| end.as_f64().map(whole))
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    end.is_none_or(|end| now > end.saturating_add(LEEWAY))
}
