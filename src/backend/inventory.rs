//! What a backend offers: every page of its lists, read within bounds, each
//! definition kept as the text it came in.

use std::{collections::HashSet, sync::Arc};

use serde_json::json;
use tracing::warn;

use super::{BackendError, handshake, link::Link};
use crate::protocol::{
    Era, RawObject, Revision,
    header::{ParamHeader, param_headers},
    method,
    raw::elements,
};

/// The most pages that are read of one list.
const MAX_PAGES: usize = 1000;

/// The most bytes that one backend's definitions may take.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A backend's tools, in its own order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inventory {
    /// The tools; no two have the same name.
    pub(crate) tools: Vec<Arc<Tool>>,
}

/// One tool as its backend defines it.
#[derive(Debug, PartialEq)]
pub(crate) struct Tool {
    /// Its name at the backend.
    pub(crate) name: String,
    /// The whole definition, as it came.
    pub(crate) definition: String,
    /// Parameters to be mirrored into headers.
    pub(crate) param_headers: Vec<ParamHeader>,
}

/// Reads the whole list of tools.
pub(crate) async fn read(
    backend: &str,
    link: &Link,
    revision: Revision,
) -> Result<Inventory, BackendError> {
    let mut tools = Vec::new();
    let mut names = HashSet::new();
    let mut cursors = HashSet::new();
    let mut cursor: Option<String> = None;
    let mut bytes = 0;
    for page in 1.. {
        let params = cursor
            .as_ref()
            .map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let result = handshake::query(link, revision, method::TOOLS_LIST, params).await?;
        let unreadable = || BackendError::Protocol("its list of tools cannot be read".to_owned());
        let object = RawObject::parse(&result).map_err(|_| unreadable())?;
        let list = object
            .get("tools")
            .ok()
            .flatten()
            .and_then(elements)
            .ok_or_else(unreadable)?;
        for definition in list {
            bytes += definition.len();
            match tool(definition, link, revision) {
                Ok(tool) if names.insert(tool.name.clone()) => tools.push(Arc::new(tool)),
                Ok(tool) => warn!(
                    backend,
                    tool = tool.name,
                    "the tool is listed twice, the first one counts"
                ),
                Err(reason) => warn!(backend, "a tool is left out: {reason}"),
            }
        }
        let next = object
            .get_str("nextCursor")
            .ok()
            .flatten()
            .map(std::borrow::Cow::into_owned);
        let Some(next) = next else { break };
        if !cursors.insert(next.clone()) {
            warn!(
                backend,
                "its list of tools comes back to a cursor it gave before; read {page} pages"
            );
            break;
        }
        if page >= MAX_PAGES || bytes > MAX_BYTES {
            warn!(
                backend,
                "its list of tools does not end; read {page} pages, {} tools",
                tools.len()
            );
            break;
        }
        cursor = Some(next);
    }
    Ok(Inventory { tools })
}

fn tool(definition: &str, link: &Link, revision: Revision) -> Result<Tool, String> {
    let object = RawObject::parse(definition).map_err(|error| error.to_string())?;
    let name = object
        .get_str("name")
        .map_err(|error| error.to_string())?
        .filter(|name| !name.is_empty())
        .ok_or("it has no name")?
        .into_owned();
    // Over HTTP a modern client must leave out a tool whose mirrored
    // parameters are ill-defined; other transports and eras may ignore them.
    let mirrored = match object.get("inputSchema") {
        Ok(Some(schema)) => param_headers(schema),
        _ => Ok(Vec::new()),
    };
    let param_headers = match mirrored {
        Ok(headers) => headers,
        Err(reason) if matches!(link, Link::Http(_)) && revision.era() == Era::Modern => {
            return Err(format!("{name}: {reason}"));
        }
        Err(_) => Vec::new(),
    };
    Ok(Tool {
        name,
        definition: definition.to_owned(),
        param_headers,
    })
}
