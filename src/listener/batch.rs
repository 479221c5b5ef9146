//! JSON-RPC batches, which revision 2025-03-26 has and no other
//! (`basic/index`, JSON-RPC batching).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use tokio::task::JoinSet;

use super::{
    body::Reply,
    endpoint::{Endpoint, refuse},
    legacy,
    render::{empty, json},
};
use crate::{
    access::Principal,
    backend::ClientEnd,
    protocol::{
        Kind, Message, Revision, RpcError,
        error::{INVALID_REQUEST, PARSE_ERROR},
        method,
        raw::elements,
    },
};

/// The most messages taken in one batch.
const MAX: usize = 100;

/// Answers a batch with the responses in the order of their requests.
pub(super) async fn answer(
    endpoint: &Endpoint,
    who: &Principal,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Reply> {
    let bad = |code, text: &str| refuse((StatusCode::BAD_REQUEST, RpcError::new(code, text)));
    let Some(items) = std::str::from_utf8(body).ok().and_then(elements) else {
        return bad(PARSE_ERROR, "Parse error: not JSON");
    };
    let session = match endpoint.session(who, headers) {
        Ok(session) if session.revision == Revision::V2025_03_26 => session,
        _ => {
            return bad(
                INVALID_REQUEST,
                "Invalid Request: a batch (only revision 2025-03-26 has them, within a session)",
            );
        }
    };
    if items.is_empty() || items.len() > MAX {
        return bad(
            INVALID_REQUEST,
            "Invalid Request: a batch holds 1 to 100 messages",
        );
    }
    let mut calls = JoinSet::new();
    let mut responses: Vec<Option<Bytes>> = Vec::new();
    for item in items {
        let failed = match Message::parse(body.slice_ref(item.as_bytes())) {
            Err(error) => Some(Message::failure(None, &error)),
            Ok(message) => match message.kind() {
                Kind::Request { .. } if message.method() == Some(method::INITIALIZE) => {
                    let error = RpcError::new(
                        INVALID_REQUEST,
                        "Invalid Request: initialize must not be part of a batch",
                    );
                    Some(Message::failure(message.id(), &error))
                }
                Kind::Request { .. } => {
                    let place = responses.len();
                    responses.push(None);
                    let (session, client) = (Arc::clone(&session), ClientEnd::open());
                    let exchange =
                        legacy::serve(&endpoint.mux, who, session, client, message, false);
                    calls.spawn(async move { (place, exchange.response().await) });
                    None
                }
                _ => {
                    legacy::notified(&endpoint.mux, &session, &message);
                    None
                }
            },
        };
        if let Some(failed) = failed {
            responses.push(Some(failed.into_bytes()));
        }
    }
    while let Some(done) = calls.join_next().await {
        if let Ok((place, Ok(message))) = done {
            responses[place] = Some(message.into_bytes());
        }
    }
    if responses.is_empty() {
        return empty(StatusCode::ACCEPTED);
    }
    let mut out = BytesMut::new();
    for response in responses.into_iter().flatten() {
        out.put_u8(if out.is_empty() { b'[' } else { b',' });
        out.put(response);
    }
    out.put_u8(b']');
    json(StatusCode::OK, out.freeze())
}
