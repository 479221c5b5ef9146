//! What comes back over HTTP: one message, a stream of them, or a status that
//! says why there is none.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::BodyExt;

use super::client::{self, Body, Response};
use crate::{
    backend::{BackendError, Size},
    protocol::{
        Kind, Message,
        sse::{self, Decoder, Event},
    },
};

/// Reads a body that is one message.
pub(super) async fn whole(response: Response, max_message: usize) -> Result<Message, BackendError> {
    let status = response.status();
    let json = is(&response, "application/json");
    if !json {
        return Err(match status {
            StatusCode::ACCEPTED => {
                BackendError::Protocol("accepted a request without answering it".to_owned())
            }
            status if status.is_success() => BackendError::Protocol(format!(
                "answered with {:?} where application/json or text/event-stream is due: is the endpoint's URL right?",
                media_type(&response)
            )),
            _ => status_error(status),
        });
    }
    let body = read(response.into_body(), max_message).await?;
    match Message::parse(body) {
        Ok(message) if matches!(message.kind(), Kind::Response { .. }) => Ok(message),
        _ if !status.is_success() => Err(status_error(status)),
        Ok(_) => Err(BackendError::Protocol(
            "answered a request with something else than a response".to_owned(),
        )),
        Err(parse) => Err(BackendError::Protocol(format!(
            "answered with no MCP message: {}",
            parse.message
        ))),
    }
}

/// Reads a whole body of at most `max_message` bytes.
pub(super) async fn read(mut stream: Body, max_message: usize) -> Result<Bytes, BackendError> {
    let mut body = BytesMut::new();
    let mut first = None;
    while let Some(chunk) = chunk(&mut stream).await? {
        if body.len() + chunk.len() > max_message {
            return Err(BackendError::Protocol(format!(
                "sent a message of more than {} (max_message)",
                Size(max_message)
            )));
        }
        // Most answers come in one chunk, which then is not copied.
        match first.take() {
            None if body.is_empty() => first = Some(chunk),
            None => body.extend_from_slice(&chunk),
            Some(one) => {
                body.extend_from_slice(&one);
                body.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| body.freeze()))
}

/// The next piece of a body; `None` at its end.
async fn chunk(body: &mut Body) -> Result<Option<Bytes>, BackendError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client::failure(error.as_ref(), false))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The messages of an event stream.
pub(super) struct Events {
    body: Body,
    decoder: Decoder,
    /// What is left of a batch.
    batch: VecDeque<Message>,
    /// `id:` of the last event.
    pub(super) last_id: Option<String>,
    /// `retry:`, in milliseconds.
    pub(super) retry: Option<u64>,
}

impl Events {
    pub(super) fn new(response: Response, max_message: usize) -> Self {
        Self {
            body: response.into_body(),
            decoder: Decoder::new(max_message),
            batch: VecDeque::new(),
            last_id: None,
            retry: None,
        }
    }

    /// The data of the stream's first event if that is named `name`; `None` if it
    /// is another, or the stream ends before it.
    pub(super) async fn opening(&mut self, name: &str) -> Result<Option<Bytes>, BackendError> {
        loop {
            if let Some(event) = self.event()? {
                let named = event.name.as_deref() == Some(name);
                return Ok(named.then_some(event.data));
            }
            match chunk(&mut self.body).await? {
                Some(chunk) => self.decoder.push(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The next event of what has come so far.
    fn event(&mut self) -> Result<Option<Event>, BackendError> {
        self.decoder.next_event().map_err(|error| {
            let limit = Size(error.limit);
            BackendError::Protocol(format!("sent a message of more than {limit} (max_message)"))
        })
    }

    /// The next message; `None` at the stream's end.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, BackendError> {
        loop {
            if let Some(message) = self.batch.pop_front() {
                return Ok(Some(message));
            }
            if let Some(event) = self.event()? {
                self.last_id = event.id.or(self.last_id.take());
                self.retry = event.retry.or(self.retry);
                // An event without data only carries an id to resume from.
                if event.data.is_empty() || event.name.is_some() {
                    continue;
                }
                for message in Message::parse_each(event.data) {
                    self.batch.push_back(message.map_err(|error| {
                        BackendError::Protocol(format!(
                            "an event is no MCP message: {}",
                            error.message
                        ))
                    })?);
                }
                continue;
            }
            match chunk(&mut self.body).await? {
                Some(chunk) => self.decoder.push(&chunk),
                None => return Ok(None),
            }
        }
    }
}

fn media_type(response: &Response) -> &str {
    let value = response.headers().get(header::CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Whether the answer is of the media type `wanted`, whatever its parameters.
fn is(response: &Response, wanted: &str) -> bool {
    let said = media_type(response).as_bytes().get(..wanted.len());
    said.is_some_and(|said| said.eq_ignore_ascii_case(wanted.as_bytes()))
}

pub(super) fn is_event_stream(response: &Response) -> bool {
    response.status().is_success() && is(response, sse::MEDIA_TYPE)
}

pub(super) fn status_error(status: StatusCode) -> BackendError {
    let detail = match status {
        StatusCode::UNAUTHORIZED => {
            ": it wants a credential, or another one (see this backend's auth)".to_owned()
        }
        StatusCode::FORBIDDEN => ": the credential does not allow this".to_owned(),
        StatusCode::NOT_FOUND => ": is the endpoint's path right?".to_owned(),
        _ => status
            .canonical_reason()
            .map(|reason| format!(" {reason}"))
            .unwrap_or_default(),
    };
    BackendError::Status {
        status: status.as_u16(),
        detail,
    }
}
