//! Keys of `_meta` that the specification reserves (2026-07-28, `basic/index`,
//! General fields), and what mcpmux says of itself in them.

use serde_json::{Value, json};

use super::{Message, RawObject, Revision};

/// Opts a request into progress notifications; every revision.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// The revision of a modern request.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Name and version of the client behind a modern request.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// What the client behind a modern request can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The lowest log level a modern client wants for a request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The `subscriptions/listen` request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Name and version of the server behind a modern result.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Whether `key` carries the modern era's per-request protocol fields, which
/// mean nothing to a legacy server.
pub fn is_request_field(key: &str) -> bool {
    matches!(
        key,
        PROTOCOL_VERSION | CLIENT_INFO | CLIENT_CAPABILITIES | LOG_LEVEL
    )
}

/// The progress token of a `notifications/progress`, if it is one that mcpmux
/// gave out: the id of its request.
pub fn progress_id(notification: &Message) -> Option<u64> {
    let params = RawObject::parse(notification.payload()?).ok()?;
    params.get(PROGRESS_TOKEN).ok()??.parse().ok()
}

/// The subscription that a notification belongs to, if mcpmux opened it.
pub fn subscription_id(notification: &Message) -> Option<u64> {
    let params = notification.payload()?;
    memchr::memmem::find(params.as_bytes(), SUBSCRIPTION_ID.as_bytes())?;
    let params = RawObject::parse(params).ok()?;
    let meta = RawObject::parse(params.get("_meta").ok()??).ok()?;
    meta.get(SUBSCRIPTION_ID).ok()??.parse().ok()
}

/// mcpmux as an `Implementation`, toward clients and servers alike.
pub fn implementation() -> Value {
    json!({ "name": "mcpmux", "title": "mcpmux", "version": env!("CARGO_PKG_VERSION") })
}

/// `_meta` of a modern request that mcpmux makes on its own account.
pub fn own_request(revision: Revision) -> Value {
    json!({
        PROTOCOL_VERSION: revision.as_str(),
        CLIENT_INFO: implementation(),
        CLIENT_CAPABILITIES: {},
    })
}
