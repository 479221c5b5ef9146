//! The bodies of HTTP: a request's, read within bounds, and a response's, whole
//! or as it comes.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{alarm, web::apart};

/// How long a client may take to send a request's body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// It is larger than `listen.max_body`.
    #[error("the body is larger than {0} bytes (listen.max_body)")]
    TooLarge(usize),
    /// It did not come in time.
    #[error("the body did not arrive within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// The connection ended within it.
    #[error("the body is incomplete")]
    Broken,
}

/// Reads a request's whole body of at most `limit` bytes.
pub(super) async fn read(
    body: impl Body<Data = Bytes> + Unpin,
    limit: usize,
) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge(limit));
    }
    alarm::within(Instant::now() + PATIENCE, collect(body, limit))
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

async fn collect(mut body: impl Body<Data = Bytes> + Unpin, limit: usize) -> Result<Bytes, Unread> {
    // Most bodies come in one frame, which then is not copied, unless it is small.
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        let held = first.as_ref().map_or(0, Bytes::len) + rest.len();
        if held + data.len() > limit {
            return Err(Unread::TooLarge(limit));
        }
        if first.is_none() {
            first = Some(data);
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(apart(first));
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// A request's body that is read on the task that drives its connection.
pub(super) struct Driven<'a>(pub(super) &'a mut Incoming);

impl Body for Driven<'_> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // What the connection reads it hands over right before it polls the
        // service again, so that nobody needs to be woken.
        Pin::new(&mut *self.0).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A response's body.
pub(super) enum Reply {
    /// All of it.
    Whole(Option<Bytes>),
    /// Piece by piece.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Reply {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }

    /// All of it.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
