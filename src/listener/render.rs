//! An exchange as an HTTP response: one JSON body if its first message is the
//! response, else an event stream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;

use super::{accept::Form, body::Reply, call_stream::Opening, modern};
use crate::{
    backend::{BackendError, Exchange, Item},
    protocol::{Era, Kind, Message, RpcError, error::INTERNAL_ERROR, sse},
};

/// How long a stream may be silent before a comment keeps it open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An exchange on its way to a client of `era`.
///
/// A modern client that goes away has cancelled its request: the exchange is
/// dropped. A legacy one has not: the exchange is driven to its end.
pub(super) struct Rendering {
    exchange: Option<Exchange>,
    era: Era,
    /// What becomes the headers of the response.
    headers: HeaderMap,
}

impl Rendering {
    pub(super) fn new(exchange: Exchange, era: Era) -> Self {
        Self {
            exchange: Some(exchange),
            era,
            headers: HeaderMap::new(),
        }
    }

    /// Uses `headers`, which are empty, for the response: those of the request had
    /// more room than it needs.
    pub(super) fn within(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The next message; the exchange is let go with its last.
    async fn next(&mut self) -> Option<Item> {
        let item = self.exchange.as_mut()?.next().await;
        if item.as_ref().is_none_or(is_last) {
            self.exchange = None;
        }
        item
    }

    /// The HTTP response, of which a stream can be taken up again where there is
    /// an `opening`. What comes before the response is left out of one JSON body.
    pub(super) async fn respond(
        mut self,
        form: Form,
        opening: Option<Opening<'_>>,
    ) -> Response<Reply> {
        // A stream of the legacy era can begin at once. The status of a modern
        // answer depends on its first message, and there one body is the rule.
        if self.era == Era::Legacy && matches!(form, Form::StreamFirst | Form::Stream) {
            return self.stream(None, opening);
        }
        loop {
            match timeout(KEEP_ALIVE, self.next()).await {
                Ok(Some(Ok(only)))
                    if form == Form::Stream && status(&only, self.era).is_success() =>
                {
                    return self.stream(Some(only), opening);
                }
                Ok(Some(item)) if is_last(&item) => return self.whole(item),
                Ok(None) => return self.whole(Err(BackendError::NoResponse)),
                Ok(Some(item)) if form.streams() => return self.stream(item.ok(), opening),
                Err(_) if form.streams() => return self.stream(None, opening),
                Ok(Some(_)) | Err(_) => {}
            }
        }
    }

    fn whole(mut self, item: Item) -> Response<Reply> {
        let headers = std::mem::take(&mut self.headers);
        match item {
            Ok(message) => json_within(headers, status(&message, self.era), message.into_bytes()),
            // The client does not wait for a response any more.
            Err(BackendError::Cancelled) => empty(StatusCode::ACCEPTED),
            Err(error) => json(
                StatusCode::INTERNAL_SERVER_ERROR,
                Message::failure(None, &RpcError::new(INTERNAL_ERROR, error.to_string()))
                    .into_bytes(),
            ),
        }
    }

    fn stream(mut self, first: Option<Message>, opening: Option<Opening<'_>>) -> Response<Reply> {
        if let Some(opening) = opening
            && let Some(exchange) = self.exchange.take()
        {
            return opening.answer(exchange, first);
        }
        events(async_stream::stream! {
            match first {
                Some(message) => yield sse::event(message.bytes()),
                None => yield Bytes::from_static(sse::KEEP_ALIVE),
            }
            loop {
                match timeout(KEEP_ALIVE, self.next()).await {
                    Err(_) => yield Bytes::from_static(sse::KEEP_ALIVE),
                    Ok(Some(Ok(message))) => yield sse::event(message.bytes()),
                    Ok(Some(Err(_)) | None) => return,
                }
            }
        })
    }
}

impl Drop for Rendering {
    fn drop(&mut self) {
        if self.era == Era::Modern {
            return;
        }
        if let (Some(exchange), Ok(runtime)) =
            (self.exchange.take(), tokio::runtime::Handle::try_current())
        {
            // Bounded by the call's own deadline.
            runtime.spawn(exchange.response());
        }
    }
}

/// Whether nothing of its exchange follows.
pub(super) fn is_last(item: &Item) -> bool {
    item.as_ref().map_or(true, |message| {
        matches!(message.kind(), Kind::Response { .. })
    })
}

/// The HTTP status of an answer that is, or begins with, `message`.
fn status(message: &Message, era: Era) -> StatusCode {
    match message.kind() {
        Kind::Response { failed: true, .. } if era == Era::Modern => modern::status(message),
        _ => StatusCode::OK,
    }
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = status;
    response
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Reply> {
    json_within(HeaderMap::new(), status, body)
}

/// The same, with `headers`, which are empty, for its own.
fn json_within(mut headers: HeaderMap, status: StatusCode, body: Bytes) -> Response<Reply> {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let mut response = Response::new(Reply::whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A response with an event stream for a body.
pub(super) fn events(
    stream: impl futures_core::Stream<Item = Bytes> + Send + 'static,
) -> Response<Reply> {
    let mut response = Response::new(Reply::Stream(Box::pin(stream)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(sse::MEDIA_TYPE),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
