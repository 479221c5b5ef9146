//! Cancelling a request by notification, as legacy clients do and clients on
//! stdio.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::session::Place;
use crate::{
    backend::{BackendError, ClientEnd, Exchange, Item},
    protocol::{Id, Message, RawObject},
};

/// What a `notifications/cancelled` says.
#[derive(Debug)]
pub(super) struct Cancelled {
    /// The request that is no longer wanted.
    pub(super) id: Id,
    /// Why, JSON text.
    reason: Option<String>,
}

impl Cancelled {
    /// Reads the notification; `None` if it names no request.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let params = RawObject::parse(message.payload()?).ok()?;
        Some(Self {
            id: Id::from_json(params.get("requestId").ok()??)?,
            reason: params.get("reason").ok().flatten().map(str::to_owned),
        })
    }

    /// Tells the request of which `client` is the client's end.
    pub(super) fn tell(&self, client: &ClientEnd) {
        if let Some(reason) = &self.reason {
            client.cancel(reason);
        }
        client.withdraw();
    }
}

/// An exchange that ends when its client has cancelled it.
pub(super) struct Cancellable {
    exchange: Exchange,
    place: Place,
}

impl Cancellable {
    /// `exchange`, which is that of the request at `place`.
    pub(super) fn new(exchange: Exchange, place: Place) -> Self {
        Self { exchange, place }
    }
}

impl Stream for Cancellable {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.place.client.poll_withdrawn(cx).is_ready() {
            return Poll::Ready(Some(Err(BackendError::Cancelled)));
        }
        Pin::new(&mut self.exchange).poll_next(cx)
    }
}
