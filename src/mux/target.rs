//! Whom a request is for, and what its subject is called there.

use std::{collections::VecDeque, sync::Arc};

use serde_json::json;

use super::{Caller, Mux, View, params, tasks::EXTENSION};
use crate::{
    backend::{Backend, Tool},
    config::{Namespace, Thing},
    protocol::{
        Era, Message, RawObject, RpcError,
        error::{INVALID_PARAMS, RESOURCE_NOT_FOUND},
        method, name,
        raw::encode_str,
    },
};

/// How often a request looks for its backend where it finds one that is about to
/// end, because the configuration has changed meanwhile.
pub(super) const TURNS: usize = 5;

/// A backend that a request may be for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The backend.
    pub(super) backend: Arc<Backend>,
    /// What the request is about, in the backend's words.
    pub(super) subject: Subject,
    /// The tool that is called.
    pub(super) tool: Option<Arc<Tool>>,
}

/// What a request is about, as its backend calls it.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    /// The member of `params` that names it, and the name.
    Named(&'static str, String),
    /// `ref`, the prompt or template whose argument is completed, JSON text.
    Reference(String),
    /// Nothing that mcpmux has another name for.
    Unnamed,
}

impl Subject {
    /// The name that `Mcp-Name` carries.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(_, name) => Some(name),
            Self::Reference(_) | Self::Unnamed => None,
        }
    }
}

/// The parameter that names what a request of `method` is about.
pub(crate) fn named_by(method: &str) -> Option<&'static str> {
    match method {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::RESOURCES_READ => Some("uri"),
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => Some("taskId"),
        _ => None,
    }
}

impl Mux {
    /// The backends that `request` may be for, the likeliest first; never none.
    /// Waits for backends that are still starting if there is none without them.
    /// Error: there is none, in the words of the caller's era.
    pub(super) async fn targets(
        &self,
        caller: &Caller,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<VecDeque<Target>, RpcError> {
        for _ in 0..TURNS {
            let found = self.known_targets(caller, request, params)?;
            if !found.is_empty() {
                return Ok(found);
            }
            // Boxed: each call has room for what it may wait for.
            if Box::pin(self.awaited(caller, params)).await? {
                break;
            }
        }
        let found = self.known_targets(caller, request, params)?;
        if found.is_empty() {
            return Err(unknown(caller.era(), request, params));
        }
        Ok(found)
    }

    fn known_targets(
        &self,
        caller: &Caller,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<VecDeque<Target>, RpcError> {
        let role = caller.principal.role();
        self.views
            .look(role, |view| self.targets_in(view, caller, request, params))
    }

    fn targets_in(
        &self,
        view: &View,
        caller: &Caller,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<VecDeque<Target>, RpcError> {
        let catalog = view.catalog();
        let method = request.method().unwrap_or_default();
        Ok(match method {
            method::TOOLS_CALL => {
                let name = params::text(params, "name")?;
                let target = catalog.tool(&name).map(|route| Target {
                    backend: Arc::clone(&route.backend),
                    subject: Subject::Named("name", route.tool.name.clone()),
                    tool: Some(Arc::clone(&route.tool)),
                });
                target.into_iter().collect()
            }
            method::PROMPTS_GET => {
                let name = params::text(params, "name")?;
                let target = catalog.prompt(&name).map(|prompt| Target {
                    backend: Arc::clone(&prompt.backend),
                    subject: Subject::Named("name", prompt.name.clone()),
                    tool: None,
                });
                target.into_iter().collect()
            }
            method::RESOURCES_READ => {
                let uri = params::text(params, "uri")?;
                let located = view.resource(&uri).into_iter();
                located
                    .map(|resource| Target {
                        backend: resource.backend,
                        subject: Subject::Named("uri", resource.uri),
                        tool: None,
                    })
                    .collect()
            }
            method::COMPLETE => completed(view, params)?.into_iter().collect(),
            method::TASKS_GET
            | method::TASKS_RESULT
            | method::TASKS_UPDATE
            | method::TASKS_CANCEL => self.runs(caller, params)?.into_iter().collect(),
            _ => self.sole_target(view, method, params).into_iter().collect(),
        })
    }

    /// Where the task runs that `params` name. One that is not remembered is its
    /// whose that is the only one with tasks; one of another client is unknown.
    fn runs(&self, caller: &Caller, params: &RawObject<'_>) -> Result<Option<Target>, RpcError> {
        let id = params::text(params, "taskId")?;
        let view = self.view(caller.principal.role());
        let runs = |backend: &Arc<Backend>| view.touches(Thing::Tool, backend.name());
        let backend = match self.commons.tasks.owner(&id) {
            Some(owner) if owner.is(caller) && runs(&owner.backend) => {
                let gone = owner.backend.is_retired() && owner.backend.connected().is_none();
                // The one that has taken its place may know of the task.
                let successor = self.roster.named(owner.backend.name()).filter(|_| gone);
                successor.unwrap_or(owner.backend)
            }
            Some(_) => return Ok(None),
            None => {
                let backends = self.backends();
                let there: Vec<_> = backends.iter().filter(|backend| runs(backend)).collect();
                let mut with_tasks = there.iter().filter(|backend| has_tasks(backend));
                match (with_tasks.next(), with_tasks.next(), there.as_slice()) {
                    (Some(only), None, _) | (None, _, [only]) => Arc::clone(only),
                    _ => return Ok(None),
                }
            }
        };
        Ok(Some(Target {
            backend,
            subject: Subject::Named("taskId", id),
            tool: None,
        }))
    }

    /// Whether any backend of `view` has tasks as 2025-11-25 knows them.
    pub(super) fn has_tasks(&self, view: &View) -> bool {
        let there = |backend: &&Arc<Backend>| view.touches(Thing::Tool, backend.name());
        self.backends().iter().filter(there).any(has_tasks)
    }

    /// Whom a request is for that names nothing of the catalog.
    fn sole_target(&self, view: &View, method: &str, params: &RawObject<'_>) -> Option<Target> {
        let backend = self.sole_backend(view, method)?;
        let named = named_by(method).and_then(|key| {
            let name = params.get_str(key).ok().flatten()?;
            Some(Subject::Named(key, name.into_owned()))
        });
        Some(Target {
            backend,
            subject: named.unwrap_or(Subject::Unnamed),
            tool: None,
        })
    }

    /// The one backend that a method of an extension can belong to: the only one
    /// there is in `view`, or the only one that has such an extension.
    pub(super) fn sole_backend(&self, view: &View, method: &str) -> Option<Arc<Backend>> {
        let backends = self.backends();
        let there = |backend: &&Arc<Backend>| view.may(Thing::Extension, backend.name(), method);
        let mut there = backends.iter().filter(there);
        if let (Some(only), None) = (there.clone().next(), there.clone().nth(1)) {
            return Some(Arc::clone(only));
        }
        let extends = |backend: &&Arc<Backend>| {
            let inventory = backend.inventory();
            let offers = inventory.offers.as_deref();
            offers.is_some_and(|offers| offers.may_extend(method))
        };
        let only = there.by_ref().find(extends);
        let only = only.filter(|_| !there.any(|backend| extends(&backend)));
        only.cloned()
    }

    /// Waits for the backends that could still make a name known. `false` if the
    /// one that was waited for is another one now, or gone.
    async fn awaited(&self, caller: &Caller, params: &RawObject<'_>) -> Result<bool, RpcError> {
        let view = self.view(caller.principal.role());
        let name = params.get_str("name").ok().flatten();
        // Of a server that has never been up the tools are unknown, its name is not.
        let owner = name
            .as_deref()
            .and_then(name::split)
            // Asked first, so that what is hidden takes no longer than what there is not.
            .filter(|(server, _)| view.has(server))
            .and_then(|(server, _)| {
                let owner = self.roster.named(server)?;
                (owner.settings().namespace == Namespace::Prefix).then_some(owner)
            });
        match owner {
            Some(owner) => match owner.connection(owner.settings().timeout).await {
                Err(_) if owner.is_retired() => return Ok(false),
                connected => drop(connected.map_err(|error| error.to_rpc(owner.name()))?),
            },
            None => self.settled().await,
        }
        Ok(true)
    }
}

/// Whose prompt or template the argument is that is to be completed.
fn completed(view: &View, params: &RawObject<'_>) -> Result<Option<Target>, RpcError> {
    let bad = || params::invalid("\"ref\" must be a ref/prompt or a ref/resource");
    let reference = params.get("ref").ok().flatten().ok_or_else(bad)?;
    let reference = RawObject::parse(reference).map_err(|_| bad())?;
    let (key, found) = match reference.get_str("type").ok().flatten().as_deref() {
        Some("ref/prompt") => {
            let name = params::text(&reference, "name")?;
            let catalog = view.catalog();
            let prompt = catalog.prompt(&name);
            let found = prompt.map(|prompt| (Arc::clone(&prompt.backend), prompt.name.clone()));
            ("name", found)
        }
        Some("ref/resource") => {
            let uri = params::text(&reference, "uri")?;
            let template = view.template(&uri);
            (
                "uri",
                template.map(|template| (template.backend, template.uri)),
            )
        }
        _ => return Err(bad()),
    };
    let Some((backend, own)) = found else {
        return Ok(None);
    };
    let mut edit = reference.edit();
    if reference.get_str(key).ok().flatten().as_deref() != Some(&own) {
        edit.set(key, encode_str(&own)).map_err(|_| bad())?;
    }
    Ok(Some(Target {
        backend,
        subject: Subject::Reference(edit.finish()),
        tool: None,
    }))
}

fn has_tasks(backend: &Arc<Backend>) -> bool {
    let inventory = backend.inventory();
    let offers = inventory.offers.as_deref();
    offers.is_some_and(|offers| offers.tasks.is_some() || offers.extension(EXTENSION).is_some())
}

fn unknown(era: Era, request: &Message, params: &RawObject<'_>) -> RpcError {
    let method = request.method().unwrap_or_default();
    let name = |key| params::text(params, key).unwrap_or_default();
    let unknown = |what: &str| RpcError::new(INVALID_PARAMS, format!("Unknown {what}"));
    match method {
        method::TOOLS_CALL => unknown(&format!("tool: {}", name("name"))),
        method::PROMPTS_GET => unknown(&format!("prompt: {}", name("name"))),
        method::TASKS_GET | method::TASKS_RESULT | method::TASKS_UPDATE | method::TASKS_CANCEL => {
            unknown(&format!("task: {}", name("taskId")))
        }
        method::COMPLETE => unknown("prompt or resource template to complete"),
        method::RESOURCES_READ => {
            let code = match era {
                Era::Legacy => RESOURCE_NOT_FOUND,
                Era::Modern => INVALID_PARAMS,
            };
            let uri = name("uri");
            RpcError::new(code, format!("Resource not found: {uri}"))
                .with_data(json!({ "uri": uri }))
        }
        _ => RpcError::method_not_found(method),
    }
}
