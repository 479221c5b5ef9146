//! JSON-RPC errors: the codes of JSON-RPC 2.0 and of MCP (2026-07-28,
//! `basic/index`, Error Codes), and how one is written.

use serde_json::{Value, json};

use super::{Kind, Message, RawObject};

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is no request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters that the method cannot take, an unknown tool among them.
pub const INVALID_PARAMS: i64 = -32602;
/// Something broke on the way.
pub const INTERNAL_ERROR: i64 = -32603;
/// Implementation-defined, as the SDKs use it: the peer cannot be had.
pub const UNAVAILABLE: i64 = -32000;
/// Implementation-defined, as the SDKs use it: the deadline passed.
pub const TIMED_OUT: i64 = -32001;
/// There is no such resource, before 2026-07-28.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// The call needs the user to visit a URL first, in 2025-11-25.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
/// A header and the body disagree.
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability that the request needs.
pub const MISSING_CAPABILITY: i64 = -32021;
/// The revision is not spoken here.
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// An error that answers a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// The code, one of this module's.
    pub code: i64,
    /// What went wrong, for a person.
    pub message: String,
    /// What went wrong, for a program.
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with `data`.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// `method` is not known here.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))
    }

    /// The error object of JSON-RPC 2.0, section 5.1.
    pub fn to_json(&self) -> String {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        error.to_string()
    }
}

/// The code of a failed response's error; `None` if it is none or has none.
pub fn code_of(response: &Message) -> Option<i64> {
    if !matches!(response.kind(), Kind::Response { failed: true, .. }) {
        return None;
    }
    let error = RawObject::parse(response.payload()?).ok()?;
    error.get("code").ok()??.parse().ok()
}

/// Whether `code` can only come from a server of the modern era
/// (`basic/transports/streamable-http`, Backward Compatibility).
pub fn is_modern_only(code: i64) -> bool {
    matches!(
        code,
        HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION
    )
}
