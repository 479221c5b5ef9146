//! Subscribing to the updates of one resource at one backend, as its era does
//! it. Who wants them, and how many, is not its concern.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::timeout;

use super::{BackendError, Connection};
use crate::protocol::{
    Era, Id, Kind, Message, RawObject, RpcError,
    error::{INVALID_PARAMS, RESOURCE_NOT_FOUND},
    method,
    raw::encode_str,
};

/// The most requests about subscriptions that wait for a backend at once.
pub(super) const AT_ONCE: usize = 16;

/// Why a backend does not tell of a resource's updates.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// It answered so.
    Answer(Message),
    /// It did not answer.
    Failed(BackendError),
    /// It has no such resource or tells of none, and gives no reason.
    NotGranted,
}

impl Refused {
    /// As the response to the request `id`, for a subscription to `uri`.
    pub(crate) fn response(&self, id: &Id, backend: &str, uri: &str) -> Message {
        let error = match self {
            Self::Answer(message) => return message.rewritten(Some(id), None),
            Self::Failed(error) => error.to_rpc(backend),
            Self::NotGranted => RpcError::new(
                INVALID_PARAMS,
                format!("backend {backend:?}: it does not tell of updates of {uri}"),
            ),
        };
        Message::failure(Some(id), &error)
    }

    /// Whether the resource is unknown there, so that another backend may have it.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::Answer(message) => message
                .payload()
                .and_then(|error| {
                    let error = RawObject::parse(error).ok()?;
                    error.get("code").ok()??.parse::<i64>().ok()
                })
                .is_some_and(|code| matches!(code, RESOURCE_NOT_FOUND | INVALID_PARAMS)),
            Self::Failed(_) => false,
            Self::NotGranted => true,
        }
    }
}

impl Connection {
    /// Names the session with the backend, which forgets its subscriptions with
    /// it: another one after each reconnection and renewal.
    pub(crate) fn session(&self) -> (u64, u64) {
        (self.number, self.link.sessions())
    }

    /// Has the backend tell of updates of `uri`, within `limit`.
    pub(crate) async fn subscribe(&self, uri: &str, limit: Duration) -> Result<(), Refused> {
        let asked = async {
            match self.era() {
                Era::Modern if !self.offers.subscribe() => Err(Refused::NotGranted),
                Era::Modern if self.wishes.add(uri).await => Ok(()),
                Era::Modern => {
                    self.wishes.remove(uri);
                    Err(Refused::NotGranted)
                }
                Era::Legacy => self.ask(method::SUBSCRIBE, uri).await,
            }
        };
        let asked = timeout(limit, asked).await.unwrap_or_else(|_| {
            let key = "timeout";
            Err(Refused::Failed(BackendError::TimedOut { limit, key }))
        });
        if asked.is_ok() {
            self.usage.subscribed(uri);
        }
        asked
    }

    /// Has the backend no longer tell of updates of `uri`.
    pub(crate) async fn unsubscribe(&self, uri: &str, limit: Duration) -> Result<(), Refused> {
        self.usage.unsubscribed(uri);
        match self.era() {
            Era::Modern => {
                self.wishes.remove(uri);
                Ok(())
            }
            Era::Legacy => timeout(limit, self.ask(method::UNSUBSCRIBE, uri))
                .await
                .unwrap_or_else(|_| {
                    let key = "timeout";
                    Err(Refused::Failed(BackendError::TimedOut { limit, key }))
                }),
        }
    }

    async fn ask(&self, method: &str, uri: &str) -> Result<(), Refused> {
        let _place = self.asking.acquire().await;
        let id = self.link.next_id();
        let params = format!("{{\"uri\":{}}}", encode_str(uri));
        let request = Message::request(&Id::from(id), method, &params);
        let exchange = self.link.request(id, &request, HeaderMap::new(), None);
        let answer = exchange.response().await.map_err(Refused::Failed)?;
        match answer.kind() {
            Kind::Response { failed: true, .. } => Err(Refused::Answer(answer)),
            _ => Ok(()),
        }
    }
}
