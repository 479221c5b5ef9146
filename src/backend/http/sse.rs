//! A backend on the transport of 2024-11-05 (`basic/transports`, HTTP with SSE):
//! one event stream brings all that the server says, for all calls, and its
//! first event names the URL where messages are posted.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    answer::{self, Events, is_event_stream, status_error},
    client::{Client, Response},
    link::{HttpLink, JSON, static_headers},
};
use crate::{
    backend::{
        BackendError, ClientEnd, Ear, Exchange, Introduction, Unasked, calls::Calls, deliver::Rest,
        mailbox::Mailbox, unwaited::Unwaited,
    },
    config::HttpSettings,
    credential::{Credential, Tries},
    protocol::{Message, method, sse},
    web::USER_AGENT,
};

/// The event that names the URL to post to.
const ENDPOINT: &str = "endpoint";

/// How much is read of the answer to a POST, which should be empty, so that its
/// connection can be used again; in bytes.
const ACCEPTED: usize = 4096;

/// How long a stream may take to begin that tells which transport this is.
const GLANCE: Duration = Duration::from_secs(5);

/// A server's event stream. Dropped, the stream ends, and with it the session.
#[derive(Debug)]
pub(crate) struct SseLink(Arc<Wire>);

/// The stream, where messages are posted, and the calls that are open.
#[derive(Debug)]
struct Wire {
    backend: Arc<str>,
    client: Arc<Client>,
    headers: HeaderMap,
    credential: Credential,
    max_message: usize,
    calls: Calls,
    unwaited: Unwaited,
    unasked: Ear,
    /// Where messages are posted, once `named`.
    post: OnceLock<Uri>,
    named: CancellationToken,
    closed: CancellationToken,
    reason: Mutex<Option<BackendError>>,
}

impl SseLink {
    /// Starts to open the stream; what is sent waits for that. `unasked` gets
    /// what belongs to no call; `whose` calls all will be, if of one client.
    pub(crate) fn open(
        backend: Arc<str>,
        client: Arc<Client>,
        settings: &HttpSettings,
        credential: Credential,
        max_message: usize,
        unasked: Ear,
        whose: Option<Arc<Introduction>>,
    ) -> Result<Self, BackendError> {
        let mut headers = static_headers(settings)?;
        headers.insert(header::USER_AGENT, USER_AGENT);
        let wire = Arc::new(Wire {
            backend,
            client,
            headers,
            credential,
            max_message,
            calls: Calls::new(whose),
            unwaited: Unwaited::default(),
            unasked,
            post: OnceLock::new(),
            named: CancellationToken::new(),
            closed: CancellationToken::new(),
            reason: Mutex::default(),
        });
        tokio::spawn(follow(Arc::clone(&wire)));
        Ok(Self(wire))
    }

    /// Where all goes that belongs to no call.
    pub(in crate::backend) fn ear(&self) -> &Ear {
        &self.0.unasked
    }

    /// An id that no other request of this session has or had.
    pub(crate) fn next_id(&self) -> u64 {
        self.0.calls.next_id()
    }

    /// Posts the request `message`, which carries `id`; its response comes on the
    /// stream. `client` is its client's end, if it is made for one.
    pub(crate) fn request(
        &self,
        id: u64,
        message: &Message,
        client: Option<ClientEnd>,
    ) -> Exchange {
        let call = Call::enter(Arc::clone(&self.0), id, client);
        let body = message.bytes().clone();
        Exchange::new(async_stream::stream! {
            let refused = {
                let posting = call.wire.post(body);
                tokio::pin!(posting);
                // The stream may be faster than the answer to the POST.
                loop {
                    tokio::select! {
                        biased;
                        item = poll_fn(|cx| call.mailbox.poll_next(cx)) => yield item,
                        posted = &mut posting => break posted.err(),
                    }
                }
            };
            if let Some(error) = refused {
                call.wire.calls.take(call.id);
                yield Err(error);
                return;
            }
            loop {
                let item = poll_fn(|cx| call.mailbox.poll_next(cx)).await;
                yield item;
            }
        })
    }

    /// Posts a notification or a response.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), BackendError> {
        self.0.post(message.bytes().clone()).await
    }

    /// Waits until the stream has ended, and says why.
    pub(crate) async fn lost(&self) -> Arc<str> {
        self.0.closed.cancelled().await;
        self.0.reason().to_string().into()
    }

    /// Whether the stream has ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        self.0.close(BackendError::Http("stopped".to_owned()));
    }
}

impl Drop for SseLink {
    fn drop(&mut self) {
        self.end();
    }
}

impl HttpLink {
    /// Whether what is reached is a server of this transport.
    pub(crate) async fn is_sse(&self) -> bool {
        let opening = async {
            let response = self.get(None).await.ok()?;
            let mut events =
                is_event_stream(&response).then(|| Events::new(response, self.max_message))?;
            events.opening(ENDPOINT).await.ok()?
        };
        matches!(timeout(GLANCE, opening).await, Ok(Some(_)))
    }
}

/// Reads the stream to its end.
async fn follow(wire: Arc<Wire>) {
    let end = tokio::select! {
        () = wire.closed.cancelled() => return,
        Err(end) = wire.read() => end,
    };
    wire.close(end);
}

impl Wire {
    /// Opens the stream, learns where to post, and delivers what comes.
    async fn read(self: &Arc<Self>) -> Result<Infallible, BackendError> {
        let response = self.ask(None, &Bytes::new()).await?;
        if !is_event_stream(&response) {
            return Err(if response.status().is_success() {
                BackendError::Protocol(
                    "answered without the event stream of transport: sse: is the endpoint's URL \
                     right, or is it transport: http?"
                        .to_owned(),
                )
            } else {
                status_error(response.status())
            });
        }
        let mut events = Events::new(response, self.max_message);
        let named = events.opening(ENDPOINT).await?.ok_or_else(|| {
            BackendError::Protocol(
                "its event stream does not begin with the event `endpoint`: is it transport: http?"
                    .to_owned(),
            )
        })?;
        let uri = self
            .client
            .within_origin(String::from_utf8_lossy(&named).trim())
            .map_err(|why| BackendError::Protocol(format!("the endpoint that it names {why}")))?;
        let _ = self.post.set(uri);
        self.named.cancel();
        while let Some(message) = events.next().await? {
            self.deliver(message);
        }
        Err(BackendError::Http("it ended its event stream".to_owned()))
    }

    fn deliver(self: &Arc<Self>, message: Message) {
        match self.calls.deliver(&self.backend, message) {
            Rest::Nothing => {}
            Rest::Unasked(notification) => {
                let notification = Unasked::Notification(notification);
                if !self.unasked.try_send(notification) {
                    debug!(backend = %self.backend, "too many notifications at once, one is dropped");
                }
            }
            Rest::Answer(answer) => self.post_unwatched(answer),
            Rest::Ask(client, request) => {
                let wire = Arc::clone(self);
                let answer = Box::new(move |answer| wire.post_unwatched(answer));
                client.ask_or_refuse(&request, answer);
            }
        }
    }

    /// Posts `message`, for which nobody waits: the server may take its time
    /// while the stream is read on.
    fn post_unwatched(self: &Arc<Self>, message: Message) {
        let wire = Arc::clone(self);
        self.unwaited.begin(&self.backend, async move {
            wire.post(message.into_bytes()).await
        });
    }

    /// Posts `body` to where the server wants it, once that is known.
    async fn post(&self, body: Bytes) -> Result<(), BackendError> {
        let posted = async {
            self.named.cancelled().await;
            let response = self.ask(self.post.get(), &body).await?;
            match response.status() {
                status if status.is_success() => {
                    let _ = answer::read(response.into_body(), ACCEPTED).await;
                    Ok(())
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => {
                    self.close(BackendError::Http("it has lost the session".to_owned()));
                    Err(self.closed_error())
                }
                _ => Err(status_error(response.status())),
            }
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(self.closed_error()),
            posted = posted => posted,
        }
    }

    /// Gets the stream, or posts `body` to `post`; once more with a fresh
    /// credential where it was refused.
    async fn ask(&self, post: Option<&Uri>, body: &Bytes) -> Result<Response, BackendError> {
        let mut tries = Tries::default();
        loop {
            let (method, uri) = match post {
                Some(uri) => (Method::POST, uri),
                None => (Method::GET, self.client.uri()),
            };
            let carried = self.credential.headers(&method, uri).await?;
            let mut headers = self.headers.clone();
            for (name, value) in &carried.headers {
                headers.insert(name, value.clone());
            }
            let sent = if let Some(uri) = post {
                headers.insert(header::CONTENT_TYPE, JSON);
                let sending = self.client.send_to(uri, Method::POST, &headers, body);
                sending.await
            } else {
                headers.insert(header::ACCEPT, HeaderValue::from_static(sse::MEDIA_TYPE));
                self.client.send(Method::GET, &headers, body).await
            };
            let response = sent.map_err(|failure| failure.error)?;
            let (status, said) = (response.status(), response.headers());
            if !self
                .credential
                .is_to_be_sent_again(&carried.used, &mut tries, status, said)
                .await?
            {
                return Ok(response);
            }
        }
    }

    /// Stops using the stream; calls in flight end.
    fn close(&self, reason: BackendError) {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(reason);
        self.closed.cancel();
        for mailbox in self.calls.take_all() {
            mailbox.finish(Err(self.closed_error()));
        }
    }

    fn reason(&self) -> BackendError {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().unwrap_or(BackendError::NoResponse)
    }

    /// What a call is told: why the stream ended, or why it could not be opened.
    fn closed_error(&self) -> BackendError {
        let reason = self.reason();
        if self.named.is_cancelled() {
            return BackendError::Closed(reason.to_string().into());
        }
        reason
    }
}

/// A call's place among those that are open; leaving it early cancels the call.
struct Call {
    wire: Arc<Wire>,
    id: u64,
    mailbox: Arc<Mailbox>,
    client: ClientEnd,
}

impl Call {
    fn enter(wire: Arc<Wire>, id: u64, client: Option<ClientEnd>) -> Self {
        let mailbox = wire.calls.enter(id, client.is_some());
        if wire.closed.is_cancelled() {
            wire.calls.take(id);
            mailbox.finish(Err(wire.closed_error()));
        }
        Self {
            wire,
            id,
            mailbox,
            client: client.unwrap_or_default(),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.wire.calls.take(self.id).is_some() && !self.wire.closed.is_cancelled() {
            let params = self.client.cancelled(self.id);
            let cancel = Message::notification(method::CANCELLED, &params);
            self.wire.post_unwatched(cancel);
        }
    }
}
