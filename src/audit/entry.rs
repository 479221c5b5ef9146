//! One call while it is under way. However it ends, there is a record of it.

use std::{borrow::Cow, sync::LazyLock, time::Instant};

use memchr::memmem::Finder;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{Audit, record::Record};
use crate::protocol::{Kind, Message, RawObject, error, method};

/// What is looked for in every request and result, most of which do not have it.
static TRACE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"traceparent\""));
static FAILURE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"isError\""));

/// The record of a call that is under way. One that is dropped before its
/// response was that of a caller that went away.
#[derive(Debug)]
pub struct Entry<'a> {
    audit: &'a Audit,
    caller: &'a str,
    role: &'a str,
    request: &'a Message,
    begun: Instant,
    /// Whom it went to.
    target: Option<(SmolStr, Option<SmolStr>)>,
    sent: usize,
    outcome: &'static str,
    code: Option<i64>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(
        audit: &'a Audit,
        caller: &'a str,
        role: &'a str,
        request: &'a Message,
    ) -> Self {
        Self {
            audit,
            caller,
            role,
            request,
            begun: Instant::now(),
            target: None,
            sent: 0,
            outcome: "gone",
            code: None,
        }
    }

    /// It goes to `backend`, which knows what is asked for as `name`.
    pub fn goes_to(&mut self, backend: &str, name: Option<&str>) {
        self.target = Some((backend.into(), name.map(SmolStr::new)));
    }

    /// Something that is said in its course.
    pub fn said(&mut self, message: &Message) {
        self.sent += message.bytes().len();
    }

    /// The response, with which it ends.
    pub fn ended(mut self, response: &Message) {
        self.said(response);
        (self.outcome, self.code) = self.judged(response);
    }

    fn judged(&self, response: &Message) -> (&'static str, Option<i64>) {
        if let Kind::Response { failed: true, .. } = response.kind() {
            let outcome = if self.target.is_some() {
                "error"
            } else {
                "refused"
            };
            return (outcome, error::code_of(response));
        }
        let failed = self.request.method() == Some(method::TOOLS_CALL) && is_error(response);
        (if failed { "tool error" } else { "ok" }, None)
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let (backend, name) = match &self.target {
            Some((backend, name)) => (Some(&**backend), name.as_deref().map(Cow::Borrowed)),
            None => (None, asked_for(self.request)),
        };
        let arguments = backend
            .zip(name.as_deref())
            .filter(|(backend, name)| self.audit.shows(backend, name))
            .and_then(|_| arguments(self.request));
        let trace = trace(self.request);
        self.audit.write(&Record {
            role: Some(self.role),
            method: self.request.method(),
            backend,
            name: name.as_deref(),
            outcome: self.outcome,
            code: self.code,
            milliseconds: u64::try_from(self.begun.elapsed().as_millis()).ok(),
            received: Some(self.request.bytes().len()),
            sent: Some(self.sent),
            trace: trace.as_deref(),
            arguments: arguments.as_deref(),
            ..Record::of(self.caller)
        });
    }
}

/// What a request names that went nowhere: as its client calls it.
fn asked_for(request: &Message) -> Option<Cow<'_, str>> {
    let params = RawObject::parse(request.payload()?).ok()?;
    let name = |key| params.get_str(key).ok().flatten();
    name("name").or_else(|| name("uri"))
}

/// The arguments of a `tools/call`.
fn arguments(request: &Message) -> Option<Box<RawValue>> {
    let params = RawObject::parse(request.payload()?).ok()?;
    let arguments = params.get("arguments").ok()??;
    RawValue::from_string(arguments.to_owned()).ok()
}

/// The trace id in `_meta.traceparent` (W3C Trace Context, section 3.2), where
/// tracing clients put it.
fn trace(request: &Message) -> Option<String> {
    let params = request.payload()?;
    TRACE.find(params.as_bytes())?;
    let params = RawObject::parse(params).ok()?;
    let meta = RawObject::parse(params.get("_meta").ok()??).ok()?;
    let parent = meta.get_str("traceparent").ok()??;
    let id = parent.split('-').nth(1)?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// Whether the result of a `tools/call` says that the tool has failed.
fn is_error(response: &Message) -> bool {
    let result = response
        .payload()
        .filter(|result| FAILURE.find(result.as_bytes()).is_some());
    let said = result.and_then(|result| RawObject::parse(result).ok()?.get("isError").ok()?);
    said == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Id;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn call(params: &str) -> Message {
        Message::request(&Id::from(1), method::TOOLS_CALL, params)
    }

    #[test]
    fn the_trace_id_is_that_of_traceparent() {
        let of = |meta: &str| trace(&call(&format!(r#"{{"name":"t","_meta":{meta}}}"#)));
        assert_eq!(
            of(&format!(r#"{{"traceparent":"{PARENT}"}}"#)).as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
        for other in [
            r#"{"traceparent":"00-a\nb-c-01"}"#,
            r#"{"traceparent":1}"#,
            "{}",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_result_that_says_so_is_a_tools_error() {
        for (result, error) in [
            (r#"{"content":[],"isError":true}"#, true),
            (r#"{"content":[],"isError":false}"#, false),
            (
                r#"{"content":[{"text":"\"isError\":true","isError":true}]}"#,
                false,
            ),
        ] {
            assert_eq!(
                is_error(&Message::success(&Id::from(1), result)),
                error,
                "{result}"
            );
        }
    }
}
