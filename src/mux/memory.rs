//! What backends offered, from one run of mcpmux to the next: a file for each in
//! the state directory. A backend that is reached otherwise than before (another
//! command, another endpoint) is another one, and nothing is known of it.

use std::{
    collections::HashMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::sleep};
use tracing::{debug, info};

use super::{Mux, Pins};
use crate::{
    backend::Inventory,
    config::{BackendSettings, Config, Environment, Transport},
    protocol::Era,
    store::{self, Kind, Store},
};

/// The lists of one backend as a document.
const INVENTORY: Kind = Kind {
    name: "inventory",
    version: 1,
    limit: 32 * 1024 * 1024,
};

/// The directory of all in the state directory.
const DIRECTORY: &str = "inventories";

/// The most files there; beyond, those written first are removed.
const MAX: usize = 512;

/// How long changes are gathered before they are written.
const COALESCE: Duration = Duration::from_millis(500);

/// What is known of all backends.
#[derive(Debug, Default)]
pub struct Memory {
    directory: Option<PathBuf>,
    /// By the names of their files, which say how each is reached.
    backends: Mutex<HashMap<String, Arc<Remembered>>>,
    pins: Arc<Pins>,
}

#[derive(Debug)]
struct Remembered {
    store: Arc<Store>,
    /// What is kept now.
    kept: Mutex<Option<(Arc<Inventory>, Era)>>,
}

impl Memory {
    /// What earlier runs knew of the backends of `config`. Blocks.
    pub fn load(config: &Config, environment: &Environment) -> Self {
        let memory = Self {
            directory: store::state(environment).map(|state| state.join(DIRECTORY)),
            pins: Arc::new(Pins::in_state(environment)),
            ..Self::default()
        };
        if let Some(directory) = &memory.directory {
            store::prune(directory, MAX);
        }
        memory.turn_to(config);
        memory
    }

    /// Reads what is known of the backends of `config`, and leaves out others.
    /// Blocks.
    pub fn turn_to(&self, config: &Config) {
        self.pins.turn_to(config);
        let Some(directory) = &self.directory else {
            return;
        };
        let mut backends = HashMap::new();
        for settings in config.backends.iter().filter(|settings| settings.enabled) {
            let Some(file) = file_name(settings) else {
                continue;
            };
            let known = self.backends().get(&file).cloned();
            let known = known.unwrap_or_else(|| {
                Arc::new(Remembered::load(
                    settings.name.as_str(),
                    directory.join(&file),
                ))
            });
            if let Some((inventory, _)) = &*known.kept() {
                self.pins.recall(settings, inventory);
            }
            backends.insert(file, known);
        }
        *self.backends() = backends;
    }

    /// The tools of all backends as they were approved.
    pub(super) fn pins(&self) -> Arc<Pins> {
        Arc::clone(&self.pins)
    }

    /// What the backend that is reached as `settings` say offered last, and in
    /// which era.
    pub(super) fn of(&self, settings: &BackendSettings) -> Option<(Arc<Inventory>, Era)> {
        let remembered = self.remembered(settings)?;
        let kept = remembered.kept();
        kept.clone()
    }

    /// Whether these are settings of one backend, which is reached as before.
    pub(super) fn is_same(one: &BackendSettings, other: &BackendSettings) -> bool {
        file_name(one).is_some_and(|file| Some(file) == file_name(other))
    }

    fn remembered(&self, settings: &BackendSettings) -> Option<Arc<Remembered>> {
        self.backends().get(&file_name(settings)?).cloned()
    }

    fn backends(&self) -> MutexGuard<'_, HashMap<String, Arc<Remembered>>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what the backends of `mux` offer up to date; never ends.
    pub async fn keep(&self, mux: &Mux) {
        let mut activity = mux.activity();
        while activity.changed().await.is_ok() {
            sleep(COALESCE).await;
            activity.mark_unchanged();
            self.save(mux).await;
        }
    }

    /// Keeps what the backends of `mux` that are up offer now.
    pub async fn save(&self, mux: &Mux) {
        self.pins.save().await;
        for backend in mux.backends().iter() {
            let (Some(connection), Some(remembered)) =
                (backend.connected(), self.remembered(&backend.settings()))
            else {
                continue;
            };
            let now = (backend.inventory(), connection.era());
            let same = remembered.kept().as_ref() == Some(&now);
            if same {
                continue;
            }
            let (store, name) = (Arc::clone(&remembered.store), backend.name().to_owned());
            let (inventory, era) = now.clone();
            let saving = spawn_blocking(move || {
                let record = inventory.record(&name, era);
                record.is_some_and(|record| store.save(|| record))
            });
            if matches!(saving.await, Ok(true)) {
                debug!(backend = backend.name(), "its lists are kept");
                *remembered.kept() = Some(now);
            }
        }
    }
}

impl Remembered {
    fn load(backend: &str, file: PathBuf) -> Self {
        let store = Store::new(INVENTORY, Some(file));
        let known = store
            .load(&[])
            .and_then(|record| Inventory::recall(&record))
            .map(|(inventory, era)| (Arc::new(inventory), era));
        if let Some((inventory, era)) = &known {
            info!(
                backend,
                %era,
                tools = inventory.tools.len(),
                "its lists are known from before the start"
            );
        }
        Self {
            store: Arc::new(store),
            kept: Mutex::new(known),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Arc<Inventory>, Era)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a backend's file, which says nothing of it; none where there is
/// no way to it.
pub(super) fn file_name(settings: &BackendSettings) -> Option<String> {
    let mut hash = Sha256::new();
    let mut enter = |text: &[u8]| {
        hash.update(text);
        hash.update([0]);
    };
    enter(settings.name.as_str().as_bytes());
    match settings.transport.as_ref().ok()? {
        Transport::Command(command) => {
            enter(b"command");
            for argument in &command.argv {
                enter(argument.as_bytes());
            }
            let directory = command.cwd.as_deref().unwrap_or(Path::new(""));
            enter(directory.as_os_str().as_encoded_bytes());
        }
        Transport::Http(http) => {
            enter(b"http");
            enter(http.endpoint.as_str().as_bytes());
        }
        Transport::Sse(http) => {
            enter(b"sse");
            enter(http.endpoint.as_str().as_bytes());
        }
    }
    let mut name = String::new();
    for byte in &hash.finalize()[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    Some(name)
}
