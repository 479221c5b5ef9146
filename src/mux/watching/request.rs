//! Who has a resource, and the requests of legacy clients to be told of its
//! updates (2025-11-25, `server/resources`, Subscriptions).

use std::{borrow::Cow, sync::Arc};

use super::{Subscriber, Unwatched};
use crate::{
    backend::Exchange,
    config::Thing,
    mux::{Caller, Mux, catalog::Located},
    protocol::{
        Message, RawObject, RpcError,
        error::{INVALID_PARAMS, RESOURCE_NOT_FOUND, UNAVAILABLE},
    },
};

impl Mux {
    /// Serves `resources/subscribe`.
    pub(in crate::mux) fn subscribe(
        self: &Arc<Self>,
        caller: Caller,
        message: Message,
    ) -> Exchange {
        let mux = Arc::clone(self);
        Exchange::new(async_stream::stream! {
            let Some(id) = message.id() else { return };
            let (subscriber, uri) = match wish(&caller, &message) {
                Ok(wish) => wish,
                Err(error) => {
                    yield Ok(Message::failure(Some(id), &error));
                    return;
                }
            };
            yield Ok(match mux.watch(caller.principal.role(), subscriber, &uri, false).await {
                Ok(()) => {
                    mux.note_clients();
                    Message::success(id, "{}")
                }
                Err((unwatched, backend)) => match unwatched {
                    Some(Unwatched::Refused(refused)) => refused.response(id, &backend, &uri),
                    Some(Unwatched::Full(full)) => {
                        let error = RpcError::new(UNAVAILABLE, format!("too many subscriptions: {full}"));
                        Message::failure(Some(id), &error)
                    }
                    None => {
                        let error = RpcError::new(RESOURCE_NOT_FOUND, format!("Resource not found: {uri}"));
                        Message::failure(Some(id), &error)
                    }
                },
            });
        })
    }

    /// Serves `resources/unsubscribe`.
    pub(in crate::mux) fn unsubscribe(&self, caller: &Caller, message: &Message) -> Exchange {
        let Some(id) = message.id() else {
            return Exchange::ready(Err(crate::backend::BackendError::NoResponse));
        };
        Exchange::ready(Ok(match wish(caller, message) {
            Ok((subscriber, uri)) => {
                self.watching.unsubscribe(subscriber.client, &uri);
                self.note_clients();
                Message::success(id, "{}")
            }
            Err(error) => Message::failure(Some(id), &error),
        }))
    }

    /// Subscribes to what a client in `role` knows as `uri`, at the first backend that has
    /// it. Error: what the last one said, and its name; nothing if none may
    /// have it. `lasting` is as in [`subscribe`](super::Watching::subscribe).
    pub(in crate::mux) async fn watch(
        &self,
        role: &str,
        subscriber: &Subscriber,
        uri: &str,
        lasting: bool,
    ) -> Result<(), (Option<Unwatched>, String)> {
        let mut candidates = self.view(role).resource(uri);
        if candidates.is_empty() {
            self.settled().await;
            candidates = self.view(role).resource(uri);
        }
        let mut last = (None, String::new());
        for Located { backend, uri: own } in candidates {
            let alias = uri.strip_suffix(own.as_str()).unwrap_or_default();
            let outcome = self
                .watching
                .subscribe(subscriber, &backend, &own, alias, lasting)
                .await;
            match outcome {
                Ok(()) => {
                    // A reload may have taken it from the role meanwhile.
                    let may = self.view(role).may(Thing::Resource, backend.name(), &own);
                    if !may {
                        self.watching.unsubscribe(subscriber.client, uri);
                    }
                    return may.then_some(()).ok_or((None, String::new()));
                }
                Err(unwatched) => {
                    let elsewhere =
                        matches!(&unwatched, Unwatched::Refused(refused) if refused.is_not_found());
                    last = (Some(unwatched), backend.name().to_owned());
                    if !elsewhere {
                        break;
                    }
                }
            }
        }
        Err(last)
    }
}

/// Who wants what.
fn wish<'a>(
    caller: &'a Caller,
    message: &'a Message,
) -> Result<(&'a Subscriber, Cow<'a, str>), RpcError> {
    let invalid = |what: &str| RpcError::new(INVALID_PARAMS, format!("Invalid params: {what}"));
    let params = message.payload().unwrap_or("{}");
    let params = RawObject::parse(params).map_err(|error| invalid(&error.to_string()))?;
    let uri = params
        .get_str("uri")
        .map_err(|error| invalid(&error.to_string()))?
        .ok_or_else(|| invalid("\"uri\" must be a string"))?;
    let subscriber = caller
        .subscriber
        .as_ref()
        .ok_or_else(|| invalid("a subscription needs a session"))?;
    Ok((subscriber, uri))
}
