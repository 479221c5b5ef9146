//! Follows the files of the configuration (inotify(7)) and has it read again when
//! one of them changes: written in place, replaced by another, or linked anew.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use tokio::{
    io::unix::AsyncFd,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout_at},
};
use tracing::{debug, info, warn};

use crate::{config::Config, control::Reload};

/// Changes are gathered until there was none for this long.
const QUIET: Duration = Duration::from_millis(200);

/// How long they are gathered at most.
const LONGEST: Duration = Duration::from_secs(2);

/// The most links that are followed from one file to another.
const MAX_LINKS: usize = 16;

/// How often directories are looked at that change while they are.
const MAX_LOOKS: usize = 8;

/// What is heard of a directory: of its entries, and its own end.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The task that follows the files, while there is one.
pub(super) struct Watch(Option<JoinHandle<()>>);

impl Watch {
    /// Nothing is followed.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Follows the files of `config` if it says so, and asks `reload`.
    pub(super) fn turn_to(&mut self, config: &Config, reload: &Reload) {
        match (&self.0, &config.path) {
            (Some(task), _) if config.watch && !task.is_finished() => {}
            (_, Some(path)) if config.watch => {
                let files = Files {
                    document: std::path::absolute(path).unwrap_or_else(|_| path.clone()),
                    drop_ins: config.drop_ins(),
                };
                let reload = reload.clone();
                self.0 = Some(tokio::spawn(async move {
                    if let Err(error) = follow(files, &reload).await {
                        warn!("`watch` has no effect, the files cannot be watched: {error}");
                    }
                }));
            }
            _ => self.end(),
        }
    }

    fn end(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            debug!("the configuration is not watched any more");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is followed.
#[derive(Debug, Clone)]
struct Files {
    document: PathBuf,
    /// The directory of drop-ins, where there may be one.
    drop_ins: Option<PathBuf>,
}

/// What matters in one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Matters {
    names: HashSet<OsString>,
    /// Every `*.yaml` that is not hidden.
    drop_ins: bool,
}

impl Matters {
    fn has(&self, name: &OsStr) -> bool {
        let bytes = name.as_bytes();
        let is_drop_in = bytes.ends_with(b".yaml") && !bytes.starts_with(b".");
        self.names.contains(name) || self.drop_ins && is_drop_in
    }
}

async fn follow(files: Files, reload: &Reload) -> io::Result<()> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    #[expect(
        deprecated,
        reason = "it owns the descriptor, and the other way in is unsafe"
    )]
    let inotify = AsyncFd::new(inotify)?;
    let mut watched = watch(&inotify, &files, HashMap::new()).await?;
    info!("{} is read again when it changes", files.document.display());
    loop {
        heard(&inotify, &watched).await?;
        let longest = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(longest);
            match timeout_at(quiet, heard(&inotify, &watched)).await {
                Ok(more) => more?,
                Err(_) => break,
            }
        }
        // Directories may be other ones now.
        watched = watch(&inotify, &files, watched).await?;
        reload.ask();
    }
}

/// Waits until something has happened that matters.
async fn heard(inotify: &AsyncFd<OwnedFd>, watched: &HashMap<i32, Matters>) -> io::Result<()> {
    loop {
        let mut ready = inotify.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify.get_ref(), &mut buffer);
        let mut matters = false;
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // After an overflow it is not known what has happened.
            matters |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            if let Some(of) = watched.get(&event.wd()) {
                let name = event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()));
                matters |= name.is_none_or(|name| of.has(name));
            }
        }
        ready.clear_ready();
        if matters {
            return Ok(());
        }
    }
}

/// Watches what is to be watched now, and not what was before.
async fn watch(
    inotify: &AsyncFd<OwnedFd>,
    files: &Files,
    before: HashMap<i32, Matters>,
) -> io::Result<HashMap<i32, Matters>> {
    let (inotify, files) = (inotify.get_ref().try_clone()?, files.clone());
    let done = spawn_blocking(move || {
        let mut wanted = directories(&files);
        let mut watched: HashMap<i32, Matters> = HashMap::new();
        for _ in 0..MAX_LOOKS {
            watched.clear();
            for (directory, matters) in &wanted {
                match inotify::add_watch(&inotify, directory, EVENTS) {
                    Ok(number) => {
                        let known = watched.entry(number).or_default();
                        known.names.extend(matters.names.iter().cloned());
                        known.drop_ins |= matters.drop_ins;
                    }
                    Err(error @ (Errno::NOSPC | Errno::NOMEM)) => return Err(error.into()),
                    // It has gone meanwhile, or may not be read.
                    Err(error) => debug!("{}: {error}", directory.display()),
                }
            }
            // What came to be before it was watched was not heard of.
            let now = directories(&files);
            if now == wanted {
                break;
            }
            wanted = now;
        }
        for number in before.keys().filter(|number| !watched.contains_key(number)) {
            // One whose directory has gone is gone with it.
            let _ = inotify::remove_watch(&inotify, *number);
        }
        Ok(watched)
    });
    done.await.map_err(io::Error::other)?
}

/// The directories to watch, and what matters in each.
fn directories(files: &Files) -> HashMap<PathBuf, Matters> {
    let mut all = HashMap::new();
    let mut path = files.document.clone();
    for _ in 0..MAX_LINKS {
        enter(&mut all, &path);
        let Ok(target) = path.read_link() else { break };
        path = match path.parent() {
            Some(directory) => directory.join(target),
            None => target,
        };
    }
    if let Some(drop_ins) = &files.drop_ins {
        enter(&mut all, drop_ins);
        if drop_ins.is_dir() {
            all.entry(drop_ins.clone()).or_default().drop_ins = true;
        }
    }
    all
}

/// Enters `path` in its directory, and that in its own; where it is not there,
/// the next above that is.
fn enter(all: &mut HashMap<PathBuf, Matters>, path: &Path) {
    let mut levels = 0;
    for path in path.ancestors() {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        if directory.is_dir() {
            let matters = all.entry(directory.to_owned()).or_default();
            matters.names.insert(name.to_owned());
            levels += 1;
            if levels == 2 {
                return;
            }
        }
    }
}
