//! The merged lists, ready to be sent, and who owns each name and URI. A value:
//! built when something changes, never changed.

use std::sync::Arc;

use crate::{
    backend::{Backend, Inventory, Tool},
    mux::{Changed, Pins},
    protocol::{Era, Revision},
};
use about::About;
use listing::{Draft, Listing};
use names::Names;
use offered::{Offered, offered};
use seen::Reach;
use uris::Uris;

mod about;
mod definition;
mod listing;
mod names;
mod offered;
mod seen;
mod shown;
mod template;
mod uris;

pub use names::Shortened;
pub(crate) use names::Taken;
pub use offered::Misfit;
pub use shown::{Kind, Shown};
pub(crate) use uris::Located;

/// Who a tool's name leads to.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The owner.
    pub(crate) backend: Arc<Backend>,
    /// The tool as the owner defines it.
    pub(crate) tool: Arc<Tool>,
}

/// Who a prompt's name leads to.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The owner.
    pub(crate) backend: Arc<Backend>,
    /// The prompt's name at the owner.
    pub(crate) name: String,
}

/// What one backend adds to the catalog: all that it offers, or offered last.
pub(crate) struct Share {
    backend: Arc<Backend>,
    inventory: Arc<Inventory>,
    /// Those of its tools that are offered.
    tools: Vec<Arc<Offered>>,
    misfits: Vec<Misfit>,
    /// What of it may be used.
    reach: Reach,
}

impl Share {
    /// `backend`'s share as it is known now, without the tools that `pins` hide.
    pub(in crate::mux) fn of(backend: &Arc<Backend>, pins: &Pins) -> Self {
        let inventory = backend.inventory();
        let found = pins.look(backend, &inventory);
        Self::with(backend, inventory, |name| found.hides(name))
    }

    /// `backend`'s share if it offers `inventory`, without the tools that are `hidden`.
    fn with(
        backend: &Arc<Backend>,
        inventory: Arc<Inventory>,
        hidden: impl Fn(&str) -> bool,
    ) -> Self {
        let (tools, misfits) = offered(backend, &inventory, hidden);
        Self {
            backend: Arc::clone(backend),
            inventory,
            tools,
            misfits,
            reach: Reach::ALL,
        }
    }
}

/// One state of everything that clients are shown.
#[derive(Debug)]
pub(crate) struct Catalog {
    about: About,
    tool_names: Names<Route>,
    prompt_names: Names<Named>,
    uris: Uris,
    tools: Listing,
    prompts: Listing,
    resources: Listing,
    templates: Listing,
    taken: Vec<Taken>,
    misfits: Vec<Misfit>,
}

impl Catalog {
    /// Merges the shares, in their order.
    pub(crate) fn build(shares: &[Share]) -> Self {
        let mut taken = Vec::new();
        let (tool_names, tools) = merge_tools(shares);
        let (prompt_names, prompts) = merge_prompts(shares);
        let (uris, resources, templates) = Uris::build(shares, &mut taken);
        taken.extend(tool_names.taken.iter().chain(&prompt_names.taken).cloned());
        Self {
            about: About::of(shares),
            tool_names,
            prompt_names,
            uris,
            tools,
            prompts,
            resources,
            templates,
            taken,
            misfits: shares
                .iter()
                .flat_map(|share| share.misfits.clone())
                .collect(),
        }
    }

    /// The owner of the tool that clients call `name`.
    pub(crate) fn tool(&self, name: &str) -> Option<&Route> {
        self.tool_names.get(name)
    }

    /// The owner of the prompt that clients call `name`.
    pub(crate) fn prompt(&self, name: &str) -> Option<&Named> {
        self.prompt_names.get(name)
    }

    /// The backends that the resource `uri` may belong to, likeliest first: one
    /// where that is known, else each that offers resources.
    pub(crate) fn resource(&self, uri: &str) -> Vec<Located> {
        self.uris.resource(uri)
    }

    /// The backend of the resource template, or of the resource, `uri`.
    pub(crate) fn template(&self, uri: &str) -> Option<Located> {
        self.uris.template(uri)
    }

    /// The result of `tools/list` as the era has it.
    pub(crate) fn tools(&self, era: Era) -> &str {
        self.tools.text(era)
    }

    /// The result of `prompts/list` as the era has it.
    pub(crate) fn prompts(&self, era: Era) -> &str {
        self.prompts.text(era)
    }

    /// The result of `resources/list` as the era has it.
    pub(crate) fn resources(&self, era: Era) -> &str {
        self.resources.text(era)
    }

    /// The result of `resources/templates/list` as the era has it.
    pub(crate) fn templates(&self, era: Era) -> &str {
        self.templates.text(era)
    }

    /// The result of a legacy client's `initialize` at `revision`.
    pub(crate) fn initialized(&self, revision: Revision) -> String {
        self.about.initialized(revision)
    }

    /// The result of `server/discover`.
    pub(crate) fn discovered(&self) -> &str {
        self.about.discovered()
    }

    /// The lists whose changes clients are told.
    pub(crate) fn announced(&self) -> Changed {
        self.about.announced
    }

    /// The lists that are other ones than in `old`.
    pub(crate) fn since(&self, old: &Self) -> Changed {
        Changed {
            tools: self.tools != old.tools,
            prompts: self.prompts != old.prompts,
            resources: self.resources != old.resources || self.templates != old.templates,
        }
    }

    /// Names that were too long, and what they became.
    pub(crate) fn shortened(&self) -> impl Iterator<Item = &Shortened> {
        self.tool_names
            .shortened
            .iter()
            .chain(&self.prompt_names.shortened)
    }

    /// What is left out because its name belongs to another one.
    pub(crate) fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// What the configuration says of tools and fits none.
    pub(crate) fn misfits(&self) -> &[Misfit] {
        &self.misfits
    }
}

fn merge_tools(shares: &[Share]) -> (Names<Route>, Listing) {
    let mut names = Names::new("tool");
    let mut draft = Draft::new("tools");
    for share in shares {
        for Offered { tool, name, text } in share.tools.iter().map(AsRef::as_ref) {
            let route = Route {
                backend: Arc::clone(&share.backend),
                tool: Arc::clone(tool),
            };
            if names.enter(&share.backend, name, route).is_some() {
                draft.push(text);
            }
        }
    }
    (names, draft.finish())
}

fn merge_prompts(shares: &[Share]) -> (Names<Named>, Listing) {
    let mut names = Names::new("prompt");
    let mut draft = Draft::new("prompts");
    for share in shares {
        for prompt in &share.inventory.prompts {
            let owner = Named {
                backend: Arc::clone(&share.backend),
                name: prompt.id.clone(),
            };
            if let Some(name) = names.enter(&share.backend, &prompt.id, owner) {
                draft.push(&definition::shown(&prompt.text, "name", &name));
            }
        }
    }
    (names, draft.finish())
}

#[cfg(test)]
mod tests;
