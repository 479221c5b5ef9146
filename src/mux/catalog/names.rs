//! Things that are known by name, tools and prompts: whose a name is, and what
//! becomes of one that a client could not use or that is taken.

use std::collections::{HashMap, hash_map::Entry};

use crate::{backend::Backend, config::Namespace, protocol::name};

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

/// What clients call something that they know by name.
pub(super) struct ForClients {
    /// The name.
    pub(super) shown: String,
    /// The whole name, where that is too long.
    full: Option<String>,
}

/// What clients call what is named `own` at `backend`.
pub(super) fn for_clients(backend: &Backend, own: &str) -> ForClients {
    let full = match backend.settings().namespace {
        Namespace::Prefix => name::join(backend.name(), own),
        Namespace::None => own.to_owned(),
    };
    match name::shorten(&full) {
        Some(shown) => ForClients {
            shown,
            full: Some(full),
        },
        None => ForClients {
            shown: full,
            full: None,
        },
    }
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
    pub(super) fn enter(&mut self, backend: &Backend, own: &str, thing: T) -> Option<String> {
        let ForClients { shown, full } = for_clients(backend, own);
        if let Some(full) = full {
            self.shortened.push(Shortened {
                kind: self.kind,
                full,
                short: shown.clone(),
            });
        }
        match self.owners.entry(shown.clone()) {
            Entry::Occupied(_) => {
                self.taken.push(Taken {
                    kind: self.kind,
                    name: shown,
                    loser: backend.name().to_owned(),
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
