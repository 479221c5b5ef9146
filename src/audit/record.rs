//! One record, as it is written.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::systemd::Audited;

/// What is recorded of a call, or of a refusal.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// When it was over.
    pub(super) time: DateTime<Utc>,
    /// The name of the principal.
    pub(super) caller: &'a str,
    pub(super) role: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) backend: Option<&'a str>,
    /// The tool or prompt at the backend, or the resource.
    pub(super) name: Option<&'a str>,
    pub(super) outcome: &'static str,
    /// The code of a JSON-RPC error.
    pub(super) code: Option<i64>,
    /// Why somebody was refused.
    pub(super) why: Option<&'a str>,
    pub(super) milliseconds: Option<u64>,
    /// Bytes of the request.
    pub(super) received: Option<usize>,
    /// Bytes of all that was said in answer.
    pub(super) sent: Option<usize>,
    /// The trace id (W3C Trace Context).
    pub(super) trace: Option<&'a str>,
    pub(super) arguments: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    /// Somebody was refused.
    pub(super) fn refused(who: &'a str, why: &'a str) -> Self {
        Self {
            outcome: "refused",
            why: Some(why),
            ..Self::of(who)
        }
    }

    /// Of `caller`, now, with nothing else known.
    pub(super) fn of(caller: &'a str) -> Self {
        Self {
            time: Utc::now(),
            caller,
            role: None,
            method: None,
            backend: None,
            name: None,
            outcome: "",
            code: None,
            why: None,
            milliseconds: None,
            received: None,
            sent: None,
            trace: None,
            arguments: None,
        }
    }

    /// The record as the journal has it.
    pub(super) fn fields(&self) -> Audited<'_> {
        Audited {
            caller: self.caller,
            role: self.role,
            method: self.method,
            backend: self.backend,
            name: self.name,
            outcome: self.outcome,
            code: self.code,
            why: self.why,
            milliseconds: self.milliseconds,
            received: self.received.map(|bytes| bytes as u64),
            sent: self.sent.map(|bytes| bytes as u64),
            trace: self.trace,
            arguments: self.arguments.map(RawValue::get),
        }
    }
}
