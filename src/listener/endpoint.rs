//! The HTTP endpoint: which request is answered by whom.

use std::{mem::take, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tracing::{debug, warn};

use super::{
    accept::Form,
    batch,
    body::{Driven, Reply, Unread, read},
    callback, get,
    guarded::guarded,
    legacy,
    modern::{self, Refusal},
    origin::{Doors, METHODS, cross_origin},
    refusal::deny,
    render::{Answer, Rendering, empty, json},
    session::Session,
    sessions::Sessions,
};
use crate::{
    access::{Access, Peer, Principal, Refused},
    config::Listen,
    credential::Logins,
    mux::{Caller, Mux},
    protocol::{
        Era, Kind, Message, Revision, RpcError, error::INVALID_REQUEST, header as mcp, method,
    },
};

/// Where a supervisor may ask whether mcpmux serves.
pub(super) const HEALTH: &str = "/healthz";

/// Everything that requests are answered from.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) mux: Arc<Mux>,
    pub(super) sessions: Sessions,
    pub(super) access: Arc<Access>,
    logins: Arc<Logins>,
    doors: Doors,
    path: String,
    max_body: usize,
}

impl Endpoint {
    pub(super) fn new(
        mux: Arc<Mux>,
        logins: Arc<Logins>,
        access: Arc<Access>,
        listen: &Listen,
    ) -> Self {
        Self {
            mux,
            sessions: Sessions::new(),
            access,
            logins,
            doors: Doors::new(listen),
            path: listen.path.clone(),
            max_body: listen.max_body,
        }
    }

    /// Answers one request of `peer`.
    pub(super) async fn answer(
        &self,
        peer: &Arc<Peer>,
        request: &mut Request<Incoming>,
    ) -> Response<Reply> {
        let path = request.uri().path();
        // What is not for clients is for who needs no credential to come in.
        if matches!(path, HEALTH | callback::PATH) && !self.access.knows(peer).await {
            return plain(StatusCode::FORBIDDEN, format!("{Refused}\n"));
        }
        if path == HEALTH {
            return match *request.method() {
                Method::GET | Method::HEAD => plain(StatusCode::OK, "ok\n".to_owned()),
                _ => not_allowed("GET, HEAD"),
            };
        }
        let origin = match self
            .doors
            .check(peer.local, request.uri(), request.headers())
        {
            Ok(origin) => origin.cloned(),
            Err(refused) => {
                warn!("refused a request: {refused}");
                self.mux.audit().refused(&peer.from, &refused.to_string());
                if request.uri().path() == callback::PATH {
                    return callback::refuse(&refused);
                }
                let error = RpcError::new(INVALID_REQUEST, refused.to_string());
                return refuse((refused.status(), error));
            }
        };
        if request.uri().path() == callback::PATH {
            return Box::pin(callback::answer(&self.logins, request)).await;
        }
        let mut response = if path == self.path {
            self.served(peer, request, origin.is_some()).await
        } else if let Some(metadata) = self.access.metadata(path, request.headers()) {
            match *request.method() {
                Method::GET | Method::HEAD => json(StatusCode::OK, metadata),
                _ => not_allowed("GET, HEAD"),
            }
        } else {
            plain(
                StatusCode::NOT_FOUND,
                format!("nothing here; the MCP endpoint is {}\n", self.path),
            )
        };
        if let Some(origin) = origin {
            cross_origin(response.headers_mut(), origin);
        }
        response
    }

    /// The refusal of a request whose sender sends too many; none if it does not.
    fn limited(&self, who: &Principal) -> Option<Response<Reply>> {
        let allowance = self.mux.limits().caller(who.name())?;
        let exhausted = allowance.request().err()?;
        let seconds = HeaderValue::from(exhausted.seconds());
        self.mux.audit().refused(who.name(), &exhausted.to_string());
        let mut response = refuse((StatusCode::TOO_MANY_REQUESTS, exhausted.into()));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        Some(response)
    }

    /// Answers a request to the MCP endpoint itself, of a page of an allowed
    /// origin if `from_page`.
    async fn served(
        &self,
        peer: &Arc<Peer>,
        request: &mut Request<Incoming>,
        from_page: bool,
    ) -> Response<Reply> {
        // A browser asks before it sends a credential (Fetch standard, CORS-preflight).
        if from_page && request.method() == Method::OPTIONS {
            return empty(StatusCode::NO_CONTENT);
        }
        let admitted = match self.access.recognise(peer, request.headers()).await {
            Ok(admitted) => admitted,
            Err(denied) => return deny(denied),
        };
        let who = &admitted.who;
        if let Some(too_much) = self.limited(who) {
            return too_much;
        }
        let response = match *request.method() {
            Method::POST => self.post(who, request).await,
            Method::GET => get::answer(self, who, request.headers()),
            Method::DELETE => self.delete(who, request.headers()),
            _ => not_allowed(METHODS),
        };
        guarded(response, &self.access, admitted)
    }

    async fn post(&self, who: &Principal, request: &mut Request<Incoming>) -> Response<Reply> {
        let Some(form) = Form::of(request.headers()) else {
            return refuse((
                StatusCode::NOT_ACCEPTABLE,
                RpcError::new(
                    INVALID_REQUEST,
                    "Accept must list application/json and text/event-stream",
                ),
            ));
        };
        if !is_json(request.headers()) {
            return refuse((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                RpcError::new(INVALID_REQUEST, "Content-Type must be application/json"),
            ));
        }
        let body = match read(Driven(request.body_mut()), self.max_body).await {
            Ok(body) => body,
            Err(unread) => {
                let status = match unread {
                    Unread::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                    Unread::TooSlow => StatusCode::REQUEST_TIMEOUT,
                    Unread::Broken => StatusCode::BAD_REQUEST,
                };
                let mut response =
                    refuse((status, RpcError::new(INVALID_REQUEST, unread.to_string())));
                // What is left of the body is not worth reading.
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
                return response;
            }
        };
        if body.trim_ascii_start().starts_with(b"[") {
            return Box::pin(batch::answer(self, who, request.headers(), &body)).await;
        }
        // Nothing is kept of what came that is not needed while the request is under way:
        // the connection reads on into the same memory.
        take(request.uri_mut());
        let answer = match Message::parse(body) {
            Ok(message) => self.message(who, request.headers_mut(), message, form),
            Err(error) => return refuse((StatusCode::BAD_REQUEST, error)),
        };
        match answer {
            Answer::Now(response) => response,
            Answer::Of(rendering) => rendering.respond().await,
        }
    }

    /// Takes in a message; of `headers` is kept what is needed later.
    fn message(
        &self,
        who: &Principal,
        headers: &mut HeaderMap,
        message: Message,
        form: Form,
    ) -> Answer<'_> {
        match era_of(headers, &message) {
            Err(refusal) => refuse_to(&message, refusal).into(),
            Ok(Era::Modern) => match message.kind() {
                // None is defined in this era over HTTP but those of extensions.
                Kind::Notification { .. } => {
                    self.mux.tell(who.role(), None, &message);
                    empty(StatusCode::ACCEPTED).into()
                }
                Kind::Response { .. } => refuse((
                    StatusCode::BAD_REQUEST,
                    RpcError::new(
                        INVALID_REQUEST,
                        "Invalid Request: a response answers nothing here",
                    ),
                ))
                .into(),
                Kind::Request { .. } => match modern::check(&message, Some(take(headers))) {
                    Ok(caller) => {
                        let caller = Caller {
                            principal: who.clone(),
                            ..caller
                        };
                        let exchange = self.mux.request(caller, message);
                        Answer::Of(Rendering::new(exchange, Era::Modern, form))
                    }
                    Err(refusal) => refuse_to(&message, refusal).into(),
                },
            },
            Ok(Era::Legacy) => legacy::answer(self, who, headers, message, form),
        }
    }

    /// The session that a legacy request of `who` belongs to: its own, and nobody
    /// else's.
    pub(super) fn session(
        &self,
        who: &Principal,
        headers: &HeaderMap,
    ) -> Result<Arc<Session>, Refusal> {
        let refusal = |status, text: &str| (status, RpcError::new(INVALID_REQUEST, text));
        let Some(id) = headers
            .get(&mcp::SESSION_ID)
            .and_then(|id| id.to_str().ok())
        else {
            return Err(refusal(
                StatusCode::BAD_REQUEST,
                "Bad Request: Mcp-Session-Id is missing; begin with initialize",
            ));
        };
        self.sessions.get(id, who.owner()).ok_or_else(|| {
            refusal(
                StatusCode::NOT_FOUND,
                "Session not found; begin anew with initialize",
            )
        })
    }

    /// A legacy client takes its leave.
    fn delete(&self, who: &Principal, headers: &HeaderMap) -> Response<Reply> {
        let Some(id) = headers
            .get(&mcp::SESSION_ID)
            .and_then(|id| id.to_str().ok())
        else {
            return not_allowed(METHODS);
        };
        if self.sessions.get(id, who.owner()).is_some() && self.sessions.close(id) {
            self.mux.note_clients();
            debug!("a client has ended its session");
            empty(StatusCode::NO_CONTENT)
        } else {
            refuse((
                StatusCode::NOT_FOUND,
                RpcError::new(INVALID_REQUEST, "Session not found"),
            ))
        }
    }
}

/// The era of a message: what its `_meta` or its header says; legacy if neither
/// does. An `initialize` names the revision it wants in itself.
fn era_of(headers: &HeaderMap, message: &Message) -> Result<Era, Refusal> {
    if modern::declared(message).is_some() {
        return Ok(Era::Modern);
    }
    let said = headers
        .get(&mcp::PROTOCOL_VERSION)
        .map(|value| value.to_str().unwrap_or_default());
    match said.map(|text| (text, Revision::parse(text))) {
        Some((_, Some(revision))) => Ok(revision.era()),
        Some(_) if message.method() == Some(method::INITIALIZE) => Ok(Era::Legacy),
        Some((text, None)) => Err((StatusCode::BAD_REQUEST, modern::unsupported(text))),
        None => Ok(Era::Legacy),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            // As most write it.
            value == "application/json"
                || value
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .eq_ignore_ascii_case("application/json")
        })
}

/// The answer to a request that is refused before its id was read.
pub(super) fn refuse((status, error): Refusal) -> Response<Reply> {
    json(status, Message::failure(None, &error).into_bytes())
}

/// The answer to `message`, which is refused.
pub(super) fn refuse_to(message: &Message, (status, error): Refusal) -> Response<Reply> {
    json(status, Message::failure(message.id(), &error).into_bytes())
}

fn plain(status: StatusCode, text: String) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Says to a person with a browser, too, what this is.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Reply> {
    let text = if allowed == METHODS {
        "this is an MCP endpoint: give its address to an MCP client, \
         or see what it offers with `mcpmux list --endpoint ADDRESS`\n"
    } else {
        ""
    };
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text.to_owned());
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
