//! A directory that is the user's alone, and the files in it. Everything is
//! done relative to the open directory, after it was looked at, so that nobody
//! can put another in its place in between.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

use super::VaultError;

/// `f_type` of statfs(2) for file systems that are in memory only.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// What others may not have on a file, or on the directory of a store.
const ANYTHING: u32 = 0o077;

/// What others may not have on a directory that is no secret.
const WRITING: u32 = 0o022;

/// An open directory of mode 0700 (or less) that belongs to this user.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    medium: Medium,
}

/// Where a directory must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// Anywhere.
    Any,
    /// Anywhere, and others may look into it, but not change it.
    Readable,
    /// In memory: tmpfs or ramfs.
    Memory,
}

impl Folder {
    /// The directory at `path`; none if there is none.
    pub(super) fn open(path: &Path, medium: Medium) -> Result<Option<Self>, VaultError> {
        // systemd links the state directory of 254 on to where it was before
        // (systemd.exec(5), StateDirectory=). A link of anybody else is no
        // place for tokens; what it leads to is looked at in any case.
        match fs::symlink_metadata(path) {
            Ok(link) if link.is_symlink() && !is_trusted(link.uid()) => {
                return Err(not_safe(
                    path,
                    "is a link that somebody else made",
                    "remove it",
                ));
            }
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(VaultError::file("open", path, error)),
        };
        let folder = Self {
            fd,
            path: path.to_owned(),
            medium,
        };
        folder.examine()?;
        Ok(Some(folder))
    }

    /// The directory at `path`, made with mode 0700 if there is none, as are
    /// those above it.
    pub(super) fn make(path: &Path, medium: Medium) -> Result<Self, VaultError> {
        for _ in 0..3 {
            if let Some(folder) = Self::open(path, medium)? {
                return Ok(folder);
            }
            make_all(path)
                .map_err(|error| VaultError::file("make the directory of", path, error))?;
        }
        let gone = io::Error::from(io::ErrorKind::NotFound);
        Err(VaultError::file("make the directory of", path, gone))
    }

    fn examine(&self) -> Result<(), VaultError> {
        let failed = |error| VaultError::file("look at", &self.path, error);
        let stat = rustix::fs::fstat(&self.fd).map_err(failed)?;
        let of_root = self.medium == Medium::Readable && stat.st_uid == 0;
        if !of_root {
            examine_owner(&self.path, &stat)?;
        }
        let forbidden = match self.medium {
            Medium::Any | Medium::Memory => ANYTHING,
            Medium::Readable => WRITING,
        };
        examine_mode(&self.path, &stat, forbidden)?;
        if self.medium == Medium::Memory {
            let system = rustix::fs::fstatfs(&self.fd).map_err(failed)?;
            // The type of the field differs by machine, its 32 bits do not.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let magic = system.f_type as u32;
            if !IN_MEMORY.contains(&magic) {
                return Err(not_safe(
                    &self.path,
                    "is on a disk, where nothing may be in plain text",
                    "mount a tmpfs there, or use another kind of token_store",
                ));
            }
        }
        Ok(())
    }

    /// The path of a file in it.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content of a file, of `limit` bytes at most (what is longer is cut);
    /// none if there is no file.
    pub(super) fn read(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        // A pipe that was put there must hold nobody up.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let Some(file) = self.open_file(name, flags)? else {
            return Ok(None);
        };
        let failed = |error| VaultError::file("read", self.path_of(name), error);
        let length = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(limit);
        // One more, so that the end is seen without room for more being made.
        let mut content = Zeroizing::new(Vec::with_capacity(length.min(limit) + 1));
        let most = u64::try_from(length.min(limit)).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut content).map_err(failed)?;
        Ok(Some(content))
    }

    /// A file that is there, is a plain file and the user's alone.
    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> Result<Option<File>, VaultError> {
        let path = self.path_of(name);
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(not_safe(&path, "is a link", "remove it")),
            Err(error) => return Err(VaultError::file("open", path, error)),
        };
        let stat =
            rustix::fs::fstat(&fd).map_err(|error| VaultError::file("look at", &path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(not_safe(&path, "is no plain file", "remove it"));
        }
        examine_owner(&path, &stat)?;
        examine_mode(&path, &stat, ANYTHING)?;
        Ok(Some(fd.into()))
    }

    /// A new file of mode 0600, whatever the umask; error if there is one.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?;
        let mode = match self.medium {
            Medium::Any | Medium::Readable => 0o600,
            // What lies in a runtime directory for hours may be cleaned up
            // unless it is sticky (XDG Base Directory Specification).
            Medium::Memory => 0o1600,
        };
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
        Ok(fd.into())
    }

    /// Removes a file; whether there was one.
    pub(super) fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file in the place of another, at once.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Gives a file another name, unless there is such a file.
    pub(super) fn rename_anew(&self, from: &str, to: &str) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, flags) {
            // FAT and some file systems over the network cannot do that at once.
            Err(Errno::INVAL)
                if self
                    .open_file(to, OFlags::RDONLY)
                    .is_ok_and(|f| f.is_none()) =>
            {
                self.rename(from, to)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Sees to it that the names of its files survive a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

fn examine_owner(path: &Path, stat: &Stat) -> Result<(), VaultError> {
    if stat.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    let what = format!("belongs to user {}", stat.st_uid);
    Err(not_safe(path, &what, "make it yours, or use another place"))
}

fn examine_mode(path: &Path, stat: &Stat, forbidden: u32) -> Result<(), VaultError> {
    if stat.st_mode & forbidden == 0 {
        return Ok(());
    }
    let what = format!("is open to others (mode {:03o})", stat.st_mode & 0o777);
    let remedy = format!("chmod go= {}", path.display());
    Err(not_safe(path, &what, &remedy))
}

fn is_trusted(user: u32) -> bool {
    user == geteuid().as_raw() || user == 0
}

fn not_safe(path: &Path, what: &str, remedy: &str) -> VaultError {
    VaultError::Unsafe {
        path: path.to_owned(),
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Makes a directory and those above it that are missing, each for the user
/// alone, whatever the umask.
fn make_all(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_all(above)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::Path,
    };

    use super::{Folder, Medium, OFlags};

    /// A directory beside this program: builds are on a disk, unlike what is
    /// temporary on many machines.
    pub(in crate::credential::vault) fn on_disk() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_enter_or_that_is_none_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        assert!(Folder::open(&path, Medium::Any).unwrap().is_none());
        Folder::make(&path, Medium::Any).unwrap();
        for part in ["a", "a/b"] {
            let made = fs::metadata(scratch.path().join(part)).unwrap();
            assert_eq!(made.permissions().mode() & 0o777, 0o700);
        }
        for open in [0o710, 0o701, 0o740, 0o720, 0o755] {
            mode(&path, open);
            let error = Folder::make(&path, Medium::Any).unwrap_err().to_string();
            assert!(error.contains("chmod go= "), "{error}");
        }
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        Folder::make(&file, Medium::Any).unwrap_err();
        Folder::make(&file.join("below"), Medium::Any).unwrap_err();
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_a_link_or_none_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        let folder = Folder::make(&path, Medium::Any).unwrap();
        fs::write(path.join("file"), "x").unwrap();
        for (open, word) in [(0o644, "others"), (0o620, "others"), (0o602, "others")] {
            mode(&path.join("file"), open);
            let error = folder.read("file", 10).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        mode(&path.join("file"), 0o600);
        assert_eq!(&**folder.read("file", 10).unwrap().unwrap(), b"x");
        symlink("file", path.join("link")).unwrap();
        let error = folder.read("link", 10).unwrap_err().to_string();
        assert!(error.contains("is a link"), "{error}");
        fs::create_dir(path.join("directory")).unwrap();
        folder.read("directory", 10).unwrap_err();
        let made = std::process::Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(path.join("pipe"))
            .status();
        assert!(made.unwrap().success());
        let error = folder.open_file("pipe", OFlags::RDONLY | OFlags::NONBLOCK);
        assert!(error.unwrap_err().to_string().contains("plain file"));
        assert!(folder.read("nothing", 10).unwrap().is_none());
    }

    #[test]
    fn a_link_of_ones_own_to_a_safe_directory_is_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("target");
        Folder::make(&target, Medium::Any).unwrap();
        let link = scratch.path().join("link");
        symlink(&target, &link).unwrap();
        assert!(Folder::open(&link, Medium::Any).unwrap().is_some());
        mode(&target, 0o755);
        Folder::open(&link, Medium::Any).unwrap_err();
    }

    #[test]
    fn a_disk_is_told_from_memory() {
        let disk = on_disk();
        let error = Folder::make(&disk.path().join("a"), Medium::Memory).unwrap_err();
        assert!(error.to_string().contains("is on a disk"), "{error}");
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        Folder::make(&memory.path().join("a"), Medium::Memory).unwrap();
    }

    #[test]
    fn what_is_created_has_its_mode_whatever_the_umask() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::make(&scratch.path().join("a"), Medium::Any).unwrap();
        let file = folder.create("file").unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            0o600
        );
        folder.create("file").unwrap_err();
        assert!(folder.remove("file").unwrap());
        assert!(!folder.remove("file").unwrap());
    }
}
