//! Tools as they were when they were first seen, or when a person approved them:
//! a file for each backend in the state directory. What has changed since is told,
//! and kept from clients where the configuration says so.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{Mux, memory};
use crate::{
    backend::{Backend, Inventory, Lists},
    config::{BackendSettings, Config, Environment, Pin},
    store::{self, Kind, Store},
    systemd::tool_changed,
};
use book::{Book, Tools};
use content::Content;

mod book;
mod change;
mod content;

pub use change::{Matter, MemberChange, ToolChange};

/// The tools of one backend as a document.
const PINS: Kind = Kind {
    name: "pins",
    version: 1,
    limit: 32 * 1024 * 1024,
};

/// The directory of all in the state directory.
const DIRECTORY: &str = "pins";

/// The most files there; beyond, those written first are removed.
const MAX: usize = 512;

/// The most bytes of texts that one answer about changes has.
const MAX_TOLD: usize = 8 * 1024 * 1024;

/// The tools of all backends as they were approved.
#[derive(Debug, Default)]
pub struct Pins {
    directory: Option<PathBuf>,
    /// By the names of their files, which say how each is reached.
    backends: Mutex<HashMap<String, Arc<Pinned>>>,
}

#[derive(Debug)]
struct Pinned {
    store: Store,
    state: Mutex<State>,
    saving: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    book: Book,
    /// It is not kept as it is.
    dirty: bool,
    /// What was found last, of which inventory, and by which setting.
    found: Option<(Arc<Inventory>, Pin, Arc<Found>)>,
}

/// What was found of a backend's tools.
#[derive(Debug, Default)]
pub(super) struct Found {
    tools: Tools,
    changes: Vec<ToolChange>,
    hidden: HashSet<String>,
}

/// The tools of a backend that are not as they were approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackendChanges {
    /// The backend.
    pub backend: String,
    /// Whether clients do not see them.
    pub hidden: bool,
    /// The tools.
    pub tools: Vec<ToolChange>,
}

impl Found {
    /// What `pin` makes of `tools`, of which `book` has what was approved.
    fn by(pin: Pin, book: &Book, tools: Tools) -> Self {
        let changes = book.compare(&tools);
        let hidden = changes.iter().map(|change| change.tool.clone());
        Self {
            hidden: match pin {
                Pin::Block => hidden.collect(),
                Pin::Warn | Pin::Off => HashSet::new(),
            },
            changes,
            tools,
        }
    }

    /// Whether the tool of this name is kept from clients.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.hidden.contains(name)
    }

    /// Whether any is.
    pub(super) fn hides_any(&self) -> bool {
        !self.hidden.is_empty()
    }
}

impl Pins {
    /// Kept in the state directory of `environment`, where there is one.
    pub(super) fn in_state(environment: &Environment) -> Self {
        let directory = store::state(environment).map(|state| state.join(DIRECTORY));
        if let Some(directory) = &directory {
            store::prune(directory, MAX);
        }
        Self {
            directory,
            backends: Mutex::default(),
        }
    }

    /// Reads what was kept of the tools of `config`'s backends, and leaves out others.
    /// Blocks.
    pub(super) fn turn_to(&self, config: &Config) {
        let mut backends = HashMap::new();
        let enabled = config.backends.iter().filter(|settings| settings.enabled);
        for settings in enabled.filter(|settings| settings.pin != Pin::Off) {
            let Some(file) = memory::file_name(settings) else {
                continue;
            };
            let known = self.backends().get(&file).cloned();
            let known = known.unwrap_or_else(|| {
                let path = self
                    .directory
                    .as_ref()
                    .map(|directory| directory.join(&file));
                Arc::new(Pinned::load(settings, path))
            });
            backends.insert(file, known);
        }
        *self.backends() = backends;
    }

    /// Looks at the tools of `inventory`, which is `backend`'s; those that are seen
    /// for the first time are trusted, and what has changed since is logged.
    pub(super) fn look(&self, backend: &Backend, inventory: &Arc<Inventory>) -> Arc<Found> {
        let pin = backend.settings().pin;
        match self.of(backend) {
            Some(pinned) => pinned.look(backend.name(), pin, inventory),
            None => Arc::default(),
        }
    }

    /// The same, before clients are offered `inventory`: tools that are seen for the
    /// first time are kept as they are when this returns. Else one that is killed
    /// would trust others at its next first sight. Where they cannot be kept, which is
    /// logged, they are offered all the same.
    pub(super) async fn meet(&self, backend: &Backend, inventory: &Arc<Inventory>) {
        let pin = backend.settings().pin;
        if let Some(pinned) = self.of(backend)
            && pinned.is_new()
        {
            pinned.look(backend.name(), pin, inventory);
            pinned.save().await;
        }
    }

    /// The same for an `inventory` that is known from before the start. Blocks.
    pub(super) fn recall(&self, settings: &BackendSettings, inventory: &Arc<Inventory>) {
        let pinned = memory::file_name(settings);
        let pinned = pinned.and_then(|file| self.backends().get(&file).cloned());
        if let Some(pinned) = pinned.filter(|pinned| pinned.is_new()) {
            pinned.look(settings.name.as_str(), settings.pin, inventory);
            pinned.save_now();
        }
    }

    /// Keeps what is not kept yet.
    pub(super) async fn save(&self) {
        let all: Vec<_> = self.backends().values().cloned().collect();
        for pinned in all.iter().filter(|pinned| pinned.state().dirty) {
            pinned.save().await;
        }
    }

    /// What is known of the tools of `backend`; `None` if they are not pinned.
    fn of(&self, backend: &Backend) -> Option<Arc<Pinned>> {
        let settings = backend.settings();
        if settings.pin == Pin::Off {
            return None;
        }
        self.backends().get(&memory::file_name(&settings)?).cloned()
    }

    fn backends(&self) -> MutexGuard<'_, HashMap<String, Arc<Pinned>>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pinned {
    fn load(settings: &BackendSettings, file: Option<PathBuf>) -> Self {
        let there = file
            .as_ref()
            .is_some_and(|file| file.symlink_metadata().is_ok());
        let store = Store::new(PINS, file);
        let known = store.load(&[]);
        let book = known.and_then(|known| serde_json::from_slice::<Book>(&known).ok());
        let lost = there && book.is_none();
        let backend = settings.name.as_str();
        if lost && settings.pin == Pin::Block {
            warn!(
                backend,
                "what was known of its tools is lost: they are hidden until you have looked at \
                 them (mcpmux tools diff {backend}) and approve them (mcpmux tools approve {backend})"
            );
        } else if lost {
            warn!(
                backend,
                "what was known of its tools is lost: they are trusted as they are now"
            );
        }
        let state = State {
            book: book.unwrap_or_else(|| Book::new(backend, lost)),
            ..State::default()
        };
        Self {
            store,
            state: Mutex::new(state),
            saving: Mutex::default(),
        }
    }

    fn look(&self, backend: &str, pin: Pin, inventory: &Arc<Inventory>) -> Arc<Found> {
        let mut state = self.state();
        if let Some((known, by, found)) = &state.found
            && Arc::ptr_eq(known, inventory)
            && *by == pin
        {
            return Arc::clone(found);
        }
        let tools = inventory.tools.iter();
        let tools: Tools = tools
            .map(|tool| (tool.name.clone(), Content::of(&tool.definition)))
            .collect();
        let trusted = !state.book.lost || pin != Pin::Block;
        if state.book.pinned.is_empty() && trusted && !tools.is_empty() {
            state.book.approve(None, &tools);
            state.dirty = true;
        }
        let found = Arc::new(Found::by(pin, &state.book, tools));
        let untold = state.book.untold(&found.changes, &found.tools);
        for change in &untold {
            let hidden = pin == Pin::Block;
            tool_changed(backend, &change.tool, &change.line(), hidden);
        }
        state.dirty |= !untold.is_empty();
        state.found = Some((Arc::clone(inventory), pin, Arc::clone(&found)));
        found
    }

    /// Approves the tool `name`, or all, as they are now; gives the names of those
    /// that were not.
    fn approve(&self, name: Option<&str>) -> Vec<String> {
        let mut state = self.state();
        let Some((inventory, pin, found)) = state.found.take() else {
            return Vec::new();
        };
        let approved = state.book.approve(name, &found.tools);
        state.book.lost &= state.book.pinned.is_empty();
        state.dirty |= !approved.is_empty();
        let found = Found::by(pin, &state.book, found.tools.clone());
        state.found = Some((inventory, pin, Arc::new(found)));
        approved
    }

    /// Whether no tool of it was ever approved.
    fn is_new(&self) -> bool {
        self.state().book.pinned.is_empty()
    }

    /// Keeps it, if it is not kept as it is; returns when it is.
    async fn save(self: &Arc<Self>) {
        let pinned = Arc::clone(self);
        let _ = spawn_blocking(move || pinned.save_now()).await;
    }

    fn save_now(&self) {
        // One after the other: whoever comes second finds it kept, and no book that is
        // older comes last.
        let _turn = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let book = {
            let mut state = self.state();
            if !std::mem::take(&mut state.dirty) {
                return;
            }
            state.book.clone()
        };
        let book = serde_json::to_vec(&book);
        if !book.is_ok_and(|book| self.store.save(|| book)) {
            self.state().dirty = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mux {
    /// The tools that are not as they were approved, of all backends or of `backend`.
    /// Error: there is none of that name.
    pub fn changed_tools(&self, backend: Option<&str>) -> Result<Vec<BackendChanges>, String> {
        if let Some(name) = backend
            && self.backend(name).is_none()
        {
            return Err(self.missing(name));
        }
        let mut left = MAX_TOLD;
        let mut all = Vec::new();
        for owner in self.backends().iter() {
            if backend.is_some_and(|backend| backend != owner.name()) {
                continue;
            }
            let found = self.pins.look(owner, &owner.inventory());
            let mut tools = found.changes.clone();
            for change in &mut tools {
                let texts = change
                    .members
                    .iter()
                    .flat_map(|member| [&member.was, &member.now]);
                let length: usize = texts.flatten().map(String::len).sum();
                if length > left {
                    change.members.clear();
                } else {
                    left -= length;
                }
            }
            all.push(BackendChanges {
                backend: owner.name().to_owned(),
                hidden: found.hides_any(),
                tools,
            });
        }
        all.retain(|changes| !changes.tools.is_empty());
        Ok(all)
    }

    /// Approves the tool `tool` of `backend` as it is now, or all of its tools; gives
    /// the names of those that were not, and clients see them. Error: there is nothing
    /// of that name to approve.
    pub async fn approve_tools(
        &self,
        backend: &str,
        tool: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let owner = self.backend(backend);
        let owner = owner.ok_or_else(|| self.missing(backend))?;
        let pinned = self.pins.of(&owner);
        let pinned = pinned.ok_or_else(|| format!("the tools of {backend} are not pinned"))?;
        self.pins.look(&owner, &owner.inventory());
        let approved = pinned.approve(tool);
        if let (Some(tool), true) = (tool, approved.is_empty()) {
            return Err(format!(
                "{backend} has no tool {tool:?} that waits to be approved"
            ));
        }
        if !approved.is_empty() {
            info!(backend, "approved: {}", approved.join(", "));
            pinned.save().await;
            self.rebuild(None, Lists::default());
        }
        Ok(approved)
    }
}
