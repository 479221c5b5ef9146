//! Descriptors that systemd keeps for the service from one start to the next
//! (`sd_notify(3)`, `FDSTORE=1`; `FileDescriptorStoreMax=` of
//! `systemd.service(5)`): documents in memory, sealed so that what comes back
//! is what was left. What a document says is known to who leaves it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
    path::PathBuf,
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::notify::Notifier;

/// What the names of mcpmux's documents begin with, which tells them from
/// sockets (`FileDescriptorName=`).
const OURS: &str = "mcpmux-";

/// Each document has two places, so that the old one is there until systemd has
/// the new one.
const PLACES: [&str; 2] = ["a", "b"];

/// A document that was left with systemd by an earlier start.
///
/// Its descriptor stays open as long as mcpmux runs, closed in children.
#[derive(Debug)]
pub struct Left {
    name: String,
    path: PathBuf,
}

impl Left {
    /// The descriptor of this number and name, if it is such a document.
    pub(super) fn of(descriptor: usize, name: &str) -> Option<Self> {
        if !name.starts_with(OURS) {
            return None;
        }
        let path = PathBuf::from(format!("/proc/self/fd/{descriptor}"));
        let kind = fs::metadata(&path).ok()?.file_type();
        (!kind.is_socket()).then(|| Self {
            name: name.to_owned(),
            path,
        })
    }

    /// Its content, cut at `limit` bytes.
    fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        // Opened anew, and so read from its beginning.
        let file = File::open(&self.path)?;
        let mut content = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut content)?;
        Ok(content)
    }
}

/// The contents of the document `name` among those that were `left`, each cut
/// at `limit` bytes: one, or two if mcpmux was killed while it left the newer.
pub(crate) fn recall(left: &[Left], name: &str, limit: usize) -> Vec<io::Result<Vec<u8>>> {
    PLACES
        .iter()
        .enumerate()
        .filter_map(|(at, _)| left.iter().find(|left| left.name == place(name, at)))
        .map(|left| left.read(limit))
        .collect()
}

/// Leaves `content` with systemd as the document `name`, at the place that the
/// `turn` gives it, and takes the one before it back. Blocks.
///
/// Whether systemd keeps it cannot be known; `Ok(false)` if there is no systemd.
pub(crate) fn leave(
    notifier: &Notifier,
    name: &str,
    turn: u64,
    content: &[u8],
) -> io::Result<bool> {
    if !notifier.is_connected() {
        return Ok(false);
    }
    let document = sealed(name, content)?;
    let (now, before) = if turn.is_multiple_of(2) {
        (0, 1)
    } else {
        (1, 0)
    };
    // What a start before left at this place is older than the one before.
    notifier.forget(&place(name, now))?;
    notifier.keep(&place(name, now), document.as_fd())?;
    notifier.forget(&place(name, before))?;
    Ok(true)
}

fn place(name: &str, at: usize) -> String {
    format!("{OURS}{name}.{}", PLACES[at])
}

/// A file in memory that nobody can change any more.
fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create(format!("{OURS}{name}"), flags)?);
    file.write_all(content)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_document_comes_back_as_it_was_left_and_cannot_be_changed() {
        let document = sealed("test", b"content").unwrap();
        let number = usize::try_from(document.as_raw_fd()).unwrap();
        let left = [Left::of(number, "mcpmux-test.b").unwrap()];
        let contents: Vec<_> = recall(&left, "test", 100)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(contents, [b"content"]);
        assert_eq!(recall(&left, "test", 4)[0].as_ref().unwrap(), b"cont");
        assert!(recall(&left, "other", 100).is_empty());
        let mut file = File::from(document);
        file.write_all(b"x").unwrap_err();
        file.set_len(0).unwrap_err();
    }

    #[test]
    fn a_socket_is_no_document_whatever_it_is_called() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = usize::try_from(socket.as_raw_fd()).unwrap();
        assert!(Left::of(number, "mcpmux-test.a").is_none());
        let document = sealed("test", b"").unwrap();
        let number = usize::try_from(document.as_raw_fd()).unwrap();
        assert!(Left::of(number, "http").is_none());
    }
}
