//! What an HTTP backend of the legacy era says unasked: its GET stream, opened
//! again whenever it ends.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tracing::debug;

use super::{
    answer::{Events, is_event_stream},
    client::Response,
    link::HttpLink,
};
use crate::{
    backend::{BackendError, Unasked, deliver::Rest},
    credential::Tries,
    protocol::{Kind, Message, sse},
};

/// The pause before a stream is opened again, doubled while it keeps ending
/// without having brought anything.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How one opening of the stream went.
enum End {
    /// The server offers no such stream.
    NotOffered,
    /// It ended; whether it brought a message, and the pause the server wants.
    Ended {
        useful: bool,
        retry: Option<Duration>,
    },
}

/// Listens until the link ends.
pub(crate) async fn listen(link: Arc<HttpLink>) {
    let stopped = link.stopped.clone();
    let mut pause = PAUSE;
    let mut last_id = None;
    let mut broken = false;
    loop {
        let end = tokio::select! {
            () = stopped.cancelled() => return,
            end = get(&link, &mut last_id, &mut broken) => end,
        };
        let retry = match end {
            Ok(End::NotOffered) => {
                return debug!(backend = %link.backend, "offers no stream of notifications");
            }
            Ok(End::Ended { useful, retry }) => {
                if useful {
                    pause = PAUSE;
                }
                retry
            }
            Err(error) => {
                debug!(backend = %link.backend, "its stream of notifications: {error}");
                None
            }
        };
        let wait = retry.unwrap_or(pause).min(LONGEST_PAUSE);
        tokio::select! {
            () = stopped.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl HttpLink {
    /// Opens the legacy stream, after the event `last_id` if there was one; once
    /// more with a fresh credential where it was refused.
    pub(super) async fn get(&self, last_id: Option<&str>) -> Result<Response, BackendError> {
        let mode = self.mode.here();
        let mut tries = Tries::default();
        loop {
            let (headers, used) = self
                .request_headers(&Method::GET, &mode, &HeaderMap::new())
                .await?;
            let mut headers = headers.into_owned();
            headers.remove(header::CONTENT_TYPE);
            headers.insert(header::ACCEPT, HeaderValue::from_static(sse::MEDIA_TYPE));
            if let Some(value) = last_id.and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert("last-event-id", value);
            }
            let sent = self.client.send(Method::GET, &headers, &Bytes::new()).await;
            let response = sent.map_err(|failure| self.report(failure))?;
            let (status, said) = (response.status(), response.headers());
            if !self
                .credential
                .is_to_be_sent_again(&used, &mut tries, status, said)
                .await?
            {
                return Ok(response);
            }
        }
    }
}

/// Hands on what came on the stream of what belongs to no request.
async fn deliver(link: &Arc<HttpLink>, message: Message) {
    match link.calls.deliver(&link.backend, message) {
        Rest::Nothing => {}
        Rest::Unasked(notification) => {
            link.unasked.send(Unasked::Notification(notification)).await;
        }
        Rest::Answer(answer) => answer_aside(Arc::clone(link), answer),
        Rest::Ask(client, request) => {
            let link = Arc::clone(link);
            let answer = Box::new(move |answer| answer_aside(link, answer));
            client.ask_or_refuse(&request, answer);
        }
    }
}

/// Sends an answer in a task of its own: a server slow to take it must not keep
/// the stream from being read.
fn answer_aside(link: Arc<HttpLink>, answer: Message) {
    let unwaited = link.unwaited.clone();
    let backend = Arc::clone(&link.backend);
    unwaited.begin(&backend, async move { link.send(&answer).await });
}

/// One opening; `broken` if there was one before.
async fn get(
    link: &Arc<HttpLink>,
    last_id: &mut Option<String>,
    broken: &mut bool,
) -> Result<End, BackendError> {
    let mode = link.mode.here();
    let response = link.get(last_id.as_deref()).await;
    link.heard.cancel();
    let response = response?;
    match response.status() {
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if mode.session.is_some() => {
            *last_id = None;
            link.renew(mode.session.as_ref()).await?;
            return Ok(End::Ended {
                useful: false,
                retry: None,
            });
        }
        _ if is_event_stream(&response) => {}
        status if status.is_server_error() => {
            return Ok(End::Ended {
                useful: false,
                retry: None,
            });
        }
        _ => return Ok(End::NotOffered),
    }
    // A stream that is taken up again brings what was said meanwhile.
    if std::mem::replace(broken, true) && last_id.is_none() {
        link.unasked.missed();
    }
    link.unasked.send(Unasked::Stale).await;
    let events = Events::new(response, link.max_message);
    let (end, last) = follow(link, events).await;
    *last_id = last.or(last_id.take());
    end
}

async fn follow(
    link: &Arc<HttpLink>,
    mut events: Events,
) -> (Result<End, BackendError>, Option<String>) {
    let mut useful = false;
    loop {
        match events.next().await {
            Ok(Some(message)) => {
                useful = true;
                match message.kind() {
                    Kind::Response { id, .. } => {
                        let call = id.as_ref().and_then(|id| link.calls.get(id.as_u64()?));
                        if let Some(call) = call {
                            call.finish(Ok(message));
                        }
                    }
                    _ => deliver(link, message).await,
                }
            }
            Ok(None) => {
                let retry = events.retry.map(Duration::from_millis);
                return (Ok(End::Ended { useful, retry }), events.last_id);
            }
            Err(error) => return (Err(error), events.last_id),
        }
    }
}
