//! One backend and what is listed of it.

use std::sync::Arc;

use crate::{
    backend::{Backend, State},
    cli::survey,
    mux::{Kind, Mux, Shown},
};

/// A backend as it was found.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// How it is.
    pub(super) state: Found,
    /// What clients are shown of it, in the order of the lists.
    pub(super) shown: Vec<Shown>,
}

/// How a backend was found.
#[derive(Debug)]
pub(super) enum Found {
    /// It is up.
    Up {
        /// The era that it speaks.
        era: String,
        /// The revision that was agreed upon.
        revision: &'static str,
        /// What it calls itself.
        server: Option<String>,
    },
    /// It is not.
    Away {
        /// Why.
        reason: Arc<str>,
        /// Whether it has been up, so that what it offered then is known.
        known: bool,
    },
}

impl Entry {
    /// Every backend of `mux`, with what it offers of these kinds to clients of `role`, or in all.
    pub(super) fn of(mux: &Mux, role: Option<&str>, kinds: &[Kind]) -> Vec<Self> {
        let mut shown: Vec<Shown> = kinds
            .iter()
            .flat_map(|kind| mux.shown(role, *kind))
            .collect();
        let mut entry = |backend: &Arc<Backend>| {
            let own = |item: &mut Shown| item.backend == backend.name();
            Self {
                name: backend.name().to_owned(),
                state: Found::at(backend),
                shown: shown.extract_if(.., own).collect(),
            }
        };
        mux.backends().iter().map(&mut entry).collect()
    }

    /// What is listed of this kind.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(move |item| item.kind == kind)
    }
}

impl Found {
    fn at(backend: &Backend) -> Self {
        match backend.state() {
            State::Up(connection, _) => Self::Up {
                era: connection.era().to_string(),
                revision: connection.revision.as_str(),
                server: connection.server.clone(),
            },
            State::Idle(_)
            | State::Starting(_)
            | State::Down(_)
            | State::AwaitingLogin(_)
            | State::Stopped(_) => Self::Away {
                reason: survey::reason(backend).unwrap_or_default(),
                known: backend.inventory().offers.is_some(),
            },
        }
    }
}
