//! A backend's share as far as somebody may use it.

use std::sync::Arc;

use super::Share;
use crate::{
    backend::{Definition, Inventory, Offers},
    config::{Rules, Thing},
};

/// The kinds of things of a backend that may be used at all.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of its own")]
pub(super) struct Reach {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
    pub(super) extensions: bool,
}

impl Reach {
    /// Every kind.
    pub(super) const ALL: Self = Self {
        tools: true,
        prompts: true,
        resources: true,
        extensions: true,
    };

    fn of(rules: &Rules, server: &str) -> Self {
        Self {
            tools: rules.touch(Thing::Tool, server),
            prompts: rules.touch(Thing::Prompt, server),
            resources: rules.touch(Thing::Resource, server),
            extensions: rules.touch(Thing::Extension, server),
        }
    }

    fn is_none(self) -> bool {
        !(self.tools || self.prompts || self.resources || self.extensions)
    }

    /// Of what a server offers, what may be used.
    fn within(self, offers: &Offers) -> Offers {
        let list = |of: &[(String, String)]| {
            if self.extensions {
                of.to_vec()
            } else {
                Vec::new()
            }
        };
        Offers {
            tools: offers.tools.filter(|_| self.tools),
            prompts: offers.prompts.filter(|_| self.prompts),
            resources: offers.resources.filter(|_| self.resources),
            completions: offers.completions && (self.prompts || self.resources),
            logging: offers.logging,
            tasks: offers.tasks.clone().filter(|_| self.tools),
            extensions: list(&offers.extensions),
            experimental: list(&offers.experimental),
        }
    }
}

impl Share {
    /// What of it may be used by `rules`; `None` if nothing.
    pub(in crate::mux) fn seen_by(&self, rules: &Rules) -> Option<Self> {
        let server = self.backend.name();
        let reach = Reach::of(rules, server);
        if reach.is_none() {
            return None;
        }
        let known = &self.inventory;
        let those = |kind, list: &[Arc<Definition>]| {
            let may = |own: &&Arc<Definition>| rules.may(kind, server, &own.id);
            list.iter().filter(may).cloned().collect()
        };
        let inventory = Inventory {
            offers: known
                .offers
                .as_deref()
                .map(|offers| Arc::new(reach.within(offers))),
            instructions: known.instructions.clone(),
            tools: Vec::new(),
            prompts: those(Thing::Prompt, &known.prompts),
            resources: those(Thing::Resource, &known.resources),
            templates: those(Thing::Resource, &known.templates),
        };
        let tools = self.tools.iter();
        let may = |own: &str| rules.may(Thing::Tool, server, own);
        Some(Self {
            backend: Arc::clone(&self.backend),
            inventory: Arc::new(inventory),
            tools: tools
                .filter(|offered| may(&offered.tool.name))
                .cloned()
                .collect(),
            misfits: Vec::new(),
            reach,
        })
    }
}
