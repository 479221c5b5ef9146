//! What a GET brings: the stream of a legacy session, of what belongs to no call, or the
//! rest of a call's own (2025-11-25, `basic/transports`, Listening for Messages from the
//! Server).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::time::sleep;

use super::{
    accept,
    body::Reply,
    call_stream,
    endpoint::{Endpoint, not_allowed, refuse},
    origin::METHODS,
    outbox::Sent,
    render::{KEEP_ALIVE, events},
    ring::EventId,
    session::Session,
};
use crate::{
    access::Principal,
    mux::Mux,
    protocol::{Revision, RpcError, error::INVALID_REQUEST, header as mcp, sse},
};

/// How long a client that lost its stream is asked to wait, in milliseconds.
pub(super) const RETRY: u64 = 1000;

/// Answers a GET of `who`: with a legacy session's stream of notifications, or the rest
/// of a call's.
pub(super) fn answer(endpoint: &Endpoint, who: &Principal, headers: &HeaderMap) -> Response<Reply> {
    if !accept::names(headers, sse::MEDIA_TYPE) {
        return refuse((
            StatusCode::NOT_ACCEPTABLE,
            RpcError::new(INVALID_REQUEST, "Accept must list text/event-stream"),
        ));
    }
    if headers.get(&mcp::SESSION_ID).is_none() {
        // A modern client has no such stream, and a browser no business here.
        return not_allowed(METHODS);
    }
    let session = match endpoint.session(who, headers) {
        Ok(session) => session,
        Err(refusal) => return refuse(refusal),
    };
    let last_id = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or_default());
    match last_id.map(EventId::parse) {
        None => return open(&endpoint.mux, &session, None),
        Some(Some(EventId { call: None, number })) => {
            return open(&endpoint.mux, &session, Some(number));
        }
        Some(Some(EventId {
            call: Some(call),
            number,
        })) => {
            if let Some(reading) = session.call_streams.resume(call, number) {
                return call_stream::go_on(reading);
            }
        }
        Some(None) => {}
    }
    refuse((
        StatusCode::BAD_REQUEST,
        RpcError::new(
            INVALID_REQUEST,
            "Bad Request: what followed the event of Last-Event-ID is not kept, or there was no such event",
        ),
    ))
}

/// Opens the stream, which takes the place of an older one, behind the event
/// `last` if the client names one.
fn open(mux: &Arc<Mux>, session: &Arc<Session>, last: Option<u64>) -> Response<Reply> {
    let mut stream = session.take_stream(last);
    let mut changes = mux.changes(session.role(), Some(session.seen()));
    // Older clients take an event without data for a broken message.
    let primes = session.revision >= Revision::V2025_11_25;
    events(async_stream::stream! {
        let mut retry = primes.then_some(RETRY);
        match stream.prime().filter(|_| primes) {
            Some(first) => yield event(&first, retry.take()),
            None => yield Bytes::from_static(sse::KEEP_ALIVE),
        }
        loop {
            tokio::select! {
                sent = stream.next() => match sent {
                    Some(sent) => yield event(&sent, retry.take()),
                    None => return,
                },
                lists = changes.next() => match lists {
                    Some(_) => stream.session.tell(changes.seen()),
                    None => return,
                },
                () = sleep(KEEP_ALIVE) => yield Bytes::from_static(sse::KEEP_ALIVE),
            }
        }
    })
}

/// An event with its id and, if given, a time to wait before going on from it.
pub(super) fn event(sent: &Sent, retry: Option<u64>) -> Bytes {
    sse::event_with(&sent.message, sent.id, retry)
}
