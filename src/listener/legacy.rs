//! Requests of legacy clients: `initialize` opens a session, all others belong
//! to one.

use std::{mem::take, sync::Arc};

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::debug;

use super::{
    accept::Form,
    body::Reply,
    call_stream::Opening,
    cancelled::{Cancellable, Cancelled},
    endpoint::{Endpoint, refuse, refuse_to},
    render::{Answer, Rendering, empty, json},
    session::Session,
};
use crate::{
    access::Principal,
    backend::{BackendError, ClientEnd, Exchange},
    mux::Mux,
    protocol::{
        Abilities, Era, Id, Kind, Level, Message, Revision, RpcError,
        error::{INTERNAL_ERROR, INVALID_PARAMS},
        header as mcp, method,
    },
};

/// What `initialize` asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    protocol_version: String,
    client_info: Option<Box<RawValue>>,
    capabilities: Option<Box<RawValue>>,
}

/// Answers one message of a legacy client.
pub(super) fn answer<'e>(
    endpoint: &'e Endpoint,
    who: &Principal,
    headers: &mut HeaderMap,
    message: Message,
    form: Form,
) -> Answer<'e> {
    if message.method() == Some(method::INITIALIZE) && message.id().is_some() {
        return initialize(endpoint, who, &message).into();
    }
    let session = match endpoint.session(who, headers) {
        Ok(session) => session,
        Err(refusal) => return refuse_to(&message, refusal).into(),
    };
    match message.kind() {
        Kind::Request { .. } => {
            let client = ClientEnd::open();
            let opening = resumes(headers).then(|| Opening {
                session: Arc::clone(&session),
                client: client.clone(),
                kept: &endpoint.sessions.kept,
            });
            let exchange = serve(&endpoint.mux, who, session, client, message, form.streams());
            // What is known of the request is not kept while it is under way.
            headers.clear();
            let rendering = Rendering::new(exchange, Era::Legacy, form)
                .within(take(headers))
                .resumed_by(opening);
            Answer::Of(rendering)
        }
        Kind::Notification { .. } => {
            notified(&endpoint.mux, &session, &message);
            empty(StatusCode::ACCEPTED).into()
        }
        Kind::Response { .. } => {
            if !session.voice.answer(message) {
                debug!("a client answers what it is not being asked any more");
            }
            empty(StatusCode::ACCEPTED).into()
        }
    }
}

/// Whether the client takes up streams again, which it says for itself: another
/// revision may have been agreed upon.
fn resumes(headers: &HeaderMap) -> bool {
    let said = headers.get(&mcp::PROTOCOL_VERSION);
    let revision = said
        .and_then(|said| said.to_str().ok())
        .and_then(Revision::parse);
    revision.is_some_and(|revision| revision >= Revision::V2025_11_25)
}

/// Serves a request of `who` within its session, where it can be cancelled, and of
/// which the client holds the end `client`; it can be asked in its course if its answer
/// is a `stream`.
pub(super) fn serve(
    mux: &Arc<Mux>,
    who: &Principal,
    session: Arc<Session>,
    client: ClientEnd,
    message: Message,
    stream: bool,
) -> Exchange {
    let Some(id) = message.id().cloned() else {
        return Exchange::ready(Err(BackendError::NoResponse));
    };
    if message.method() == Some(method::SET_LEVEL) {
        let answer = Exchange::ready(Ok(set_level(&session, &id, &message)));
        mux.note_clients();
        return answer;
    }
    let mut caller = session.caller(who.clone(), &message, client.clone());
    if !stream {
        caller.voice = None;
    }
    let place = session.enter(id, client);
    Exchange::new(Cancellable::new(mux.request(caller, message), place))
}

/// Takes in the level of log messages that a client wants.
pub(super) fn set_level(session: &Session, id: &Id, message: &Message) -> Message {
    let Some(level) = Level::of(message) else {
        let error = RpcError::new(INVALID_PARAMS, "Invalid params: no such \"level\"");
        return Message::failure(Some(id), &error);
    };
    session.set_level(level);
    Message::success(id, "{}")
}

/// Takes in a notification of a client.
pub(super) fn notified(mux: &Mux, session: &Session, message: &Message) {
    match message.method() {
        Some(method::CANCELLED) => {
            if let Some(cancelled) = Cancelled::read(message) {
                session.cancel(&cancelled);
            }
        }
        Some(method::INITIALIZED) | None => {}
        Some(method::PROGRESS) => session.voice.progress(message),
        Some(_) => mux.tell(session.role(), Some(&session.introduction), message),
    }
}

/// What `who` gets that sends `initialize`: a session and the result.
pub(super) fn open(
    mux: &Mux,
    who: &Principal,
    message: &Message,
) -> Result<(Arc<Session>, Message), RpcError> {
    let wanted: Wanted = message
        .payload()
        .ok_or("\"params\" is missing".to_owned())
        .and_then(|params| serde_json::from_str(params).map_err(|error| error.to_string()))
        .map_err(|error| RpcError::new(INVALID_PARAMS, format!("Invalid params: {error}")))?;
    // A revision that is not known here is answered with one that is.
    let revision = Revision::parse(&wanted.protocol_version)
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::NEWEST_LEGACY);
    let id = message
        .id()
        .cloned()
        .ok_or_else(|| RpcError::new(INTERNAL_ERROR, "no id"))?;
    let abilities = Abilities::new(wanted.capabilities.as_deref().map(RawValue::get));
    let session = Session::new(
        who.owner().to_owned(),
        revision,
        wanted.client_info,
        abilities,
        mux.versions(who.role()),
        mux.watcher(),
    );
    Ok((
        session,
        Message::success(&id, &mux.initialize(who.role(), revision)),
    ))
}

fn initialize(endpoint: &Endpoint, who: &Principal, message: &Message) -> Response<Reply> {
    let (session, result) = match open(&endpoint.mux, who, message) {
        Ok(opened) => opened,
        Err(error) => return refuse_to(message, (StatusCode::OK, error)),
    };
    let id = match endpoint.sessions.open(session) {
        Ok(id) => id,
        Err(error) => {
            let error = RpcError::new(
                INTERNAL_ERROR,
                format!("no random numbers for a session: {error}"),
            );
            return refuse((StatusCode::INTERNAL_SERVER_ERROR, error));
        }
    };
    endpoint.mux.note_clients();
    let mut response = json(StatusCode::OK, result.into_bytes());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(mcp::SESSION_ID, id);
    }
    response
}
