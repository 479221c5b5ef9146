//! Why a token store cannot be had or used, in words for its user. No message
//! shows a record or a key.

use std::{io, path::PathBuf, time::Duration};

/// Why a token store cannot be had, read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    /// Tokens are to be kept where there is no such place.
    #[error("the token store has no place: {0}")]
    NoPlace(String),
    /// A vault is asked for and there is no key for it.
    #[error(
        "the token store cannot be opened: no key for the vault {}: {why}; \
         `mcpmux auth init-vault` makes one", vault.display()
    )]
    NoKey {
        /// The vault.
        vault: PathBuf,
        /// Where the key was looked for, and what was there.
        why: String,
    },
    /// What should be the vault's key is none.
    #[error("{origin} is no key of a vault: {what}")]
    BadKey {
        /// Where it comes from.
        origin: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The vault was sealed with another key.
    #[error(
        "the vault {} was sealed with another key ({needs}) than that of {origin} ({have}): it is \
         left as it is; give mcpmux the key it needs, or move the file away and log in anew",
        path.display()
    )]
    WrongKey {
        /// The vault.
        path: PathBuf,
        /// The id of the key that it needs.
        needs: String,
        /// Where the key at hand comes from.
        origin: String,
        /// The id of the key at hand.
        have: String,
    },
    /// A file of the store does not hold what was written to it.
    #[error(
        "the token store {} is damaged ({what}): it is left as it is; put back a copy of it, or \
         move it away and log in anew", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file or directory is not the user's alone.
    #[error("{} {what}, so no tokens are kept there: {remedy}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The disk, or the user's share of it, is full.
    #[error(
        "there is no room for the token store {} ({source}): what it held before is still there; \
         make room", path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} the token store {}: {source}", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record, or all of them, take more room than they may.
    #[error("{what} is too large for the token store: {size} bytes, of {limit} at most")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is, in bytes.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Somebody else holds a lock.
    #[error(
        "{} was waited for in vain for {} s: {holder} holds it; if that hangs, end it",
        what, waited.as_secs()
    )]
    Busy {
        /// What was waited for.
        what: String,
        /// Who has it.
        holder: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The Secret Service did not do what it was asked.
    #[error("the Secret Service cannot be used: {0}")]
    SecretService(String),
    /// The system gives no random numbers, or a task of mcpmux is gone.
    #[error("the token store cannot be used: {0}")]
    System(&'static str),
}

impl VaultError {
    /// What came of trying to `verb` the file or directory at `path`.
    pub(super) fn file(
        verb: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full { path, source },
            _ => Self::File { verb, path, source },
        }
    }
}
