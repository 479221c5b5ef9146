//! One request to an HTTP backend and what belongs to it, as an exchange: the
//! answer, taken up again where its stream broke off, and what the server says
//! on its other stream in the course of the call.

use std::{future::poll_fn, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use tracing::debug;

use super::{
    answer::{self, Events, is_event_stream},
    link::HttpLink,
};
use crate::{
    backend::{
        BackendError, CancelReason, Exchange, Unasked, ear, exchange::Item, mailbox::Mailbox,
        unasked,
    },
    protocol::{Era, Kind, Message, header as mcp, method},
};

/// The pause before a stream that broke off is taken up again, unless the
/// server names another one.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a stream is taken up again without having brought a message.
const MAX_RESUMED: u32 = 10;

impl HttpLink {
    /// Sends the request `message`, which carries `id`. `client` says why its
    /// client cancels it, if it is made for one.
    pub(crate) fn request(
        self: &Arc<Self>,
        id: u64,
        message: &Message,
        headers: HeaderMap,
        client: Option<CancelReason>,
    ) -> Exchange {
        let link = Arc::clone(self);
        let body = message.bytes().clone();
        let opens = message.method() == Some(method::INITIALIZE);
        let mut call = OpenCall::enter(self, id, opens, client);
        call.listens = message.method() == Some(method::LISTEN);
        Exchange::new(async_stream::stream! {
            let posted = {
                let posting = link.post(&body, &headers, opens);
                tokio::pin!(posting);
                loop {
                    tokio::select! {
                        biased;
                        said = call.said() => yield said,
                        posted = &mut posting => break posted,
                    }
                }
            };
            let response = match posted {
                Ok(response) => response,
                Err(error) => {
                    call.disarm();
                    yield Err(error);
                    return;
                }
            };
            if opens && let Some(session) = response.headers().get(mcp::SESSION_ID) {
                link.set_mode(None, Some(session.clone()));
            }
            if !is_event_stream(&response) {
                let item = answer::whole(response, link.max_message).await;
                call.disarm();
                yield item;
                return;
            }
            let mut events = Events::new(response, link.max_message);
            let mut resumed = 0;
            loop {
                let next = tokio::select! {
                    biased;
                    said = call.said() => {
                        yield said;
                        continue;
                    }
                    next = events.next() => next,
                };
                match next {
                    Ok(Some(message)) => {
                        resumed = 0;
                        match call.take(message).await {
                            Some(message) if matches!(message.kind(), Kind::Response { .. }) => {
                                call.disarm();
                                yield Ok(message);
                                return;
                            }
                            Some(message) => yield Ok(message),
                            None => {}
                        }
                    }
                    broken => {
                        resumed += 1;
                        let again = match broken {
                            Ok(_) | Err(BackendError::Http(_)) => link.resume(&events, resumed).await,
                            Err(_) => None,
                        };
                        let Some(again) = again else {
                            if broken.is_ok() {
                                call.disarm();
                            }
                            yield Err(broken.err().unwrap_or(BackendError::NoResponse));
                            return;
                        };
                        events = again;
                    }
                }
            }
        })
    }

    /// Takes up a stream that broke off, where the server gave its events ids
    /// (2025-11-25, `basic/transports`, Resumability and Redelivery).
    async fn resume(self: &Arc<Self>, broken: &Events, attempt: u32) -> Option<Events> {
        let last_id = broken.last_id.clone()?;
        if attempt > MAX_RESUMED || !self.is_legacy() {
            return None;
        }
        let pause = broken.retry.map_or(PAUSE, Duration::from_millis);
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        let response = self.get(Some(&last_id)).await.ok()?;
        if response.status() != StatusCode::OK || !is_event_stream(&response) {
            return None;
        }
        debug!(backend = %self.backend, "took up a stream that had broken off");
        let mut events = Events::new(response, self.max_message);
        events.last_id = Some(last_id);
        events.retry = broken.retry;
        Some(events)
    }

    fn is_legacy(&self) -> bool {
        let revision = self.mode.load().revision;
        revision.is_some_and(|revision| revision.era() == Era::Legacy)
    }
}

/// A call's place among those of its link. Leaving it early tells a legacy
/// server that the call is no longer wanted; to a modern one the closed stream
/// says it.
struct OpenCall {
    link: Arc<HttpLink>,
    id: u64,
    /// What the server says of it on its other stream, which only a legacy one has.
    mailbox: Option<Arc<Mailbox>>,
    for_client: bool,
    reason: CancelReason,
    /// It is for what belongs to no call that it was made.
    listens: bool,
    armed: bool,
}

impl OpenCall {
    fn enter(link: &Arc<HttpLink>, id: u64, opens: bool, client: Option<CancelReason>) -> Self {
        let legacy = link.is_legacy();
        Self {
            link: Arc::clone(link),
            id,
            mailbox: legacy.then(|| link.calls.enter(id, client.is_some())),
            for_client: client.is_some(),
            reason: client.unwrap_or_default(),
            listens: false,
            armed: legacy && !opens,
        }
    }

    /// What the server says of the call on its other stream.
    async fn said(&self) -> Item {
        match &self.mailbox {
            Some(mailbox) => poll_fn(|cx| mailbox.poll_next(cx)).await,
            None => std::future::pending().await,
        }
    }

    /// A message of the call's own stream; `None` if it is nothing to pass on.
    async fn take(&self, message: Message) -> Option<Message> {
        match message.kind() {
            Kind::Request { .. } => {
                let answer = unasked::answer(&message).or_else(|| {
                    let why = "mcpmux asks this on its own account";
                    (!self.for_client).then(|| unasked::refuse(&message, why))
                });
                let Some(answer) = answer else {
                    return Some(message);
                };
                let _ = self.link.send(&answer).await;
                None
            }
            Kind::Response {
                id: Some(other), ..
            } if other.as_u64() != Some(self.id) => {
                debug!(backend = %self.link.backend, "a response to another request");
                None
            }
            // What one client's own server says there is for that client.
            Kind::Notification { .. }
                if !self.listens
                    && self.link.whose.is_none()
                    && (ear::is_unasked(&message) || ear::is_addressed(&message)) =>
            {
                self.link.unasked.send(Unasked::Notification(message)).await;
                None
            }
            Kind::Notification { .. } | Kind::Response { .. } => Some(message),
        }
    }

    /// The call has ended at the server.
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.mailbox.is_some() {
            self.link.calls.take(self.id);
        }
        let (true, Ok(runtime)) = (self.armed, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let params = self.reason.params(self.id);
        let link = Arc::clone(&self.link);
        runtime.spawn(async move {
            let cancelled = Message::notification(method::CANCELLED, &params);
            let _ = link.send(&cancelled).await;
        });
    }
}
