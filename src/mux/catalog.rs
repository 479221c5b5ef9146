//! The merged lists, ready to be sent, and who owns each name. A value: built
//! when something changes, never changed.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt::Write,
    sync::Arc,
};

use serde_json::json;

use crate::{
    backend::{Backend, Inventory, State, Tool},
    config::Namespace,
    protocol::{Era, RawObject, meta, name, raw::encode_str},
};

/// Who a tool's name leads to.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The owner.
    pub(crate) backend: Arc<Backend>,
    /// The tool as the owner defines it.
    pub(crate) tool: Arc<Tool>,
}

/// A tool as clients are shown it, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its owner's name.
    pub backend: String,
    /// Its name to clients.
    pub name: String,
    /// Its name at its owner.
    pub tool: String,
    /// Its description to clients.
    pub description: String,
}

/// One state of everything that clients are shown.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    routes: HashMap<String, Route>,
    shown: Vec<Shown>,
    legacy: String,
    modern: String,
    /// Names that were too long, and what they became.
    pub(crate) shortened: Vec<(String, String)>,
    /// Names that a backend of higher rank has taken: name and loser.
    pub(crate) taken: Vec<(String, String)>,
}

/// What one backend adds to the catalog.
pub(crate) struct Share {
    backend: Arc<Backend>,
    inventory: Arc<Inventory>,
    /// Whether its tools are listed, or only known in case they are called.
    listed: bool,
}

impl Share {
    /// `backend`'s share as it is now: listed unless it is down.
    pub(crate) fn of(backend: &Arc<Backend>) -> Self {
        Self {
            listed: backend.is_listed(),
            inventory: backend.inventory(),
            backend: Arc::clone(backend),
        }
    }
}

impl Catalog {
    /// Merges the shares, in their order.
    pub(crate) fn build(shares: &[Share]) -> Self {
        let mut catalog = Self::default();
        let mut tools = String::from("\"tools\":[");
        for share in shares {
            for tool in &share.inventory.tools {
                catalog.add(share, tool, &mut tools);
            }
        }
        tools.push(']');
        let about = json!({ meta::SERVER_INFO: meta::implementation() });
        catalog.legacy = format!("{{{tools}}}");
        catalog.modern = format!(
            "{{\"resultType\":\"complete\",{tools},\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{about}}}"
        );
        catalog
    }

    fn add(&mut self, share: &Share, tool: &Arc<Tool>, list: &mut String) {
        let settings = share.backend.settings();
        let full = match settings.namespace {
            Namespace::Prefix => name::join(share.backend.name(), &tool.name),
            Namespace::None => tool.name.clone(),
        };
        let shown = match name::shorten(&full) {
            Some(short) => {
                self.shortened.push((full, short.clone()));
                short
            }
            None => full,
        };
        match self.routes.entry(shown.clone()) {
            Entry::Occupied(_) => {
                self.taken.push((shown, share.backend.name().to_owned()));
                return;
            }
            Entry::Vacant(free) => {
                free.insert(Route {
                    backend: Arc::clone(&share.backend),
                    tool: Arc::clone(tool),
                });
            }
        }
        if share.listed {
            if !list.ends_with('[') {
                list.push(',');
            }
            let definition =
                shown_definition(&tool.definition, &shown, settings.description.as_deref());
            list.push_str(&definition);
            let description = RawObject::parse(&definition)
                .ok()
                .and_then(|object| Some(object.get_str("description").ok()??.into_owned()));
            self.shown.push(Shown {
                backend: share.backend.name().to_owned(),
                name: shown,
                tool: tool.name.clone(),
                description: description.unwrap_or_default(),
            });
        }
    }

    /// Every listed tool, in the order of the list.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The owner of `name`.
    pub(crate) fn route(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// The result of `tools/list` as the era has it.
    pub(crate) fn tools(&self, era: Era) -> &str {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

/// A definition under another name, with `about` before its description; all
/// else stays as it was.
fn shown_definition(definition: &str, name: &str, about: Option<&str>) -> String {
    let Ok(object) = RawObject::parse(definition) else {
        return definition.to_owned();
    };
    let mut edit = object.edit();
    let mut changed = edit.set("name", encode_str(name));
    if let Some(about) = about.filter(|about| !about.trim().is_empty()) {
        // Spliced as text: an escape in the tool's own description stays.
        let own = object
            .get("description")
            .ok()
            .flatten()
            .and_then(|text| text.strip_prefix('"'));
        let about = encode_str(about);
        let description = match own {
            Some(own) if own != "\"" => {
                let mut text = about[..about.len() - 1].to_owned();
                let _ = write!(text, "\\n\\n{own}");
                text
            }
            _ => about,
        };
        changed = changed.and_then(|()| edit.set("description", description));
    }
    // A definition that names itself twice has been refused by the inventory.
    if changed.is_ok() {
        edit.finish()
    } else {
        definition.to_owned()
    }
}

/// What mcpmux tells a model about itself and its backends.
pub(crate) fn instructions(backends: &[Arc<Backend>]) -> String {
    let mut text = String::from(
        "mcpmux puts several MCP servers behind this one. A tool named server__tool belongs to that server.",
    );
    for backend in backends {
        let about = backend
            .settings()
            .description
            .as_deref()
            .map(str::trim)
            .unwrap_or_default();
        let own = match backend.state() {
            State::Up(connection) => connection.instructions.clone().unwrap_or_default(),
            _ => String::new(),
        };
        if about.is_empty() && own.is_empty() {
            continue;
        }
        let _ = write!(text, "\n\n{}: {about}", backend.name());
        if !own.is_empty() {
            let _ = write!(
                text,
                "{}{}",
                if about.is_empty() { "" } else { "\n" },
                own.trim()
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_changes_in_name_and_description_only() {
        let text = r#"{ "x":1.0, "description":"a\ud800\"b", "name":"t" ,"y":[ ]}"#;
        assert_eq!(
            shown_definition(text, "s__t", Some("Files \"of\" mine")),
            r#"{ "x":1.0, "description":"Files \"of\" mine\n\na\ud800\"b", "name":"s__t" ,"y":[ ]}"#
        );
        assert_eq!(
            shown_definition(r#"{"name":"t"}"#, "t", Some("A")),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(
            shown_definition(r#"{"name":"t","description":""}"#, "t", Some("A")),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(
            shown_definition(r#"{"name":"t"}"#, "u", None),
            r#"{"name":"u"}"#
        );
    }
}
