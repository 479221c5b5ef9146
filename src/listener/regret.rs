//! Cancelling a request by notification, as legacy clients do and clients on
//! stdio.

use tokio_util::sync::CancellationToken;

use crate::{
    backend::ClientEnd,
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
}

/// Whether a request in flight has been cancelled, and why.
#[derive(Debug, Clone)]
pub(super) struct Regret {
    /// It has been cancelled.
    pub(super) cancelled: CancellationToken,
    /// The client's end of the request, through which the backend learns why.
    pub(super) client: ClientEnd,
}

impl Default for Regret {
    fn default() -> Self {
        Self {
            cancelled: CancellationToken::new(),
            client: ClientEnd::open(),
        }
    }
}

impl Regret {
    /// A request that is cancelled with `all` as well.
    pub(super) fn below(all: &CancellationToken) -> Self {
        Self {
            cancelled: all.child_token(),
            client: ClientEnd::open(),
        }
    }

    /// Takes in the notification.
    pub(super) fn take(&self, cancelled: &Cancelled) {
        if let Some(reason) = &cancelled.reason {
            self.client.cancel(reason);
        }
        self.cancelled.cancel();
    }
}
