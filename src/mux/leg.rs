//! One request under way at a backend: what the client asked, in the backend's
//! words and era.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tracing::{debug, info};

use super::{
    Caller,
    bridge::{Bridge, MetaChange},
    instances::{Instances, Lease},
    params::invalid,
    target::{Subject, Target},
    tasks,
};
use crate::{
    backend::{Backend, BackendError, Connection, Down, Exchange, NoPlace, Place, UnderWay, Use},
    protocol::{
        Era, Id, Level, Message, RawObject, RpcError,
        error::HEADER_MISMATCH,
        header,
        raw::{Edit, RawError, encode_str},
    },
};

/// How often a connection is looked for.
const TURNS: usize = 3;

/// A request that was sent to a backend.
pub(super) struct Leg {
    /// What comes back.
    pub(super) exchange: Exchange,
    /// What becomes of what comes back.
    pub(super) bridge: Bridge,
    /// The backend is the client's own as long as this is held.
    lease: Option<Lease>,
    /// It counts as a call in flight there as long as this is held.
    place: Option<Place>,
    /// It keeps the server busy, and its connection in use, as long as this is held.
    pub(super) under_way: UnderWay,
}

/// What a client has answered to a modern server's `input_required`.
#[derive(Debug)]
pub(super) struct Inputs {
    /// `inputResponses`, JSON text.
    pub(super) responses: String,
    /// `requestState`, JSON text, if the server gave one.
    pub(super) state: Option<String>,
}

/// A request that is to be sent.
pub(super) struct Sending<'a> {
    /// The backends that clients have of their own.
    pub(super) instances: &'a Arc<Instances>,
    /// Who asks.
    pub(super) caller: &'a Caller,
    /// What is asked.
    pub(super) request: &'a Message,
    /// Its parameters.
    pub(super) params: &'a RawObject<'a>,
    /// The lowest level of log messages that the caller wants.
    pub(super) level: Option<Level>,
    /// What the client has answered, if the request is sent again.
    pub(super) inputs: Option<&'a Inputs>,
}

impl Sending<'_> {
    /// Sends the request to `target`, waiting for it to start by `now` for `patience` at
    /// most.
    pub(super) async fn to(
        &self,
        target: &Target,
        now: Instant,
        patience: Duration,
    ) -> Result<Leg, RpcError> {
        let backend = &target.backend;
        let deadline = now + patience;
        // One that was just about to be ended for want of use is started again, and
        // one that is lost while the call waits for a place.
        let mut turns = TURNS;
        let method = self.request.method().unwrap_or_default();
        let subject = target.subject.name().unwrap_or(method);
        let (used, lease, place) = loop {
            let left = match turns {
                TURNS => patience,
                _ => deadline.saturating_duration_since(Instant::now()),
            };
            let connecting = self
                .instances
                .connect(backend, self.caller, self.request, left);
            let (connection, lease) = connecting
                .await
                .map_err(|error| self.refused(backend, &error))?;
            let used = Use::of(connection);
            turns -= 1;
            if !used.is_safe() && turns > 0 {
                continue;
            }
            // Not only when there is a place: those that hang have them all.
            if let Err(down) = used.health.check(subject) {
                return Err(self.refused(backend, &failing(backend, &down)));
            }
            match self.place(backend.name(), &used, deadline).await {
                Ok(place) => break (used, lease, place),
                Err(NoPlace::Gone) if turns > 0 => {}
                Err(none) => {
                    let error = no_place(backend, none, patience);
                    return Err(self.refused(backend, &error));
                }
            }
        };
        if let Some(level) = self.level {
            used.want_level(level).await;
        }
        let under_way = used
            .under_way(subject)
            .map_err(|down| self.refused(backend, &failing(backend, &down)))?;
        self.over(under_way, lease, place, target)
    }

    /// A place among the calls of the connection. What is about a task that was
    /// begun there needs none: it may be what the task waits for.
    async fn place(
        &self,
        backend: &str,
        connection: &Connection,
        deadline: Instant,
    ) -> Result<Option<Place>, NoPlace> {
        let method = self.request.method().unwrap_or_default();
        if method.starts_with("tasks/") {
            return Ok(None);
        }
        if let Some(place) = connection.places.free() {
            return Ok(Some(place));
        }
        debug!(backend, method, "call waits for another to end");
        connection.place(deadline).await.map(Some)
    }

    /// The call could not even be made.
    fn refused(&self, backend: &Backend, error: &BackendError) -> RpcError {
        let method = self.request.method().unwrap_or_default();
        backend.tally().refused();
        info!(
            backend = backend.name(),
            method,
            "call failed: {}",
            error.brief()
        );
        error.to_rpc(backend.name())
    }

    fn over(
        &self,
        under_way: UnderWay,
        lease: Option<Lease>,
        place: Option<Place>,
        target: &Target,
    ) -> Result<Leg, RpcError> {
        let connection = under_way.connection();
        let (caller, request, params) = (self.caller, self.request, self.params);
        let bad = |error: RawError| invalid(&error.to_string());
        let arguments = params.get("arguments").map_err(bad)?;
        check_headers(target, caller, arguments)?;
        let follows = connection.offers.extension(tasks::EXTENSION).is_some();
        let bridge = Bridge::new(caller.era(), connection.revision).following_tasks(follows);
        let number = connection.link.next_id();
        let own_meta = params.get("_meta").map_err(bad)?;
        let new_meta = bridge.request_meta(own_meta, number, caller)?;
        let mut edit = params.edit();
        match &target.subject {
            Subject::Named(key, name) => {
                if params.get_str(key).map_err(bad)?.as_deref() != Some(name) {
                    edit.set(key, encode_str(name)).map_err(bad)?;
                }
            }
            Subject::Reference(text) => {
                if params.get("ref").map_err(bad)? != Some(text) {
                    edit.set("ref", text.as_str()).map_err(bad)?;
                }
            }
            Subject::Unnamed => {}
        }
        match new_meta {
            MetaChange::Keep => {}
            MetaChange::Remove => edit.remove_if(|key| key == "_meta"),
            MetaChange::Set(meta) => edit.set("_meta", meta).map_err(bad)?,
        }
        let tool = target.tool.as_ref().filter(|_| bridge.leaves_modern());
        if tool.is_some_and(|tool| tasks::needs_task(&tool.definition)) {
            edit.set("task", "{}").map_err(bad)?;
        }
        answer_inputs(&mut edit, bridge, self.inputs).map_err(bad)?;
        let payload = (!edit.is_empty()).then(|| edit.finish());
        let outgoing = outgoing(request, &Id::from(number), payload.as_deref());
        let headers = headers(connection, target, caller, request, arguments);
        let exchange =
            connection
                .link
                .request(number, &outgoing, headers, Some(caller.client.clone()));
        Ok(Leg {
            exchange,
            bridge,
            lease,
            place,
            under_way,
        })
    }
}

/// Why a call is not sent to a server that is up.
fn failing(backend: &Backend, down: &Down) -> BackendError {
    BackendError::Unavailable {
        backend: backend.name().to_owned(),
        detail: down.to_string(),
    }
}

impl Leg {
    /// Where it was sent.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.under_way.connection()
    }

    /// Sends a response to the backend, in a task of its own: what comes in
    /// meanwhile is not to wait for it.
    pub(super) fn answer(&self, response: Message) {
        self.connection().tell(response);
    }

    /// The backend has answered: another call may have the place.
    pub(super) fn leave(&mut self) {
        self.place = None;
    }

    /// Whether the backend is the client's own.
    pub(super) fn is_own(&self) -> bool {
        self.lease.is_some()
    }
}

/// What to tell of a call that got no place within `waited`.
fn no_place(backend: &Backend, none: NoPlace, waited: Duration) -> BackendError {
    let detail = match none {
        NoPlace::Late(most) => return BackendError::Crowded { most, waited },
        NoPlace::Gone => return BackendError::Closed("it is being ended".into()),
        NoPlace::Crowded(most) => {
            format!("limits.concurrency is {most}, and too many calls wait already")
        }
    };
    BackendError::Unavailable {
        backend: backend.name().to_owned(),
        detail,
    }
}

/// The request under another id, with other parameters if they change.
fn outgoing(request: &Message, id: &Id, payload: Option<&str>) -> Message {
    match (request.payload(), payload) {
        (None, Some(params)) => Message::request(id, request.method().unwrap_or_default(), params),
        _ => request.rewritten(Some(id), payload),
    }
}

/// Of a request that is sent again the server sees the new answers only; a
/// legacy one never sees any.
fn answer_inputs<'e>(
    edit: &mut Edit<'e, '_>,
    bridge: Bridge,
    inputs: Option<&'e Inputs>,
) -> Result<(), RawError> {
    let Some(inputs) = inputs else {
        if bridge.leaves_modern() {
            edit.remove_if(|key| matches!(key, "inputResponses" | "requestState"));
        }
        return Ok(());
    };
    edit.set("inputResponses", inputs.responses.as_str())?;
    if let Some(state) = &inputs.state {
        return edit.set("requestState", state.as_str());
    }
    edit.remove_if(|key| key == "requestState");
    Ok(())
}

/// Holds the client's mirrored parameters against its body.
fn check_headers(
    target: &Target,
    caller: &Caller,
    arguments: Option<&str>,
) -> Result<(), RpcError> {
    let (Some(headers), Some(tool)) = (&caller.headers, &target.tool) else {
        return Ok(());
    };
    for mirrored in &tool.param_headers {
        if !mirrored.matches(headers.get(&mirrored.name), arguments.unwrap_or("{}")) {
            return Err(RpcError::new(
                HEADER_MISMATCH,
                format!(
                    "Header mismatch: {} does not say what the body says",
                    mirrored.name
                ),
            ));
        }
    }
    Ok(())
}

/// The `Mcp-*` headers of a request that mcpmux makes for a client.
pub(super) fn headers_of(connection: &Connection, method: &str, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if connection.era() == Era::Legacy {
        return headers;
    }
    if let Ok(method) = HeaderValue::from_str(method) {
        headers.insert(header::METHOD, method);
    }
    headers.insert(header::NAME, header::encode(name));
    headers
}

/// The `Mcp-*` headers of the request, where its backend wants them.
fn headers(
    connection: &Connection,
    target: &Target,
    caller: &Caller,
    request: &Message,
    arguments: Option<&str>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if connection.era() == Era::Legacy {
        return headers;
    }
    // What an intermediary does not know it passes on.
    let unnamed = target.subject.name().is_none();
    for (name, value) in caller.headers.iter().flat_map(HeaderMap::iter) {
        if name.as_str().starts_with(header::PARAM_PREFIX) || unnamed && *name == header::NAME {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Ok(method) = HeaderValue::from_str(request.method().unwrap_or_default()) {
        headers.insert(header::METHOD, method);
    }
    if let Some(name) = target.subject.name() {
        headers.insert(header::NAME, header::encode(name));
    }
    for mirrored in target.tool.iter().flat_map(|tool| &tool.param_headers) {
        if let Some(value) = arguments.and_then(|arguments| mirrored.value(arguments)) {
            headers.insert(mirrored.name.clone(), header::encode(&value));
        }
    }
    headers
}
