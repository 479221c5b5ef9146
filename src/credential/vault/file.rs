//! A store that is one file: read as a whole, written as a whole and at once.
//! A change is a reading and a writing under a lock, so two processes with one
//! store never lose each other's records, and a reader, who takes no lock,
//! never sees half of one.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    VaultError,
    book::Book,
    folder::{Folder, Medium},
    key::{Key, KeyId},
    lock::{self, Held},
    sealed::{self, Flaw},
};

/// How long a change waits for those of other processes, each of which takes
/// as long as the disk does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store's file.
#[derive(Debug)]
pub(super) struct FileStore {
    folder: PathBuf,
    name: String,
    medium: Medium,
    key: Option<Sealing>,
}

/// The key that the file is sealed with.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) key: Key,
    /// Where it comes from, for messages.
    pub(super) origin: String,
}

/// The steps of a change, between any two of which a process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The lock is held.
    Locked,
    /// A new file is there, and empty.
    Created,
    /// Half of its content is written.
    Half,
    /// All of it is.
    Written,
    /// It is on the disk.
    Synced,
    /// It has the store's name.
    Renamed,
    /// That is on the disk as well.
    Done,
}

impl FileStore {
    /// The store at `path`, an absolute path; sealed if there is a key, else in
    /// a directory that must be in memory.
    pub(super) fn new(path: &Path, key: Option<Sealing>) -> Result<Self, VaultError> {
        let (folder, name) = parts(path)?;
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            medium: if key.is_some() {
                Medium::Any
            } else {
                Medium::Memory
            },
            key,
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn medium(&self) -> Medium {
        self.medium
    }

    /// What the names of the files beside the store's begin with.
    pub(super) fn lock_name(&self) -> String {
        lock_name(&self.name)
    }

    /// Makes the directory if it is missing, and reads what is there: whether
    /// this store can be used. What a process left that died is removed.
    pub(super) fn prepare(&self) -> Result<(), VaultError> {
        let folder = Folder::make(&self.folder, self.medium)?;
        let lock = lock::acquire(&self.folder, self.medium, &self.lock_name(), PATIENCE)?;
        self.read_in(&folder)?;
        let clean = folder.remove(&self.new_name());
        clean.map_err(|error| VaultError::file("write", self.path(), error))?;
        drop(lock);
        Ok(())
    }

    /// The records, as they are now. A store that is not there is empty.
    pub(super) fn read(&self) -> Result<Book, VaultError> {
        match Folder::open(&self.folder, self.medium)? {
            Some(folder) => self.read_in(&folder),
            None => Ok(Book::default()),
        }
    }

    fn read_in(&self, folder: &Folder) -> Result<Book, VaultError> {
        // One more than there may be, to tell what is too long.
        let Some(content) = folder.read(&self.name, sealed::MAX_FILE + 1)? else {
            return Ok(Book::default());
        };
        if content.len() > sealed::MAX_FILE {
            return Err(self.flawed(Flaw::Damaged("it is too long")));
        }
        let key = self.key.as_ref().map(|sealing| &sealing.key);
        sealed::open(content, key).map_err(|flaw| self.flawed(flaw))
    }

    fn flawed(&self, flaw: Flaw) -> VaultError {
        let path = self.path();
        match (flaw, &self.key) {
            (Flaw::Key(needs), Some(sealing)) => VaultError::WrongKey {
                path,
                needs: needs.to_string(),
                origin: sealing.origin.clone(),
                have: sealing.key.id().to_string(),
            },
            (Flaw::Damaged(what), _) => VaultError::Damaged { path, what },
            (Flaw::Key(_), None) => VaultError::Damaged {
                path,
                what: "it is a vault",
            },
        }
    }

    /// Lets `change` change the records. They are on the disk when this
    /// returns; on an error, what was there before still is.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<(T, bool), VaultError>,
    ) -> Result<T, VaultError> {
        let folder = Folder::make(&self.folder, self.medium)?;
        let lock = lock::acquire(&self.folder, self.medium, &self.lock_name(), PATIENCE)?;
        reached(Step::Locked);
        // The directory may have been another before the lock was had.
        let folder = Folder::open(&self.folder, self.medium)?.unwrap_or(folder);
        let mut book = self.read_in(&folder)?;
        let (outcome, changed) = change(&mut book)?;
        if changed {
            let key = self.key.as_ref().map(|sealing| &sealing.key);
            let content = sealed::seal(&book, key)?;
            self.replace(&folder, &content).map_err(|error| {
                // What is left of it would be in the way of nobody, and is
                // removed by the next writer if not now.
                let _ = folder.remove(&self.new_name());
                VaultError::file("write", self.path(), error)
            })?;
        }
        drop(lock);
        Ok(outcome)
    }

    fn replace(&self, folder: &Folder, content: &[u8]) -> io::Result<()> {
        let new = self.new_name();
        folder.remove(&new)?;
        let mut file: File = folder.create(&new)?;
        reached(Step::Created);
        let (first, second) = content.split_at(content.len() / 2);
        file.write_all(first)?;
        reached(Step::Half);
        file.write_all(second)?;
        reached(Step::Written);
        file.sync_all()?;
        reached(Step::Synced);
        folder.rename(&new, &self.name)?;
        reached(Step::Renamed);
        folder.sync()?;
        reached(Step::Done);
        Ok(())
    }

    /// All who write hold the lock, so one name will do.
    fn new_name(&self) -> String {
        format!("{}.new", self.name)
    }
}

/// The directory of the file at `path`, and its name there.
pub(super) fn parts(path: &Path) -> Result<(&Path, &str), VaultError> {
    let folder = path.parent().filter(|folder| folder.is_absolute());
    let name = path.file_name().and_then(|name| name.to_str());
    folder.zip(name).ok_or_else(|| {
        let path = path.display();
        VaultError::NoPlace(format!("{path} is no absolute path of a file"))
    })
}

/// The name of the lock of a store in the file `name`.
fn lock_name(name: &str) -> String {
    format!("{name}.lock")
}

/// Locks the vault at `path` against changes by others, whether it is there or not.
pub(super) fn lock(path: &Path) -> Result<Held, VaultError> {
    let (folder, name) = parts(path)?;
    lock::acquire(folder, Medium::Any, &lock_name(name), PATIENCE)
}

/// The id of the key that the vault at `path` needs; none if there is no vault.
pub(super) fn needed_key(path: &Path) -> Result<Option<KeyId>, VaultError> {
    let (folder, name) = parts(path)?;
    let Some(folder) = Folder::open(folder, Medium::Any)? else {
        return Ok(None);
    };
    let Some(start) = folder.read(name, sealed::MAX_HEADER)? else {
        return Ok(None);
    };
    let damaged = |what| VaultError::Damaged {
        path: path.to_owned(),
        what,
    };
    match sealed::header(&start) {
        Ok(header) => header
            .key
            .map(Some)
            .ok_or_else(|| damaged("it is not sealed, as a vault must be")),
        Err(Flaw::Damaged(what)) => Err(damaged(what)),
        Err(Flaw::Key(needed)) => Ok(Some(needed)),
    }
}

/// Where tests end a process.
#[cfg(not(test))]
fn reached(_: Step) {}

#[cfg(test)]
use super::crash::reached;
