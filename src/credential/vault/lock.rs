//! Locks between processes, by flock(2): released when dropped, and by the
//! kernel when the process ends, however it does. Who holds one is written in
//! its file, for others to say. The files stay: one that is removed while
//! somebody waits for it would be two.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::{
    VaultError,
    folder::{Folder, Medium},
};

/// Between two attempts: flock(2) that waits could not be called off.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest note in a lock's file that is read.
const MAX_NOTE: u64 = 32;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

/// Who holds a lock, as far as can be told.
#[derive(Debug)]
pub(super) struct Holder(Option<u32>);

/// Takes the lock `name` in the directory `folder`, which is made if it is
/// missing. Blocks for `patience` at most.
pub(super) fn acquire(
    folder: &Path,
    medium: Medium,
    name: &str,
    patience: Duration,
) -> Result<Held, VaultError> {
    let since = Instant::now();
    loop {
        match attempt(folder, medium, name)? {
            Ok(held) => return Ok(held),
            Err(holder) if since.elapsed() >= patience => {
                return Err(busy(&folder.join(name), &holder, patience));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// What is said when a lock could not be had in `waited`.
pub(super) fn busy(path: &Path, holder: &Holder, waited: Duration) -> VaultError {
    VaultError::Busy {
        what: format!("the lock {}", path.display()),
        holder: holder.to_string(),
        waited,
    }
}

/// Takes the lock if nobody holds it, else says who does.
pub(super) fn attempt(
    folder: &Path,
    medium: Medium,
    name: &str,
) -> Result<Result<Held, Holder>, VaultError> {
    let folder = Folder::make(folder, medium)?;
    let path = folder.path_of(name);
    let failed = |error: io::Error| VaultError::file("lock", &path, error);
    let mut file = match folder.open_file(name, OFlags::RDWR)? {
        Some(file) => file,
        None => match folder.create(name) {
            Ok(file) => file,
            // Somebody else made it in the same moment.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Err(Holder(None)));
            }
            Err(error) => return Err(failed(error)),
        },
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Err(Holder::noted(&mut file))),
        Err(error) => return Err(failed(error.into())),
    }
    // The whole directory may have been removed since, and made again by others.
    let there = fs::metadata(&path).map(|there| {
        use std::os::unix::fs::MetadataExt;
        file.metadata()
            .is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
    });
    if !there.unwrap_or(false) {
        return Ok(Err(Holder(None)));
    }
    // A note that cannot be written (a full disk) takes nothing from the lock.
    let _ = note(&mut file);
    Ok(Ok(Held { _file: file }))
}

fn note(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

impl Holder {
    fn noted(file: &mut File) -> Self {
        let mut note = String::new();
        let read = file.take(MAX_NOTE).read_to_string(&mut note);
        Self(read.ok().and_then(|_| note.trim_end().parse().ok()))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pid) = self.0 else {
            return f.write_str("another process");
        };
        if pid == std::process::id() {
            return f.write_str("another task of this process");
        }
        write!(f, "process {pid}")?;
        match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => write!(f, " ({})", name.trim_end()),
            Err(_) => Ok(()),
        }
    }
}
