//! One record, as it is written.

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::systemd::Audited;

/// One line of the file. Members that are not known are left out.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    /// When it was over: UTC, RFC 3339, in milliseconds.
    pub(super) time: String,
    /// The name of the principal.
    pub(super) caller: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backend: Option<&'a str>,
    /// The tool or prompt at the backend, or the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) outcome: &'static str,
    /// The code of a JSON-RPC error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
    /// Why somebody was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) milliseconds: Option<u64>,
    /// Bytes of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<usize>,
    /// Bytes of all that was said in answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent: Option<usize>,
    /// The trace id (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
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
