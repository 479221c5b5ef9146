//! Whose turn it is to change what belongs to a backend: a lock among the tasks
//! of this process, and one among the processes that share a store.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, sleep, timeout_at},
};

use super::{
    VaultError, blocking,
    folder::Medium,
    lock::{self, Held},
};
use crate::config::BackendName;

/// How long a turn is waited for: longer than a request to a server takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts to get the lock of another process.
const PAUSE: Duration = Duration::from_millis(25);

/// A backend's name that is longer is no part of a file's name.
const LONG_NAME: usize = 150;

/// The turns of one store.
#[derive(Debug)]
pub(super) struct Turns {
    /// One for each backend that had a turn.
    tasks: Mutex<HashMap<BackendName, Arc<tokio::sync::Mutex<()>>>>,
    /// Where the locks among processes are; none if the store is not shared.
    shared: Option<Shared>,
    patience: Duration,
}

/// Where the locks of a store that processes share are.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// The directory.
    folder: PathBuf,
    /// Where that must be.
    medium: Medium,
    /// What their names begin with.
    prefix: String,
}

impl Shared {
    /// Locks in `folder`, which must be where `medium` says, with names that
    /// begin with `prefix`.
    pub(super) fn new(folder: PathBuf, medium: Medium, prefix: &str) -> Self {
        Self {
            folder,
            medium,
            prefix: prefix.to_owned(),
        }
    }
}

/// A turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // The other processes' first: they look for it all the time.
    _process: Option<Held>,
    _task: OwnedMutexGuard<()>,
}

impl Turns {
    pub(super) fn new(shared: Option<Shared>) -> Self {
        Self {
            tasks: Mutex::default(),
            shared,
            patience: PATIENCE,
        }
    }

    /// Waits for the turn of `backend`.
    pub(super) async fn take(&self, backend: &BackendName) -> Result<Lock, VaultError> {
        let deadline = Instant::now() + self.patience;
        let mutex = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(tasks.entry(backend.clone()).or_default())
        };
        let task = timeout_at(deadline, mutex.lock_owned()).await;
        let task = task.map_err(|_| VaultError::Busy {
            what: format!("the tokens of {backend}"),
            holder: "another task of this process".to_owned(),
            waited: self.patience,
        })?;
        let process = match &self.shared {
            Some(shared) => Some(self.take_from_others(shared, backend, deadline).await?),
            None => None,
        };
        Ok(Lock {
            _process: process,
            _task: task,
        })
    }

    async fn take_from_others(
        &self,
        shared: &Shared,
        backend: &BackendName,
        deadline: Instant,
    ) -> Result<Held, VaultError> {
        let name = format!("{}-{}", shared.prefix, short(backend.as_str()));
        loop {
            let (Shared { folder, medium, .. }, own) = (shared.clone(), name.clone());
            match blocking(move || lock::attempt(&folder, medium, &own)).await? {
                Ok(held) => return Ok(held),
                Err(holder) if Instant::now() >= deadline => {
                    let path = shared.folder.join(&name);
                    return Err(lock::busy(&path, &holder, self.patience));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

/// A name that fits into a file's name and is no other's.
fn short(name: &str) -> String {
    if name.len() <= LONG_NAME {
        return name.to_owned();
    }
    format!("{:x}", Sha256::digest(name))
}

#[cfg(test)]
mod tests {
    use super::{BackendName, Duration, LONG_NAME, Medium, Shared, Turns, short};

    fn turns(shared: Option<Shared>) -> Turns {
        Turns {
            patience: Duration::from_millis(50),
            ..Turns::new(shared)
        }
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_an_error_that_says_who_has_it() {
        let scratch = tempfile::tempdir().unwrap();
        let shared = Shared::new(scratch.path().join("s"), Medium::Any, "vault.lock");
        let (one, other) = (turns(Some(shared.clone())), turns(Some(shared)));
        let name = BackendName::new("linear").unwrap();
        let first = one.take(&name).await.unwrap();
        let error = one.take(&name).await.unwrap_err().to_string();
        assert!(error.contains("the tokens of linear"), "{error}");
        assert!(error.contains("another task of this process"), "{error}");
        // As another process would be told, whose id is another.
        let error = other.take(&name).await.unwrap_err().to_string();
        assert!(error.contains("vault.lock-linear"), "{error}");
        drop(first);
        drop(other.take(&name).await.unwrap());
        drop(one.take(&name).await.unwrap());
    }

    #[tokio::test]
    async fn who_no_longer_waits_takes_no_turn() {
        let turns = turns(None);
        let name = BackendName::new("a").unwrap();
        let first = turns.take(&name).await.unwrap();
        let gone = tokio::time::timeout(Duration::from_millis(1), turns.take(&name));
        assert!(gone.await.is_err());
        drop(first);
        turns.take(&name).await.unwrap();
    }

    #[test]
    fn a_long_name_fits_into_that_of_a_file() {
        assert_eq!(short("linear"), "linear");
        let long = "x".repeat(1000);
        assert!(short(&long).len() <= LONG_NAME);
        assert_ne!(short(&long), short(&long[1..]));
    }
}
