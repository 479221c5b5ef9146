//! What a login knows at the moment.

use std::sync::Arc;

use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{
    challenge::Challenge, dpop::Prover, flow::Flow, login::PAUSE, record::Record, tokens::Tokens,
    trouble::Trouble, unattended::Refused,
};
use crate::{Secret, config::BackendName};

/// How many tokens in a row may be rejected while they are fresh.
const MAX_RENEWALS: u32 = 3;

/// A step under way, and how it has ended.
pub(super) type Run = watch::Receiver<Option<Result<(), Trouble>>>;

/// How a login stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The backend has not asked for a token, or nobody has looked yet.
    Unknown,
    /// There is a token; the number tells one from the next.
    LoggedIn(u64),
    /// A person has to consent.
    Needed,
}

/// A token, and what proves that it is ours, if it is bound to a key.
#[derive(Debug, Clone)]
pub(in crate::credential) struct Access {
    pub(in crate::credential) token: Secret,
    pub(in crate::credential) prover: Option<Prover>,
}

/// What a login knows at the moment.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether the store has been read.
    pub(super) loaded: bool,
    pub(super) record: Option<Arc<Record>>,
    /// Counts what requests carry.
    pub(super) generation: u64,
    /// The step under way.
    pub(super) run: Option<Run>,
    /// The last failure and when it was.
    pub(super) failed: Option<(Instant, Trouble)>,
    /// When a token was last replaced because it was rejected, and how many were
    /// since one had held for a while.
    pub(super) renewed: Option<(Instant, u32)>,
    /// What the backend said last when it wanted a token.
    pub(super) challenge: Option<Challenge>,
    /// Scopes that calls turned out to need.
    pub(super) wanted: Vec<String>,
    pub(super) step_ups: u32,
    /// The consent that a person is asked for.
    pub(super) flow: Option<Arc<Flow>>,
    /// The one that was asked for last, which may have ended.
    pub(super) last: Option<Arc<Flow>>,
    /// Whether a browser has been opened unasked, which is done once.
    pub(super) browsed: bool,
    /// The record is not in the store, which could not take it.
    pub(super) unsaved: bool,
    /// What was shown for a token last, and refused.
    pub(super) refused: Option<Refused>,
    /// What went wrong last, for people.
    pub(super) trouble: Option<String>,
    /// What was warned of last, which is not said again until something went well.
    pub(super) warned: Option<Arc<str>>,
    /// Replaces the token before it expires.
    pub(super) keeper: Option<AbortOnDropHandle<()>>,
}

impl State {
    /// The tokens, if there are any.
    pub(super) fn tokens(&self) -> Option<&Tokens> {
        self.record.as_ref()?.tokens.as_ref()
    }

    /// Whether a rejected token may be replaced, which counts. A backend that
    /// rejects one fresh token after the other has another reason.
    pub(super) fn may_renew(&mut self) -> bool {
        let recent = self.renewed.filter(|(at, _)| at.elapsed() < PAUSE);
        // What could not be replaced is not fresh.
        let before = match recent {
            Some((_, before)) if self.failed.is_none() => before,
            _ => 0,
        };
        let may = before < MAX_RENEWALS;
        if may {
            self.renewed = Some((Instant::now(), before + 1));
        }
        may
    }

    /// Warns of `trouble`, unless it is what was warned of last: a request that
    /// is tried again and again meets it every time.
    pub(super) fn warn(&mut self, backend: &BackendName, trouble: &Trouble) {
        if self.warned.as_deref() != Some(&trouble.0) {
            warn!(%backend, "login: {trouble}");
            self.warned = Some(Arc::clone(&trouble.0));
        }
    }

    /// What a request carries.
    pub(super) fn access(&self) -> Option<Access> {
        let record = self.record.as_ref()?;
        let tokens = record.tokens.as_ref()?;
        Some(Access {
            token: tokens.access.clone(),
            prover: record.dpop.clone().filter(|_| tokens.bound),
        })
    }

    /// The scopes that were asked for so far.
    pub(super) fn requested(&self) -> Vec<String> {
        let record = self.record.as_ref();
        record.map_or_else(Vec::new, |record| record.requested.clone())
    }
}
