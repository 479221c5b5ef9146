//! Where the records of OAuth logins are kept: in an encrypted file, in the
//! runtime directory, in the Secret Service, or in memory. What a record says
//! is known to who writes it; here it is a text that belongs to a backend and
//! an issuer.

mod book;
mod choice;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod desktop;
mod error;
mod file;
mod folder;
mod items;
pub(crate) mod key;
mod keyring;
mod lock;
pub(crate) mod making;
mod memory;
pub(crate) mod place;
mod sealed;
#[cfg(test)]
mod sharing;
pub(crate) mod source;
#[cfg(test)]
mod tests;
mod turn;

use std::{fmt, sync::Arc};

pub(crate) use error::VaultError;
use file::FileStore;
use keyring::Keyring;
use memory::Memory;
pub(crate) use turn::Lock;

use crate::{
    Secret,
    config::{BackendName, Environment, TokenStore},
};

/// A store of records. `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Vault {
    about: About,
    store: Store,
    turns: turn::Turns,
}

#[derive(Debug)]
enum Store {
    Memory(Memory),
    File(Arc<FileStore>),
    Keyring(Keyring),
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whose tokens it holds.
    pub(crate) issuer: String,
    /// The record, a text that means nothing here.
    pub(crate) record: Secret,
}

/// What a store is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// The kind of store.
    pub(crate) kind: Kind,
    /// Where it is: a path, or what stands for one.
    pub(crate) place: String,
    /// Why it is this one, and what that means; it reads on after a colon.
    pub(crate) why: String,
    /// Whether it is less than what the settings would rather have.
    pub(crate) makeshift: bool,
}

/// The kind of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lost with the process.
    Memory,
    /// Lost with a reboot.
    Runtime,
    /// An encrypted file.
    Vault,
    /// The Secret Service.
    Keyring,
}

impl Vault {
    /// The store that `settings` ask for. What is used and why is logged, and in
    /// [`Self::about`]; a kind that is named and cannot be had is an error, as
    /// is a vault that is there and cannot be read. Bounded in time.
    pub(crate) async fn open(
        settings: &TokenStore,
        environment: &Environment,
    ) -> Result<Self, VaultError> {
        let vault = choice::choose(settings, environment).await?;
        let about = vault.about();
        if about.makeshift {
            tracing::warn!("tokens are kept in {about}");
        } else {
            tracing::info!("tokens are kept in {about}");
        }
        Ok(vault)
    }

    /// What it is.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// The records of a backend as they are now, also by other processes' doing.
    pub(crate) async fn entries(&self, backend: &BackendName) -> Result<Vec<Entry>, VaultError> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.book().of(backend)),
            Store::File(file) => {
                let (file, backend) = (Arc::clone(file), backend.clone());
                blocking(move || Ok(file.read()?.of(&backend))).await
            }
            Store::Keyring(keyring) => keyring.entries(backend).await,
        }
    }

    /// Keeps a record in place of the one of that backend and issuer. When this
    /// returns it outlives whatever the kind of store outlives; on an error what
    /// was there before still is. A caller that goes away does not stop it.
    pub(crate) async fn write(
        &self,
        backend: &BackendName,
        issuer: &str,
        record: &Secret,
    ) -> Result<(), VaultError> {
        match &self.store {
            Store::Memory(memory) => memory.book().set(backend, issuer, record),
            Store::File(file) => {
                let (file, backend) = (Arc::clone(file), backend.clone());
                let (issuer, record) = (issuer.to_owned(), record.clone());
                blocking(move || {
                    file.change(|book| Ok((book.set(&backend, &issuer, &record)?, true)))
                })
                .await
            }
            Store::Keyring(keyring) => keyring.write(backend, issuer, record).await,
        }
    }

    /// Removes a record; whether it was there.
    pub(crate) async fn remove(
        &self,
        backend: &BackendName,
        issuer: &str,
    ) -> Result<bool, VaultError> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.book().remove(backend, issuer)),
            Store::File(file) => {
                let (file, backend) = (Arc::clone(file), backend.clone());
                let issuer = issuer.to_owned();
                blocking(move || {
                    file.change(|book| {
                        let there = book.remove(&backend, &issuer);
                        Ok((there, there))
                    })
                })
                .await
            }
            Store::Keyring(keyring) => keyring.remove(backend, issuer).await,
        }
    }

    /// Waits for its turn to change what belongs to a backend: one at a time of
    /// all tasks of all processes that share this store. It lasts until the
    /// lock is dropped or the process ends. The wait is bounded, and the error
    /// says who holds it.
    pub(crate) async fn lock(&self, backend: &BackendName) -> Result<Lock, VaultError> {
        self.turns.take(backend).await
    }
}

/// Does what blocks where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(VaultError::System("the task that used it has failed")))
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.kind != Kind::Memory {
            write!(f, " {}", self.place)?;
        }
        write!(f, ": {}", self.why)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Runtime => "runtime",
            Self::Vault => "vault",
            Self::Keyring => "keyring",
        })
    }
}
