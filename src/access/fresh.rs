//! What was read of files, and is read again once they have changed: looked at
//! when it is used, and at most once a second.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::{ArcSwap, Guard};
use tokio::task::spawn_blocking;
use tracing::warn;

/// The least time between two looks, in milliseconds.
const PAUSE: u64 = 1000;

/// How a `T` is made of the files. Error: why not, for the log.
type Read<T> = Arc<dyn Fn() -> Result<T, String> + Send + Sync>;

/// A `T` and the files that it was made of.
pub(super) struct Fresh<T> {
    files: Arc<[PathBuf]>,
    read: Read<T>,
    held: ArcSwap<T>,
    made: Instant,
    /// When it is to be looked at again, in milliseconds after it was made. Whoever uses
    /// it looks here first.
    due: AtomicU64,
    looked: Mutex<Looked>,
}

/// When the files were looked at last, and what they were.
struct Looked {
    stamps: Vec<Option<Stamp>>,
}

/// What tells a file from what it was: device, inode, size, and when it changed.
type Stamp = (u64, u64, u64, i64, i64);

impl<T: Send + Sync + 'static> Fresh<T> {
    /// What `read` makes of `files`. Blocks.
    pub(super) fn open(
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        // Before they are read, so that no change is missed.
        let stamps = stamps(&files);
        let first = read()?;
        Ok(Self::of(files, stamps, first, Arc::new(read)))
    }

    /// As [`open`](Self::open), where there is always something. Blocks.
    pub(super) fn always(
        files: Vec<PathBuf>,
        read: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        let stamps = stamps(&files);
        let first = read();
        Self::of(files, stamps, first, Arc::new(move || Ok(read())))
    }

    fn of(files: Vec<PathBuf>, stamps: Vec<Option<Stamp>>, first: T, read: Read<T>) -> Self {
        Self {
            files: files.into(),
            read,
            held: ArcSwap::from_pointee(first),
            made: Instant::now(),
            due: AtomicU64::new(PAUSE),
            looked: Mutex::new(Looked { stamps }),
        }
    }

    /// As it is now, if it was looked at not long ago.
    pub(super) fn seen(&self) -> Option<Guard<Arc<T>>> {
        (self.age() < self.due.load(Ordering::Acquire)).then(|| self.held.load())
    }

    /// As it is now. One that cannot be read leaves the one before in place, and
    /// the log says why.
    pub(super) async fn now(&self) -> Arc<T> {
        if let Some(before) = self.turn() {
            let (files, read) = (Arc::clone(&self.files), Arc::clone(&self.read));
            let looked = spawn_blocking(move || {
                let stamps = stamps(&files);
                let changed = stamps != before;
                (stamps, changed.then(|| read()))
            });
            if let Ok((stamps, read)) = looked.await {
                match read {
                    Some(Ok(new)) => self.held.store(Arc::new(new)),
                    Some(Err(why)) => warn!("{why}; what was there before stays in effect"),
                    None => {}
                }
                self.looked().stamps = stamps;
            }
        }
        self.held.load_full()
    }

    /// What the files were, if it is time to look again and nobody does.
    fn turn(&self) -> Option<Vec<Option<Stamp>>> {
        let age = self.age();
        let is_due = || age >= self.due.load(Ordering::Acquire);
        if !is_due() {
            return None;
        }
        // Others may have come here as well.
        let looked = self.looked();
        is_due().then(|| {
            self.due.store(age + PAUSE, Ordering::Release);
            looked.stamps.clone()
        })
    }

    /// Milliseconds since it was made.
    fn age(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let about = fs::metadata(file).ok()?;
        Some((
            about.dev(),
            about.ino(),
            about.size(),
            about.ctime(),
            about.ctime_nsec(),
        ))
    };
    files.iter().map(stamp).collect()
}
