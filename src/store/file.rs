//! Files that are the user's alone, read after they were looked at and replaced
//! in one step, in directories that nobody else can change.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, flock},
    io::Errno,
    process::geteuid,
};

use super::unfit;

/// What others may not have on a file.
const ANYTHING: u32 = 0o077;

/// What others may not have on its directory.
const WRITING: u32 = 0o022;

/// How long another process may take to write a file there.
const LOCK: Duration = Duration::from_secs(2);

/// What is added to a file's name while it is written.
const NEW: &str = ".new";

/// The content of the file at `path`, cut at `limit` bytes; none if there is no
/// file. A link, or a file that is not this user's alone, is an error.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let (directory, name) = split(path)?;
    let directory = match open(directory) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A pipe that was put there must hold nobody up.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(unfit("it is a link")),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(unfit("it is no plain file"));
    }
    examine(&stat, ANYTHING)?;
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    File::from(file).take(most).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Puts `content` in the place of the file at `path`, with mode 0600; its
/// directory is made with mode 0700 if need be. The old file stays until the new
/// one is whole.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let (directory, name) = split(path)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let directory = open(directory)?;
    lock(&directory)?;
    replace(&directory, name, content)
}

/// Puts what `change` makes of the content of the file at `path`, as [`read`] has
/// it, in its place, as [`write`] does; other processes that do the same wait.
/// Nothing is written if it fails.
pub(crate) fn update<E: From<io::Error>>(
    path: &Path,
    limit: usize,
    change: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>, E>,
) -> Result<(), E> {
    let (folder, name) = split(path)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let directory = open(folder)?;
    lock(&directory)?;
    let content = change(read(path, limit)?)?;
    Ok(replace(&directory, name, &content)?)
}

fn replace(directory: &OwnedFd, name: &OsStr, content: &[u8]) -> io::Result<()> {
    let mut new = name.to_owned();
    new.push(NEW);
    // Left by a process that was killed.
    remove(directory, &new)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &new, flags, Mode::from_raw_mode(0o600))?;
    let written = File::from(file)
        .write_all(content)
        .and_then(|()| Ok(rustix::fs::renameat(directory, &new, directory, name)?));
    if written.is_err() {
        let _ = remove(directory, &new);
    }
    written
}

/// Removes the oldest files of a directory until `most` are left. Those that
/// cannot be removed stay.
pub(crate) fn prune(directory: &Path, most: usize) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, entry.path()))
        })
        .collect();
    let surplus = files.len().saturating_sub(most);
    if surplus > 0 {
        files.sort();
        for (_, path) in files.into_iter().take(surplus) {
            let _ = fs::remove_file(path);
        }
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent()
        .zip(path.file_name())
        .ok_or_else(|| unfit("it is no path of a file"))
}

/// A directory that nobody but this user and root can change.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    examine(&rustix::fs::fstat(&directory)?, WRITING)
        .map_err(|error| unfit(format!("of its directory: {error}")))?;
    Ok(directory)
}

/// Keeps other processes from writing files there, as long as `directory` is
/// open; a file system that has no such locks goes without.
fn lock(directory: &OwnedFd) -> io::Result<()> {
    let deadline = Instant::now() + LOCK;
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error @ Errno::WOULDBLOCK) => return Err(error.into()),
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

fn examine(stat: &Stat, forbidden: u32) -> io::Result<()> {
    if stat.st_uid != geteuid().as_raw() {
        return Err(unfit(format!("it belongs to user {}", stat.st_uid)));
    }
    if stat.st_mode & forbidden != 0 {
        let mode = stat.st_mode & 0o777;
        return Err(unfit(format!("it is open to others (mode {mode:03o})")));
    }
    Ok(())
}

fn remove(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
