//! An exchange: the messages that belong to one request, in order, of which
//! the last is its response.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::BackendError;
use crate::protocol::{Kind, Message};

/// What an exchange yields: notifications and at last one response, or what
/// kept the response from coming.
pub type Item = Result<Message, BackendError>;

/// A stream that ends with exactly one response or error; nothing follows it.
///
/// Dropping an exchange before its end cancels the request at the backend.
pub struct Exchange {
    inner: Option<Source>,
}

enum Source {
    Ready(Box<Item>),
    Stream(Pin<Box<dyn Stream<Item = Item> + Send>>),
}

impl Exchange {
    /// An exchange that is already over.
    pub fn ready(item: Item) -> Self {
        Self {
            inner: Some(Source::Ready(Box::new(item))),
        }
    }

    /// An exchange over `stream`, of which nothing after the first response or
    /// error is looked at.
    pub fn new(stream: impl Stream<Item = Item> + Send + 'static) -> Self {
        Self {
            inner: Some(Source::Stream(Box::pin(stream))),
        }
    }

    /// The next message; `None` after the response.
    pub async fn next(&mut self) -> Option<Item> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The response, all before it dropped.
    pub async fn response(mut self) -> Item {
        while let Some(item) = self.next().await {
            match item {
                Ok(message) if !matches!(message.kind(), Kind::Response { .. }) => {}
                last => return last,
            }
        }
        Err(BackendError::NoResponse)
    }
}

impl Stream for Exchange {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let item = match self.inner.take() {
            None => return Poll::Ready(None),
            Some(Source::Ready(item)) => *item,
            Some(Source::Stream(mut stream)) => match stream.as_mut().poll_next(cx) {
                Poll::Pending => {
                    self.inner = Some(Source::Stream(stream));
                    return Poll::Pending;
                }
                Poll::Ready(Some(item)) => {
                    if matches!(&item, Ok(m) if !matches!(m.kind(), Kind::Response { .. })) {
                        self.inner = Some(Source::Stream(stream));
                    }
                    item
                }
                Poll::Ready(None) => Err(BackendError::NoResponse),
            },
        };
        Poll::Ready(Some(item))
    }
}
