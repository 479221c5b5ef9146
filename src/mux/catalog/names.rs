//! Things that are known by name, tools and prompts: whose a name is, and what
//! becomes of one that a client could not use or that is taken.

use std::collections::{HashMap, hash_map::Entry};

use super::Share;
use crate::{config::Namespace, protocol::name};

/// A name that was too long for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// What it names: `tool` or `prompt`.
    pub kind: &'static str,
    /// The whole name.
    pub full: String,
    /// What clients are shown.
    pub short: String,
}

/// A name, URI or template that belongs to another one already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What it names.
    pub(crate) kind: &'static str,
    /// The name.
    pub(crate) name: String,
    /// The backend whose thing is left out.
    pub(crate) loser: String,
}

/// Things of one kind by the names that clients are shown.
#[derive(Debug)]
pub(super) struct Names<T> {
    kind: &'static str,
    owners: HashMap<String, T>,
    /// Names that were too long, and what they became.
    pub(super) shortened: Vec<Shortened>,
    /// Names that a backend of higher rank has.
    pub(super) taken: Vec<Taken>,
}

impl<T> Names<T> {
    /// No names yet of things that are called `kind`.
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            owners: HashMap::new(),
            shortened: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// Enters what its owner calls `own`; gives its name to clients, `None` if
    /// that is taken.
    pub(super) fn enter(&mut self, share: &Share, own: &str, thing: T) -> Option<String> {
        let full = match share.backend.settings().namespace {
            Namespace::Prefix => name::join(share.backend.name(), own),
            Namespace::None => own.to_owned(),
        };
        let shown = match name::shorten(&full) {
            Some(short) => {
                self.shortened.push(Shortened {
                    kind: self.kind,
                    full,
                    short: short.clone(),
                });
                short
            }
            None => full,
        };
        match self.owners.entry(shown.clone()) {
            Entry::Occupied(_) => {
                self.taken.push(Taken {
                    kind: self.kind,
                    name: shown,
                    loser: share.backend.name().to_owned(),
                });
                None
            }
            Entry::Vacant(free) => {
                free.insert(thing);
                Some(shown)
            }
        }
    }

    /// What clients call `name`.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.owners.get(name)
    }
}
