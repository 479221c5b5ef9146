//! Whom a request is for, and what its subject is called there.

use std::{collections::VecDeque, sync::Arc};

use super::{Mux, params};
use crate::{
    backend::{Backend, Tool},
    config::Namespace,
    protocol::{Message, RawObject, RpcError, error::INVALID_PARAMS, method, name},
};

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
    /// Nothing that mcpmux has another name for.
    Unnamed,
}

impl Subject {
    /// The name that `Mcp-Name` carries.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(_, name) => Some(name),
            Self::Unnamed => None,
        }
    }
}

/// The parameter that names what a request of `method` is about.
pub(crate) fn named_by(method: &str) -> Option<&'static str> {
    match method {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::RESOURCES_READ => Some("uri"),
        _ => None,
    }
}

impl Mux {
    /// The backends that `request` may be for, the likeliest first; never none.
    /// Waits for backends that are still starting if there is none without them.
    pub(super) async fn targets(
        &self,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<VecDeque<Target>, RpcError> {
        let found = self.known_targets(request, params)?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.awaited(params).await?;
        let found = self.known_targets(request, params)?;
        if found.is_empty() {
            return Err(unknown(request, params));
        }
        Ok(found)
    }

    fn known_targets(
        &self,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<VecDeque<Target>, RpcError> {
        let catalog = self.catalog();
        let method = request.method().unwrap_or_default();
        Ok(match method {
            method::TOOLS_CALL => {
                let name = params::text(params, "name")?;
                let route = catalog.route(&name).cloned();
                let target = route.map(|route| Target {
                    backend: route.backend,
                    subject: Subject::Named("name", route.tool.name.clone()),
                    tool: Some(route.tool),
                });
                target.into_iter().collect()
            }
            _ => self.sole_target().into_iter().collect(),
        })
    }

    /// Whom a request is for that names nothing: the only backend there is.
    fn sole_target(&self) -> Option<Target> {
        let [backend] = self.backends() else {
            return None;
        };
        Some(Target {
            backend: Arc::clone(backend),
            subject: Subject::Unnamed,
            tool: None,
        })
    }

    /// Waits for the backends that could still make a name known.
    async fn awaited(&self, params: &RawObject<'_>) -> Result<(), RpcError> {
        let name = params.get_str("name").ok().flatten();
        // Of a server that has never been up the tools are unknown, its name is not.
        let owner = name
            .as_deref()
            .and_then(name::split)
            .and_then(|(server, _)| {
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
        Ok(())
    }
}

fn unknown(request: &Message, params: &RawObject<'_>) -> RpcError {
    let method = request.method().unwrap_or_default();
    let name = |key| params::text(params, key).unwrap_or_default();
    match method {
        method::TOOLS_CALL => {
            RpcError::new(INVALID_PARAMS, format!("Unknown tool: {}", name("name")))
        }
        _ => RpcError::method_not_found(method),
    }
}
