//! One request to an HTTP backend and what belongs to it, as an exchange: the
//! answer, taken up again where its stream broke off, and what the server says
//! on its other stream in the course of the call.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use futures_core::Stream;
use http::HeaderMap;
use tokio::time::timeout;
use tracing::debug;

use super::{
    answer::{self, Events, is_event_stream},
    client::Response,
    link::HttpLink,
    resume::pause_of,
};
use crate::{
    backend::{
        BackendError, ClientEnd, Exchange, Unasked, ear, exchange::Item, mailbox::Mailbox, unasked,
        unwaited::PATIENCE,
    },
    protocol::{Era, Kind, Message, header as mcp, method},
};

impl HttpLink {
    /// Sends the request `message`, which carries `id`. `client` is its
    /// client's end, if it is made for one.
    pub(crate) fn request(
        self: &Arc<Self>,
        id: u64,
        message: &Message,
        headers: HeaderMap,
        client: Option<ClientEnd>,
    ) -> Exchange {
        let body = message.bytes().clone();
        let opens = message.method() == Some(method::INITIALIZE);
        let mut call = OpenCall::enter(self, id, opens, client);
        call.listens = message.method() == Some(method::LISTEN);
        Exchange::new(async_stream::stream! {
            let response = {
                let posting = call.link.post(&body, &headers, opens);
                tokio::pin!(posting);
                let posted = loop {
                    tokio::select! {
                        biased;
                        said = call.said() => yield said,
                        posted = &mut posting => break posted,
                    }
                };
                match posted {
                    Ok(response) => response,
                    Err(error) => {
                        call.disarm();
                        yield Err(error);
                        return;
                    }
                }
            };
            if opens && let Some(session) = response.headers().get(mcp::SESSION_ID) {
                call.link.set_mode(None, Some(session.clone()));
            }
            if !is_event_stream(&response) {
                let item = answer::whole(response, call.link.max_message).await;
                call.disarm();
                yield item;
                return;
            }
            let link = Arc::clone(&call.link);
            for await item in Box::pin(link.stream(call, response)) {
                yield item;
            }
        })
    }

    /// The messages of `response`, which is an event stream, in the course of `call`.
    fn stream(
        self: Arc<Self>,
        call: OpenCall,
        response: Response,
    ) -> impl Stream<Item = Item> + Send {
        async_stream::stream! {
            let mut events = Events::new(response, self.max_message);
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
                        let ended = broken.is_ok();
                        let error = broken.err().unwrap_or(BackendError::NoResponse);
                        if ended && self.can_resume(&events, resumed) {
                            call.client.pause(pause_of(&events));
                        }
                        let again = {
                            let mut resuming =
                                Box::pin(self.resume(&events, &mut resumed, error));
                            loop {
                                tokio::select! {
                                    biased;
                                    said = call.said() => yield said,
                                    again = &mut resuming => break again,
                                }
                            }
                        };
                        match again {
                            Ok(again) => events = again,
                            Err(error) => {
                                if ended {
                                    call.disarm();
                                }
                                yield Err(error);
                                return;
                            }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn is_legacy(&self) -> bool {
        let revision = self.mode.now().revision;
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
    client: ClientEnd,
    /// It is for what belongs to no call that it was made.
    listens: bool,
    armed: AtomicBool,
}

impl OpenCall {
    fn enter(link: &Arc<HttpLink>, id: u64, opens: bool, client: Option<ClientEnd>) -> Self {
        let legacy = link.is_legacy();
        Self {
            link: Arc::clone(link),
            id,
            mailbox: legacy.then(|| link.calls.enter(id, client.is_some())),
            for_client: client.is_some(),
            client: client.unwrap_or_default(),
            listens: false,
            armed: AtomicBool::new(legacy && !opens),
        }
    }

    /// What the server says of the call on its other stream.
    async fn said(&self) -> Item {
        let Some(mailbox) = &self.mailbox else {
            return std::future::pending().await;
        };
        let said = poll_fn(|cx| mailbox.poll_next(cx)).await;
        if matches!(&said, Ok(message) if matches!(message.kind(), Kind::Response { .. })) {
            self.disarm();
        }
        said
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
                // Boxed: each call has room for what it may wait for.
                let _ = Box::pin(self.link.send(&answer)).await;
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
                let said = Unasked::Notification(message);
                Box::pin(self.link.unasked.send(said)).await;
                None
            }
            Kind::Notification { .. } | Kind::Response { .. } => Some(message),
        }
    }

    /// The call has ended at the server.
    fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.mailbox.is_some() {
            self.link.calls.take(self.id);
        }
        if !*self.armed.get_mut() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let params = self.client.cancelled(self.id);
        let link = Arc::clone(&self.link);
        runtime.spawn(async move {
            let cancelled = Message::notification(method::CANCELLED, &params);
            let _ = timeout(PATIENCE, link.send(&cancelled)).await;
        });
    }
}
