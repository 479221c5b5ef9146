//! The control socket's file: made so that nobody else can reach it, in place of
//! one that a dead process left, and removed at the end.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
    process::geteuid,
};

/// How many connections may wait to be accepted.
const QUEUE: i32 = 64;

/// How long another process may take to look after the same path.
const LOCK: Duration = Duration::from_secs(2);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// Another process serves it.
    #[error("another mcpmux serves {}", .0.display())]
    Served(PathBuf),
    /// Others could put a socket of theirs in its place.
    #[error("other users may write to {}", .0.display())]
    Shared(PathBuf),
    /// It cannot be made.
    #[error("{}: {source}", path.display())]
    Make {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket's file, removed when dropped if it is still the same.
#[derive(Debug)]
pub(super) struct Bound {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let same =
            |metadata: fs::Metadata| metadata.dev() == self.device && metadata.ino() == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(same) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the socket at `path`, non-blocking and listening, mode 0600; the
/// directory it is in is made if need be, mode 0700. Blocks.
pub(super) fn make(path: &Path) -> Result<(OwnedFd, Bound), SocketError> {
    let failed = |source: io::Error| SocketError::Make {
        path: path.to_owned(),
        source,
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    private(directory).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => SocketError::Shared(directory.to_owned()),
        _ => failed(error),
    })?;
    // Of two that find the same dead socket, the second finds it alive.
    let _lock = lock(directory).map_err(failed)?;
    let address = SocketAddrUnix::new(path).map_err(|error| failed(error.into()))?;
    if is_served(&address) {
        return Err(SocketError::Served(path.to_owned()));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(failed(ErrorKind::AlreadyExists.into())),
        Err(_) => {}
    }
    let socket = socket().map_err(failed)?;
    let ready = || -> io::Result<Bound> {
        bind(&socket, &address)?;
        let metadata = fs::symlink_metadata(path)?;
        let bound = Bound {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        // Nobody can connect before it listens, so the mode comes in time.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, QUEUE)?;
        Ok(bound)
    };
    ready().map(|bound| (socket, bound)).map_err(failed)
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// Whether a process listens there, also if its queue is full.
fn is_served(address: &SocketAddrUnix) -> bool {
    let Ok(socket) = socket() else {
        return false;
    };
    matches!(
        connect(&socket, address),
        Ok(()) | Err(rustix::io::Errno::AGAIN)
    )
}

/// Makes `directory`, or checks that only this user and root can change it;
/// `PermissionDenied` if others can.
fn private(directory: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        done => return done,
    }
    let metadata = fs::metadata(directory)?;
    let own = [geteuid().as_raw(), 0].contains(&metadata.uid());
    // Of a directory with the sticky bit, nobody removes what is another's.
    let writable = metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0;
    if own && !writable {
        Ok(())
    } else {
        Err(ErrorKind::PermissionDenied.into())
    }
}

/// Keeps others from `directory` that do the same, until dropped.
fn lock(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = open(directory, flags, Mode::empty())?;
    let deadline = Instant::now() + LOCK;
    loop {
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(handle),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_socket_and_its_directory_are_the_users_alone_and_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcpmux/control.sock");
        let (socket, bound) = make(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        drop((socket, bound));
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_served_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (socket, bound) = make(&path).unwrap();
        let error = make(&path).unwrap_err();
        assert!(matches!(error, SocketError::Served(_)), "{error}");
        drop((socket, bound));
        assert!(make(&path).is_ok());
    }

    #[test]
    fn a_socket_that_took_its_place_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let (_socket, bound) = make(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn another_file_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(make(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_directory_that_others_write_to_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = make(&folder.path().join("control.sock")).unwrap_err();
        assert!(matches!(error, SocketError::Shared(_)), "{error}");
    }

    #[test]
    fn a_path_that_no_address_holds_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = make(&folder.path().join("x".repeat(200))).unwrap_err();
        assert!(matches!(error, SocketError::Make { .. }), "{error}");
    }
}
