//! What a modern request must carry before it is served: its revision, its
//! client's capabilities and, over HTTP, headers that say the same as the body.

use std::{borrow::Cow, sync::LazyLock};

use http::{HeaderMap, HeaderName, StatusCode};
use memchr::memmem::Finder;
use serde_json::json;

use crate::{
    mux::{Caller, named_by},
    protocol::{
        Era, Message, RawObject, Revision, RpcError,
        error::{
            HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_CAPABILITY,
            UNSUPPORTED_VERSION,
        },
        header::{self, Said},
        meta,
    },
};

/// An error and the HTTP status it travels under.
pub(super) type Refusal = (StatusCode, RpcError);

/// Finds the key under which a request names its revision.
static NAMED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(meta::PROTOCOL_VERSION));

/// The revision that a request's `_meta` names; `None` for a legacy request.
pub(super) fn declared(message: &Message) -> Option<String> {
    let params = message.payload()?;
    // Most messages of legacy clients are told apart without being read.
    NAMED.find(params.as_bytes())?;
    let params = RawObject::parse(params).ok()?;
    let meta = RawObject::parse(params.get("_meta").ok()??).ok()?;
    meta.get_str(meta::PROTOCOL_VERSION)
        .ok()?
        .map(Cow::into_owned)
}

/// Checks a modern request; `headers` are its HTTP headers, where it has any.
pub(super) fn check(message: &Message, headers: Option<HeaderMap>) -> Result<Caller, Refusal> {
    let bad = |code, text: String| (StatusCode::BAD_REQUEST, RpcError::new(code, text));
    let params = RawObject::parse(message.payload().unwrap_or("{}"))
        .map_err(|error| bad(INVALID_PARAMS, format!("Invalid params: {error}")))?;
    let own = params
        .get("_meta")
        .ok()
        .flatten()
        .and_then(|text| RawObject::parse(text).ok());
    let version = own
        .as_ref()
        .and_then(|own| own.get_str(meta::PROTOCOL_VERSION).ok().flatten());
    if let Some(headers) = &headers {
        let expected = version.as_deref();
        mirrors(headers, &header::PROTOCOL_VERSION, expected)?;
        mirrors(headers, &header::METHOD, message.method())?;
        if let Some(key) = named_by(message.method().unwrap_or_default()) {
            let name = params.get_str(key).ok().flatten();
            mirrors(headers, &header::NAME, name.as_deref())?;
        }
    }
    let missing = |key: &str| {
        bad(
            INVALID_PARAMS,
            format!("Invalid params: _meta[{key:?}] is missing"),
        )
    };
    let version = version.ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
    let revision = Revision::parse(&version)
        .filter(|revision| revision.era() == Era::Modern)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, unsupported(&version)))?;
    let capable = own.as_ref().is_some_and(|own| {
        own.get(meta::CLIENT_CAPABILITIES)
            .ok()
            .flatten()
            .is_some_and(|text| text.starts_with('{'))
    });
    if !capable {
        return Err(missing(meta::CLIENT_CAPABILITIES));
    }
    Ok(Caller {
        headers,
        ..Caller::of(revision)
    })
}

/// `requested` is not spoken here.
pub(super) fn unsupported(requested: &str) -> RpcError {
    let supported: Vec<_> = Revision::ALL
        .iter()
        .map(|revision| revision.as_str())
        .collect();
    RpcError::new(
        UNSUPPORTED_VERSION,
        format!("Unsupported protocol version: {requested}"),
    )
    .with_data(json!({ "supported": supported, "requested": requested }))
}

fn mirrors(headers: &HeaderMap, name: &HeaderName, body: Option<&str>) -> Result<(), Refusal> {
    let refuse = |text: String| {
        Err((
            StatusCode::BAD_REQUEST,
            RpcError::new(HEADER_MISMATCH, text),
        ))
    };
    match (header::single(headers, name), body) {
        (Said::Nonsense, _) => refuse(format!(
            "Header mismatch: {name} is malformed or given twice"
        )),
        (Said::Nothing, _) => refuse(format!("Header mismatch: {name} is missing")),
        (Said::Value(said), Some(meant)) if said != meant => refuse(format!(
            "Header mismatch: {name} says {said:?}, the body says {meant:?}"
        )),
        _ => Ok(()),
    }
}

/// The HTTP status under which a modern response travels.
pub(super) fn status(response: &Message) -> StatusCode {
    let code = response.payload().and_then(|error| {
        RawObject::parse(error)
            .ok()?
            .get("code")
            .ok()??
            .parse::<i64>()
            .ok()
    });
    match code {
        Some(METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
