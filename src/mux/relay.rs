//! A tool call on its way to its owner and back: name, id and progress token
//! rewritten, all else as it came.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info};

use super::{
    Caller, Mux,
    bridge::{Bridge, MetaChange},
    catalog::Route,
};
use crate::{
    backend::{Backend, BackendError, Connection, Exchange},
    config::Namespace,
    protocol::{
        Era, Id, Kind, Message, RawObject, Revision, RpcError,
        error::{HEADER_MISMATCH, INVALID_PARAMS, UNAVAILABLE},
        header, meta, method, name,
        raw::encode_str,
    },
};

/// A call that has been read: whose it is, and what must be changed in it.
struct Call {
    route: Route,
    id: Id,
    /// The client's progress token, JSON text.
    token: Option<String>,
}

impl Mux {
    /// Calls a tool.
    pub(super) fn call(self: &Arc<Self>, caller: Caller, request: Message) -> Exchange {
        let mux = Arc::clone(self);
        Exchange::new(async_stream::stream! {
            let Some(id) = request.id().cloned() else { return };
            let Ok(_place) = Arc::clone(&mux.places).try_acquire_owned() else {
                let error = RpcError::new(UNAVAILABLE, "too many calls in flight");
                yield Ok(Message::failure(Some(&id), &error));
                return;
            };
            let found = match params(&request) {
                Ok(params) => mux.find(&params, &id).await.map(|call| (params, call)),
                Err(error) => Err(error),
            };
            let (params, mut call) = match found {
                Ok(found) => found,
                Err(error) => {
                    yield Ok(Message::failure(Some(&id), &error));
                    return;
                }
            };
            let backend = Arc::clone(&call.route.backend);
            let settings = backend.settings();
            let begun = Instant::now();
            let limit = begun + settings.max_timeout.max(settings.timeout);
            let mut deadline = begun + settings.timeout;
            let (mut exchange, mut bridge) = match call.send(&caller, &request, &params, settings.timeout).await {
                Ok(sent) => sent,
                Err(error) => {
                    yield Ok(Message::failure(Some(&id), &error));
                    return;
                }
            };
            let mut may_relist = true;
            loop {
                let item = match timeout_at(deadline, exchange.next()).await {
                    Ok(Some(item)) => item,
                    Ok(None) => Err(BackendError::NoResponse),
                    Err(_) if deadline == limit && limit > begun + settings.timeout => {
                        Err(BackendError::TimedOut { limit: settings.max_timeout, key: "max_timeout" })
                    }
                    Err(_) => Err(BackendError::TimedOut { limit: settings.timeout, key: "timeout" }),
                };
                match item {
                    // The backend wants other headers than its list asked for.
                    Ok(message) if is_header_mismatch(&message) && std::mem::take(&mut may_relist) => {
                        let relisted = backend.relisted(&call.route.tool.name);
                        let again = match timeout_at(deadline, relisted).await {
                            Ok(Some(tool)) if tool != call.route.tool => {
                                call.route.tool = tool;
                                call.send(&caller, &request, &params, settings.timeout).await.ok()
                            }
                            _ => None,
                        };
                        let Some(again) = again else {
                            call.log(begun.elapsed(), None);
                            yield Ok(message.rewritten(Some(&id), None));
                            return;
                        };
                        (exchange, bridge) = again;
                    }
                    Ok(message) if matches!(message.kind(), Kind::Response { .. }) => {
                        call.log(begun.elapsed(), None);
                        yield Ok(bridge.response(backend.name(), message.rewritten(Some(&id), None)));
                        return;
                    }
                    Ok(message) => {
                        if message.method() == Some(method::PROGRESS) {
                            deadline = (Instant::now() + settings.timeout).min(limit);
                        }
                        if let Some(message) = call.notification(message) {
                            yield Ok(message);
                        }
                    }
                    Err(error) => {
                        call.log(begun.elapsed(), Some(&error));
                        yield Ok(Message::failure(Some(&id), &error.to_rpc(backend.name())));
                        return;
                    }
                }
            }
        })
    }

    /// Finds the owner of the tool that `params` name; waits for backends
    /// that are still starting if it is unknown without them.
    async fn find(&self, params: &RawObject<'_>, id: &Id) -> Result<Call, RpcError> {
        let name = params
            .get_str("name")
            .map_err(|error| invalid(&error.to_string()))?
            .ok_or_else(|| invalid("\"name\" must be a string"))?;
        let token = token(params)?;
        let found = |mux: &Self| {
            let route = mux.catalog().route(&name).cloned()?;
            Some(Call {
                route,
                id: id.clone(),
                token: token.clone(),
            })
        };
        if let Some(call) = found(self) {
            return Ok(call);
        }
        // Of a server that has never been up the tools are unknown, its name is not.
        let owner = name::split(&name).and_then(|(server, _)| {
            let prefixed = |backend: &&Arc<Backend>| {
                backend.name() == server && backend.settings().namespace == Namespace::Prefix
            };
            self.backends().iter().find(prefixed)
        });
        match owner {
            Some(owner) => {
                let connected = owner.connection(owner.settings().timeout).await;
                connected.map_err(|error| error.to_rpc(owner.name()))?;
            }
            None => self.settled().await,
        }
        if let Some(call) = found(self) {
            return Ok(call);
        }
        Err(RpcError::new(
            INVALID_PARAMS,
            format!("Unknown tool: {name}"),
        ))
    }
}

impl Call {
    /// Sends the call to its owner.
    async fn send(
        &self,
        caller: &Caller,
        message: &Message,
        params: &RawObject<'_>,
        patience: Duration,
    ) -> Result<(Exchange, Bridge), RpcError> {
        let arguments = params
            .get("arguments")
            .map_err(|error| invalid(&error.to_string()))?;
        self.check_headers(caller, arguments)?;
        let backend = &self.route.backend;
        let connection = backend.connection(patience).await.map_err(|error| {
            self.log(Duration::ZERO, Some(&error));
            error.to_rpc(backend.name())
        })?;
        let bridge = Bridge::new(caller.era(), connection.revision);
        let number = connection.link.next_id();
        let own_meta = params
            .get("_meta")
            .map_err(|error| invalid(&error.to_string()))?;
        let new_meta = bridge.request_meta(own_meta, number, caller)?;
        let mut edit = params.edit();
        let mut edited = Ok(());
        if params.get_str("name").ok().flatten().as_deref() != Some(&self.route.tool.name) {
            edited = edit.set("name", encode_str(&self.route.tool.name));
        }
        match new_meta {
            MetaChange::Keep => {}
            MetaChange::Remove => edit.remove_if(|key| key == "_meta"),
            MetaChange::Set(meta) => edited = edited.and_then(|()| edit.set("_meta", meta)),
        }
        edited.map_err(|error| invalid(&error.to_string()))?;
        let payload = (!edit.is_empty()).then(|| edit.finish());
        let outgoing = message.rewritten(Some(&Id::from(number)), payload.as_deref());
        let headers = self.headers(&connection, caller, arguments);
        Ok((
            connection
                .link
                .request(number, &outgoing, headers, caller.reason.clone()),
            bridge,
        ))
    }

    /// Holds the client's mirrored parameters against its body.
    fn check_headers(&self, caller: &Caller, arguments: Option<&str>) -> Result<(), RpcError> {
        let Some(headers) = &caller.headers else {
            return Ok(());
        };
        for mirrored in &self.route.tool.param_headers {
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

    /// The `Mcp-*` headers of the call, where its owner wants them.
    fn headers(
        &self,
        connection: &Connection,
        caller: &Caller,
        arguments: Option<&str>,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if connection.era() == Era::Legacy {
            return headers;
        }
        // What an intermediary does not know it passes on.
        for (name, value) in caller.headers.iter().flat_map(HeaderMap::iter) {
            if name.as_str().starts_with(header::PARAM_PREFIX) {
                headers.insert(name.clone(), value.clone());
            }
        }
        headers.insert(header::METHOD, HeaderValue::from_static(method::TOOLS_CALL));
        headers.insert(header::NAME, header::encode(&self.route.tool.name));
        for mirrored in &self.route.tool.param_headers {
            if let Some(value) = arguments.and_then(|arguments| mirrored.value(arguments)) {
                headers.insert(mirrored.name.clone(), header::encode(&value));
            }
        }
        headers
    }

    /// A notification of the owner as the client is to see it; `None` if it is
    /// about a progress that the client did not ask for.
    fn notification(&self, message: Message) -> Option<Message> {
        if message.method() != Some(method::PROGRESS) {
            return Some(message);
        }
        let token = self.token.as_deref()?;
        let params = RawObject::parse(message.payload()?).ok()?;
        let mut edit = params.edit();
        edit.set(meta::PROGRESS_TOKEN, token).ok()?;
        let payload = edit.finish();
        Some(message.rewritten(None, Some(&payload)))
    }

    fn log(&self, elapsed: Duration, error: Option<&BackendError>) {
        let backend = self.route.backend.name();
        let tool = self.route.tool.name.as_str();
        let ms = elapsed.as_millis();
        match error {
            None => debug!(backend, tool, ms, "called"),
            Some(error) => info!(
                backend,
                tool,
                ms,
                "call {} failed: {error}",
                self.id.as_str()
            ),
        }
    }
}

/// Whether a modern server finds the headers at odds with the body.
fn is_header_mismatch(response: &Message) -> bool {
    matches!(response.kind(), Kind::Response { failed: true, .. })
        && response.payload().and_then(|error| {
            RawObject::parse(error)
                .ok()?
                .get("code")
                .ok()??
                .parse()
                .ok()
        }) == Some(HEADER_MISMATCH)
}

fn params(message: &Message) -> Result<RawObject<'_>, RpcError> {
    let text = message
        .payload()
        .ok_or_else(|| invalid("\"params\" is missing"))?;
    RawObject::parse(text).map_err(|error| invalid(&format!("\"params\": {error}")))
}

fn token(params: &RawObject<'_>) -> Result<Option<String>, RpcError> {
    let Some(text) = params
        .get("_meta")
        .map_err(|error| invalid(&error.to_string()))?
    else {
        return Ok(None);
    };
    let meta = RawObject::parse(text).map_err(|error| invalid(&format!("_meta: {error}")))?;
    match meta
        .get(meta::PROGRESS_TOKEN)
        .map_err(|error| invalid(&format!("_meta: {error}")))?
    {
        Some(text) if Id::from_json(text).is_none() => {
            Err(invalid("\"progressToken\" must be a string or a number"))
        }
        token => Ok(token.map(str::to_owned)),
    }
}

fn invalid(what: &str) -> RpcError {
    RpcError::new(INVALID_PARAMS, format!("Invalid params: {what}"))
}

/// The revisions that mcpmux speaks to clients, newest first.
pub(super) fn revisions() -> Vec<&'static str> {
    Revision::ALL
        .iter()
        .map(|revision| revision.as_str())
        .collect()
}
