//! What clients are shown, taken apart for display.

use super::Catalog;
use crate::protocol::{Era, RawObject, raw::elements};

/// A kind of thing that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tools.
    Tool,
    /// Resources.
    Resource,
    /// Resource templates.
    Template,
    /// Prompts.
    Prompt,
}

/// Something that clients are shown, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is.
    pub kind: Kind,
    /// Its owner's name.
    pub backend: String,
    /// Its name, URI or URI template to clients.
    pub name: String,
    /// What that is at its owner.
    pub own: String,
    /// What a resource or template calls itself.
    pub label: Option<String>,
    /// Its title for people.
    pub title: Option<String>,
    /// Its description to clients.
    pub description: Option<String>,
    /// The media type of a resource or template.
    pub mime_type: Option<String>,
}

impl Kind {
    /// Every kind, in the order of display.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Resource, Self::Template, Self::Prompt];

    /// The member of a list's result that holds the definitions, and the member
    /// of a definition that identifies it.
    fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Tool => ("tools", "name"),
            Self::Resource => ("resources", "uri"),
            Self::Template => ("resourceTemplates", "uriTemplate"),
            Self::Prompt => ("prompts", "name"),
        }
    }
}

impl Catalog {
    /// Everything that is listed of this kind, in the order of the list.
    pub(crate) fn shown(&self, kind: Kind) -> Vec<Shown> {
        let text = match kind {
            Kind::Tool => self.tools(Era::Legacy),
            Kind::Resource => self.resources(Era::Legacy),
            Kind::Template => self.templates(Era::Legacy),
            Kind::Prompt => self.prompts(Era::Legacy),
        };
        let (list, id) = kind.keys();
        let definitions = RawObject::parse(text)
            .ok()
            .and_then(|object| elements(object.get(list).ok()??))
            .unwrap_or_default();
        let shown = |definition| self.show(kind, id, definition);
        definitions.into_iter().filter_map(shown).collect()
    }

    fn show(&self, kind: Kind, id: &str, definition: &str) -> Option<Shown> {
        let object = RawObject::parse(definition).ok()?;
        let member = |key| Some(object.get_str(key).ok()??.into_owned());
        let name = member(id)?;
        let (backend, own) = match kind {
            Kind::Tool => {
                let route = self.tool(&name)?;
                (&route.backend, route.tool.name.clone())
            }
            Kind::Prompt => {
                let named = self.prompt(&name)?;
                (&named.backend, named.name.clone())
            }
            Kind::Resource => {
                let located = self.resource(&name).into_iter().next()?;
                (&located.backend.clone(), located.uri)
            }
            Kind::Template => {
                let located = self.template(&name)?;
                (&located.backend.clone(), located.uri)
            }
        };
        Some(Shown {
            kind,
            backend: backend.name().to_owned(),
            own,
            label: (id != "name").then(|| member("name")).flatten(),
            title: member("title"),
            description: member("description"),
            mime_type: member("mimeType"),
            name,
        })
    }
}
