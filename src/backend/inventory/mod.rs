//! What a backend offers: its capabilities, and every page of its lists.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::warn;

use super::{BackendError, link::Link, offers::Offers};
use crate::protocol::{Revision, error::METHOD_NOT_FOUND, method};
use pages::{List, read_all};

mod definition;
mod lists;
mod pages;
mod record;

pub(crate) use definition::{Definition, Tool};
pub(crate) use lists::Lists;

/// How long a list other than the tools may take to read: who does not answer
/// for its prompts has tools all the same.
const PATIENCE: Duration = Duration::from_secs(30);

const TOOLS: List = List {
    method: method::TOOLS_LIST,
    member: "tools",
    item: "tool",
};
const PROMPTS: List = List {
    method: method::PROMPTS_LIST,
    member: "prompts",
    item: "prompt",
};
const RESOURCES: List = List {
    method: method::RESOURCES_LIST,
    member: "resources",
    item: "resource",
};
const TEMPLATES: List = List {
    method: method::TEMPLATES_LIST,
    member: "resourceTemplates",
    item: "resource template",
};

/// What a backend offers, each list in its own order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Inventory {
    /// Its capabilities; `None` before it has told them.
    pub(crate) offers: Option<Arc<Offers>>,
    /// Its guidance for models.
    pub(crate) instructions: Option<String>,
    /// The tools; no two have the same name.
    pub(crate) tools: Vec<Arc<Tool>>,
    /// The prompts; no two have the same name.
    pub(crate) prompts: Vec<Arc<Definition>>,
    /// The resources; no two have the same URI.
    pub(crate) resources: Vec<Arc<Definition>>,
    /// The resource templates; no two are the same.
    pub(crate) templates: Vec<Arc<Definition>>,
}

/// Reads those of `lists` that the backend offers, the others are as in `known`.
/// Fails if the tools cannot be read or the backend is lost; another list that
/// cannot be read stays as it is known.
pub(crate) async fn read(
    backend: &str,
    link: &Link,
    revision: Revision,
    lists: Lists,
    known: &Inventory,
) -> Result<Inventory, BackendError> {
    let offers = known.offers.as_deref().cloned().unwrap_or_default();
    let tools = async {
        match (lists.tools, offers.tools) {
            (false, _) => Ok(known.tools.clone()),
            (true, None) => Ok(Vec::new()),
            (true, Some(_)) => tools(backend, link, revision).await,
        }
    };
    let other = async |wanted: bool, offered: bool, list: List, key, known: &Vec<_>| {
        if !wanted || !offered {
            return Ok(if wanted { Vec::new() } else { known.clone() });
        }
        let definitions = read_all(backend, link, revision, list, |text| {
            let definition = Definition::read(text, key)?;
            Ok((definition.id.clone(), Arc::new(definition)))
        });
        let reason = match timeout(PATIENCE, definitions).await {
            Ok(Ok(definitions)) => return Ok(definitions),
            // Resources without templates are common.
            Ok(Err(BackendError::Refused {
                code: METHOD_NOT_FOUND,
                ..
            })) if list.method == method::TEMPLATES_LIST => return Ok(Vec::new()),
            Ok(Err(error @ (BackendError::Refused { .. } | BackendError::Protocol(_)))) => {
                error.to_string()
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        warn!(
            backend,
            "its list of {}s could not be read: {reason}", list.item
        );
        Ok(known.clone())
    };
    let (prompted, resourceful) = (offers.prompts.is_some(), offers.resources.is_some());
    let (tools, prompts, resources, templates) = tokio::try_join!(
        tools,
        other(lists.prompts, prompted, PROMPTS, "name", &known.prompts),
        other(
            lists.resources,
            resourceful,
            RESOURCES,
            "uri",
            &known.resources
        ),
        other(
            lists.resources,
            resourceful,
            TEMPLATES,
            "uriTemplate",
            &known.templates
        ),
    )?;
    Ok(Inventory {
        offers: known.offers.clone(),
        instructions: known.instructions.clone(),
        tools,
        prompts,
        resources,
        templates,
    })
}

/// Reads the whole list of tools.
pub(crate) async fn tools(
    backend: &str,
    link: &Link,
    revision: Revision,
) -> Result<Vec<Arc<Tool>>, BackendError> {
    read_all(backend, link, revision, TOOLS, |text| {
        let tool = Tool::read(text, link, revision)?;
        Ok((tool.name.clone(), Arc::new(tool)))
    })
    .await
}
