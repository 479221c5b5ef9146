//! Requests to one HTTP backend: headers, credential, session, and the answer
//! as an exchange.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{Either, Full};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    answer::{self, status_error},
    client::{Client, Failure, Response},
    mode::{Mode, Modes},
};
use crate::{
    backend::{BackendError, Ear, Introduction, calls::Calls, handshake, unwaited::Unwaited},
    config::HttpSettings,
    credential::{Credential, Tries, Used},
    protocol::{Message, Revision, header as mcp},
    thread,
    web::USER_AGENT,
};

/// What both kinds of answer are asked for with.
pub(super) const ACCEPT_BOTH: HeaderValue =
    HeaderValue::from_static("application/json, text/event-stream");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The extra headers that `settings` have; an error if one holds what no header
/// can.
pub(super) fn static_headers(settings: &HttpSettings) -> Result<HeaderMap, BackendError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let value = value.to_header().map_err(|_| {
            BackendError::Http(format!(
                "headers.{name}: the value cannot stand in a header"
            ))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// An HTTP backend as one connection: it has no wire of its own, but a session.
#[derive(Debug)]
pub(crate) struct HttpLink {
    pub(super) backend: Arc<str>,
    pub(super) client: Arc<Client>,
    headers: HeaderMap,
    pub(super) credential: Credential,
    pub(super) mode: Modes,
    pub(super) max_message: usize,
    pub(super) calls: Calls,
    pub(super) unwaited: Unwaited,
    /// The client whose session it is, if not all clients'.
    pub(crate) whose: Option<Arc<Introduction>>,
    renewing: Mutex<()>,
    pub(in crate::backend) unasked: Ear,
    /// How many sessions there were after the first.
    sessions: AtomicU64,
    renewed: Notify,
    pub(super) stopped: CancellationToken,
    /// The legacy stream was asked for, and has begun or will not.
    pub(super) heard: CancellationToken,
    lost: CancellationToken,
    reason: ArcSwap<String>,
}

impl HttpLink {
    /// A link that has sent nothing yet.
    pub(crate) fn new(
        backend: Arc<str>,
        client: Arc<Client>,
        settings: &HttpSettings,
        credential: Credential,
        max_message: usize,
        unasked: Ear,
        whose: Option<Arc<Introduction>>,
    ) -> Result<Arc<Self>, BackendError> {
        let lanes = if whose.is_some() { 1 } else { thread::LANES };
        let link = Self {
            backend,
            headers: static_headers(settings)?,
            client,
            credential,
            mode: Modes::new(Mode::default(), lanes),
            max_message,
            calls: Calls::new(whose.clone()),
            unwaited: Unwaited::default(),
            whose,
            renewing: Mutex::default(),
            unasked,
            sessions: AtomicU64::new(0),
            renewed: Notify::new(),
            stopped: CancellationToken::new(),
            heard: CancellationToken::new(),
            lost: CancellationToken::new(),
            reason: ArcSwap::default(),
        };
        link.set_mode(None, None);
        Ok(Arc::new(link))
    }

    /// An id that no other request of this session has or had.
    pub(crate) fn next_id(&self) -> u64 {
        self.calls.next_id()
    }

    /// Forgets session and revision, or fixes the revision.
    pub(crate) fn set_revision(&self, revision: Option<Revision>) {
        let session = revision.and(self.mode.now().session.clone());
        self.set_mode(revision, session);
    }

    /// Waits until the legacy stream has begun for the first time, or it is known
    /// that it does not.
    pub(crate) async fn hears(&self) {
        self.heard.cancelled().await;
    }

    /// How many sessions there were after the first.
    pub(crate) fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Acquire)
    }

    /// Waits until another session takes the place of the one before.
    pub(crate) async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// Says that the backend is out of reach, so that it is connected to anew.
    pub(super) fn report_lost(&self, reason: &BackendError) {
        self.reason.store(Arc::new(reason.to_string()));
        self.lost.cancel();
    }

    /// Waits until the backend is out of reach, and says why.
    pub(crate) async fn lost(&self) -> Arc<str> {
        self.lost.cancelled().await;
        self.reason.load().as_str().into()
    }

    /// Whether the backend is out of reach.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Ends a legacy session at the server, and whatever listens to it.
    pub(crate) async fn end(&self) {
        self.stopped.cancel();
        let mode = self.mode.here();
        if mode.session.is_none() || self.lost.is_cancelled() {
            return;
        }
        let headers = self
            .request_headers(&Method::DELETE, &mode, &HeaderMap::new())
            .await;
        if let Ok((headers, _)) = headers {
            let nothing = Bytes::new();
            let request = self.client.send(Method::DELETE, &headers, &nothing);
            // A courtesy: a server that does not answer must not hold up the end.
            let _ = tokio::time::timeout(Duration::from_secs(1), request).await;
        }
    }

    /// Sends a notification or a response.
    pub(crate) async fn send(self: &Arc<Self>, message: &Message) -> Result<(), BackendError> {
        let response = self.post(message.bytes(), &HeaderMap::new(), false).await?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(status_error(response.status()))
        }
    }

    /// Posts `body`; once more with a fresh credential where it was refused,
    /// and once more in a new session where the server lost the old one.
    pub(super) async fn post(
        self: &Arc<Self>,
        body: &Bytes,
        extra: &HeaderMap,
        opens: bool,
    ) -> Result<Response, BackendError> {
        let mut tries = Tries::default();
        let mut may_renew = !opens;
        loop {
            let mode = self.mode.here();
            let (headers, used) = self.request_headers(&Method::POST, &mode, extra).await?;
            let sent = self.client.send_to(&mode.uri, Method::POST, &headers, body);
            let sent = sent.await;
            let response = sent.map_err(|failure| self.report(failure))?;
            let (status, said) = (response.status(), response.headers());
            if self
                .credential
                .is_to_be_sent_again(&used, &mut tries, status, said)
                .await?
            {
                continue;
            }
            match status {
                StatusCode::NOT_FOUND
                    if mode.session.is_some() && std::mem::take(&mut may_renew) =>
                {
                    Box::pin(self.renew(mode.session.as_ref())).await?;
                }
                StatusCode::BAD_REQUEST if mode.session.is_some() && may_renew => {
                    // Servers built on a widespread example answer 400 where
                    // the specification wants 404.
                    let (parts, body) = response.into_parts();
                    let text = Box::pin(answer::read(body, self.max_message)).await?;
                    if !String::from_utf8_lossy(&text)
                        .to_ascii_lowercase()
                        .contains("session")
                    {
                        let body = Either::Right(Full::new(text));
                        return Ok(http::Response::from_parts(parts, body));
                    }
                    may_renew = false;
                    Box::pin(self.renew(mode.session.as_ref())).await?;
                }
                _ => return Ok(response),
            }
        }
    }

    /// Gives what to tell of a failure; one to reach the server loses the link.
    pub(super) fn report(&self, failure: Failure) -> BackendError {
        if failure.unreached {
            self.report_lost(&failure.error);
        }
        failure.error
    }

    /// The headers of a request to the endpoint, and which credential they carry. What `auth`
    /// says replaces a static header of the same name.
    pub(super) async fn request_headers<'m>(
        &self,
        method: &Method,
        mode: &'m Mode,
        extra: &HeaderMap,
    ) -> Result<(Cow<'m, HeaderMap>, Used), BackendError> {
        let carried = self.credential.headers(method, self.client.uri()).await?;
        if extra.is_empty() && carried.headers.is_empty() {
            return Ok((Cow::Borrowed(&mode.headers), carried.used));
        }
        let mut headers = mode.headers.clone();
        for (name, value) in extra.iter().chain(&carried.headers) {
            headers.insert(name, value.clone());
        }
        Ok((Cow::Owned(headers), carried.used))
    }

    /// From now on requests are of `revision` and within `session`.
    pub(super) fn set_mode(&self, revision: Option<Revision>, session: Option<HeaderValue>) {
        // Room for what a request gets as well, so that its copy need not grow twice.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 8);
        headers.extend(self.headers.clone());
        self.client.mark(&mut headers);
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, ACCEPT_BOTH);
        // What it is a request's body says.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        if let Some(revision) = revision {
            // The header is unknown to revisions before 2025-06-18, and harmless.
            let date = HeaderValue::from_static(revision.as_str());
            headers.insert(mcp::PROTOCOL_VERSION, date);
        }
        if let Some(session) = &session {
            headers.insert(mcp::SESSION_ID, session.clone());
        }
        self.mode.turn_to(Mode {
            revision,
            session,
            headers,
            uri: self.client.uri().clone(),
        });
    }

    /// Opens a new session in place of `lost`, once for all calls that met it.
    pub(super) async fn renew(
        self: &Arc<Self>,
        lost: Option<&HeaderValue>,
    ) -> Result<(), BackendError> {
        let _one_at_a_time = self.renewing.lock().await;
        if self.mode.now().session.as_ref() != lost {
            return Ok(());
        }
        info!(backend = %self.backend, "the server has lost its session, opening a new one");
        // Boxed: a handshake is made of requests, and a request may need this.
        let renewed = Box::pin(handshake::renew(self)).await;
        renewed.inspect_err(|error| self.report_lost(error))?;
        self.sessions.fetch_add(1, Ordering::AcqRel);
        self.renewed.notify_one();
        Ok(())
    }
}
