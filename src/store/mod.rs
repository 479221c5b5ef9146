//! Documents that outlive this process: in a file of the user's own, with
//! systemd, or in both. A document that is damaged, of another version or not
//! the user's own is never a reason not to start: it is as if there were none,
//! and the log says so. What a document says is known to who keeps it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{debug, warn};

mod envelope;
mod file;
mod place;

pub(crate) use file::{prune, read as read_file, update as update_file};
pub(crate) use place::{runtime, shared_state, state};

use crate::systemd::{Left, Notifier, fd_store};
use envelope::Envelope;

/// What a document is, and how long it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The version of what it says; another one is not read.
    pub(crate) version: u32,
    /// The most bytes that it takes.
    pub(crate) limit: usize,
}

/// Where one document is kept.
#[derive(Debug)]
pub(crate) struct Store {
    kind: Kind,
    file: Option<PathBuf>,
    manager: Option<Arc<Notifier>>,
    /// The number of the newest one; each is one more than the one before.
    newest: Mutex<u64>,
    /// What went wrong last was said.
    told: AtomicBool,
}

impl Store {
    /// A document of this `kind` in `file`.
    pub(crate) fn new(kind: Kind, file: Option<PathBuf>) -> Self {
        Self {
            kind,
            file,
            manager: None,
            newest: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// Has it kept by the service manager as well.
    pub(crate) fn with(self, manager: Arc<Notifier>) -> Self {
        let manager = Some(manager).filter(|manager| manager.is_connected());
        Self { manager, ..self }
    }

    /// The newest one, among what was `left` with systemd and the file. Blocks.
    pub(crate) fn load(&self, left: &[Left]) -> Option<Vec<u8>> {
        let Kind { name, limit, .. } = self.kind;
        let mut found = Vec::new();
        // One more byte than there may be tells what is too long.
        for content in fd_store::recall(left, name, limit + 1) {
            found.push(("systemd".to_owned(), content.map(Some)));
        }
        if let Some(path) = &self.file {
            found.push((path.display().to_string(), file::read(path, limit + 1)));
        }
        let mut newest: Option<Envelope> = None;
        for (place, content) in found {
            let opened = match content {
                Ok(None) => continue,
                Ok(Some(content)) => Envelope::open(self.kind, content),
                Err(error) => Err(error.to_string()),
            };
            match opened {
                Ok(other)
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.number < other.number) =>
                {
                    newest = Some(other);
                }
                Ok(_) => {}
                Err(why) => {
                    warn!("the {name} kept by {place} are not used: {why}");
                }
            }
        }
        let newest = newest?;
        *self.newest() = newest.number;
        Some(newest.body)
    }

    /// Whether none was ever found or kept.
    pub(crate) fn is_new(&self) -> bool {
        *self.newest() == 0
    }

    /// Keeps what `body` gives in place of the one before; `false` if it is kept
    /// nowhere, which is said once. One is kept after the other. Blocks.
    pub(crate) fn save(&self, body: impl FnOnce() -> Vec<u8>) -> bool {
        let mut newest = self.newest();
        *newest += 1;
        let number = *newest;
        let content = Envelope::seal(self.kind, number, &body());
        if content.len() > self.kind.limit {
            let error = format!("they would take more than {} bytes", self.kind.limit);
            self.complain("anywhere", &error);
            return false;
        }
        let mut kept = false;
        let mut well = true;
        if let Some(manager) = &self.manager {
            match fd_store::leave(manager, self.kind.name, number, &content) {
                Ok(left) => kept |= left,
                Err(error) => well = self.complain("with systemd", &error),
            }
        }
        if let Some(path) = &self.file {
            match file::write(path, &content) {
                Ok(()) => kept = true,
                Err(error) => well = self.complain(&format!("in {}", path.display()), &error),
            }
        }
        if kept && well {
            self.told.store(false, Ordering::Relaxed);
        }
        kept
    }

    /// Puts what `change` makes of what is kept in the file, by whichever process, in its
    /// place, unless that is `None`; other processes that do the same wait. `false` if
    /// it cannot be kept, which is said once. Blocks.
    pub(crate) fn update(&self, change: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>) -> bool {
        let Some(path) = &self.file else {
            return false;
        };
        let limit = self.kind.limit;
        let mut newest = self.newest();
        let updated = file::update(path, limit + 1, |content| {
            // What cannot be read was spoken of when it was loaded.
            let before = content.and_then(|content| Envelope::open(self.kind, content).ok());
            let number = before.as_ref().map_or(0, |before| before.number);
            *newest = number.max(*newest) + 1;
            let body = change(before.map(|before| before.body)).ok_or(Unwritten::Unchanged)?;
            let content = Envelope::seal(self.kind, *newest, &body);
            if content.len() > limit {
                return Err(unfit(format!("they would take more than {limit} bytes")).into());
            }
            Ok(content)
        });
        match updated {
            Ok(()) | Err(Unwritten::Unchanged) => {
                self.told.store(false, Ordering::Relaxed);
                true
            }
            Err(Unwritten::Failed(error)) => {
                self.complain(&format!("in {}", path.display()), &error)
            }
        }
    }

    fn newest(&self) -> MutexGuard<'_, u64> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, place: &str, error: &(impl std::fmt::Display + ?Sized)) -> bool {
        let name = self.kind.name;
        if self.told.swap(true, Ordering::Relaxed) {
            debug!("the {name} cannot be kept {place}: {error}");
        } else {
            warn!("the {name} cannot be kept {place}, a restart may lose them: {error}");
        }
        false
    }
}

/// Why a document was not written.
enum Unwritten {
    /// It is to stay as it is.
    Unchanged,
    Failed(io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// An error that says what is wrong with a file and nothing else.
fn unfit(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    const KIND: Kind = Kind {
        name: "words",
        version: 1,
        limit: 1024,
    };

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::new(KIND, Some(folder.path().join("below/words")))
    }

    #[test]
    fn what_was_kept_last_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(store(&folder).load(&[]).is_none());
        let first = store(&folder);
        assert!(first.save(|| b"one".to_vec()) && first.save(|| b"two".to_vec()));
        let second = store(&folder);
        assert_eq!(second.load(&[]).unwrap(), b"two");
        assert!(second.save(|| b"three".to_vec()));
        assert_eq!(store(&folder).load(&[]).unwrap(), b"three");
        let path = folder.path().join("below/words");
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.as_path()), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_another_process_kept_is_what_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (store(&folder), store(&folder));
        let add = |store: &Store, word: &str| {
            store.update(|before| Some([&before.unwrap_or_default(), word.as_bytes()].concat()))
        };
        assert!(add(&one, "a") && add(&other, "b") && add(&one, "c"));
        assert_eq!(store(&folder).load(&[]).unwrap(), b"abc");
        assert!(one.update(|before| {
            assert_eq!(before.unwrap(), b"abc");
            None
        }));
        assert!(!add(&one, &"x".repeat(2000)));
        assert_eq!(store(&folder).load(&[]).unwrap(), b"abc");
    }

    #[test]
    fn what_is_damaged_cut_too_long_or_of_another_version_is_as_if_it_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/words");
        store(&folder).save(|| b"content".to_vec());
        let good = fs::read(&path).unwrap();
        let mut turned = good.clone();
        *turned.last_mut().unwrap() ^= 1;
        let cut = &good[..good.len() - 1];
        let other = String::from_utf8(good.clone())
            .unwrap()
            .replace("words 1 ", "words 2 ");
        let long = [good.as_slice(), &[b'x'; 2000]].concat();
        for bad in [&turned, cut, b"", b"\n", other.as_bytes(), &long] {
            fs::write(&path, bad).unwrap();
            assert!(store(&folder).load(&[]).is_none());
        }
        fs::write(&path, &good).unwrap();
        assert!(store(&folder).load(&[]).is_some());
        assert!(store(&folder).save(|| b"it is put right by the next".to_vec()));
    }

    #[test]
    fn what_others_can_read_or_put_there_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/words");
        store(&folder).save(|| b"content".to_vec());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store(&folder).load(&[]).is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert!(store(&folder).load(&[]).is_none());
        fs::remove_file(&path).unwrap();
        assert!(rustix::process::geteuid().is_root() || store(&folder).load(&[]).is_none());
        fs::rename(&elsewhere, &path).unwrap();
        let below = path.parent().unwrap();
        fs::set_permissions(below, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(store(&folder).load(&[]).is_none());
        assert!(!store(&folder).save(|| b"content".to_vec()));
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_leaves_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        store(&folder).save(|| b"content".to_vec());
        assert!(!store(&folder).save(|| vec![b'x'; 2000]));
        assert_eq!(store(&folder).load(&[]).unwrap(), b"content");
        assert!(!Store::new(KIND, None).save(|| b"content".to_vec()));
    }
}
