//! An exchange as an HTTP response: one JSON body if its first message is the
//! response, else an event stream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::time::{Instant, timeout};

use super::{accept::Form, body::Reply, call_stream::Opening, modern};
use crate::{
    alarm,
    backend::{BackendError, Exchange, Item},
    protocol::{Era, Kind, Message, RpcError, error::INTERNAL_ERROR, sse},
};

/// How long a stream may be silent before a comment keeps it open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a message is answered with.
pub(super) enum Answer<'a> {
    /// This, at once.
    Now(Response<Reply>),
    /// What an exchange brings.
    Of(Rendering<'a>),
}

impl From<Response<Reply>> for Answer<'_> {
    fn from(response: Response<Reply>) -> Self {
        Self::Now(response)
    }
}

/// An exchange on its way to a client of `era`.
///
/// A modern client that goes away has cancelled its request: the exchange is
/// dropped. A legacy one has not: the exchange is driven to its end.
pub(super) struct Rendering<'a> {
    course: Course,
    form: Form,
    /// What becomes the headers of the response.
    headers: HeaderMap,
    opening: Option<Opening<'a>>,
}

/// What is still to come of an exchange.
struct Course {
    exchange: Option<Exchange>,
    era: Era,
}

impl<'a> Rendering<'a> {
    pub(super) fn new(exchange: Exchange, era: Era, form: Form) -> Self {
        Self {
            course: Course {
                exchange: Some(exchange),
                era,
            },
            form,
            headers: HeaderMap::new(),
            opening: None,
        }
    }

    /// Uses `headers`, which are empty, for the response: those of the request had
    /// more room than it needs.
    pub(super) fn within(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// A stream can be taken up again where there is an `opening`.
    pub(super) fn resumed_by(mut self, opening: Option<Opening<'a>>) -> Self {
        self.opening = opening;
        self
    }

    /// The HTTP response. What comes before the exchange's response is left out of one
    /// JSON body.
    pub(super) async fn respond(mut self) -> Response<Reply> {
        let (form, era) = (self.form, self.course.era);
        // A stream of the legacy era can begin at once. The status of a modern
        // answer depends on its first message, and there one body is the rule.
        if era == Era::Legacy && matches!(form, Form::StreamFirst | Form::Stream) {
            return self.stream(None);
        }
        loop {
            let patience = Instant::now() + KEEP_ALIVE;
            match alarm::within(patience, self.course.next()).await {
                Some(Some(Ok(only))) if form == Form::Stream && status(&only, era).is_success() => {
                    return self.stream(Some(only));
                }
                Some(Some(item)) if is_last(&item) => return self.whole(item),
                Some(None) => return self.whole(Err(BackendError::NoResponse)),
                Some(Some(item)) if form.streams() => return self.stream(item.ok()),
                None if form.streams() => return self.stream(None),
                Some(Some(_)) | None => {}
            }
        }
    }

    fn whole(self, item: Item) -> Response<Reply> {
        match item {
            Ok(message) => {
                let status = status(&message, self.course.era);
                json_within(self.headers, status, message.into_bytes())
            }
            // The client does not wait for a response any more.
            Err(BackendError::Cancelled) => empty(StatusCode::ACCEPTED),
            Err(error) => json(
                StatusCode::INTERNAL_SERVER_ERROR,
                Message::failure(None, &RpcError::new(INTERNAL_ERROR, error.to_string()))
                    .into_bytes(),
            ),
        }
    }

    fn stream(self, first: Option<Message>) -> Response<Reply> {
        let mut course = self.course;
        if let Some(opening) = self.opening
            && let Some(exchange) = course.exchange.take()
        {
            return opening.answer(exchange, first);
        }
        events(async_stream::stream! {
            match first {
                Some(message) => yield sse::event(message.bytes()),
                None => yield Bytes::from_static(sse::KEEP_ALIVE),
            }
            loop {
                match timeout(KEEP_ALIVE, course.next()).await {
                    Err(_) => yield Bytes::from_static(sse::KEEP_ALIVE),
                    Ok(Some(Ok(message))) => yield sse::event(message.bytes()),
                    Ok(Some(Err(_)) | None) => return,
                }
            }
        })
    }
}

impl Course {
    /// The next message; the exchange is let go with its last.
    async fn next(&mut self) -> Option<Item> {
        let item = self.exchange.as_mut()?.next().await;
        if item.as_ref().is_none_or(is_last) {
            self.exchange = None;
        }
        item
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if self.era == Era::Modern {
            return;
        }
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
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
