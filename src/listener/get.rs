//! The stream of a legacy session: a GET that brings what belongs to no call
//! (2025-11-25, `basic/transports`, Listening for Messages from the Server).

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use tokio::time::sleep;

use super::{
    body::Reply,
    outbox::Sent,
    render::{KEEP_ALIVE, events},
    session::Session,
};
use crate::{
    mux::Mux,
    protocol::{Revision, sse},
};

/// How long a client that lost its stream is asked to wait, in milliseconds.
pub(super) const RETRY: u64 = 1000;

/// Opens the stream, which takes the place of an older one, behind the event
/// `last` if the client names one.
pub(super) fn open(mux: &Arc<Mux>, session: &Arc<Session>, last: Option<u64>) -> Response<Reply> {
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
