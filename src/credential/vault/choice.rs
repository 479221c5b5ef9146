//! Which store it is: what the settings name, or else the best that can be had.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    About, Kind, Store, Vault, VaultError, blocking,
    file::{self, FileStore, Sealing},
    folder::Medium,
    key::Key,
    keyring::Keyring,
    memory::Memory,
    place,
    source::{self, Found, Origin},
    turn::{Shared, Turns},
};
use crate::config::{Environment, StoreKind, TokenStore, VaultKey};

/// The name of a vault's file in the state directory.
pub(super) const VAULT: &str = "vault";

/// The name of the file in the runtime directory.
const TOKENS: &str = "tokens";

/// Opens the store that `settings` ask for.
pub(super) async fn choose(
    settings: &TokenStore,
    environment: &Environment,
) -> Result<Vault, VaultError> {
    if !settings.enabled {
        return Ok(memory(
            "token_store.enabled is false; lost when mcpmux ends".to_owned(),
            false,
        ));
    }
    match settings.kind {
        StoreKind::Auto if settings.key == VaultKey::Auto => best(settings, environment).await,
        // Who names a key wants a vault.
        StoreKind::Auto | StoreKind::Vault => {
            vault(settings, environment)
                .await?
                .map_err(|none| VaultError::NoKey {
                    vault: none.vault,
                    why: none.why,
                })
        }
        StoreKind::Runtime => {
            runtime(
                environment,
                "as configured; lost with a reboot".to_owned(),
                false,
            )
            .await
        }
        StoreKind::Memory => Ok(memory(
            "as configured; lost when mcpmux ends".to_owned(),
            false,
        )),
        StoreKind::Keyring => keyring(environment).await,
    }
}

/// A vault if there is a key for one, else the next best.
async fn best(settings: &TokenStore, environment: &Environment) -> Result<Vault, VaultError> {
    let why = match vault(settings, environment).await {
        Ok(Ok(vault)) => return Ok(vault),
        Ok(Err(none)) => none.to_string(),
        Err(error @ VaultError::NoPlace(_)) => error.to_string(),
        Err(error) => return Err(error),
    };
    let soon = format!("{why}; lost with a reboot, unless `mcpmux auth init-vault` makes a key");
    match runtime(environment, soon, true).await {
        Ok(runtime) => Ok(runtime),
        Err(error) => Ok(memory(
            format!("{why}, and {error}; lost when mcpmux ends"),
            true,
        )),
    }
}

/// There is no key for a vault.
struct NoKey {
    vault: PathBuf,
    exists: bool,
    why: String,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no key for a vault can be had ({})", self.why)?;
        if self.exists {
            let vault = self.vault.display();
            write!(f, ", so what is in the vault {vault} is not used")?;
        }
        Ok(())
    }
}

async fn vault(
    settings: &TokenStore,
    environment: &Environment,
) -> Result<Result<Vault, NoKey>, VaultError> {
    let path = vault_path(settings, environment)?;
    let needed = {
        let path = path.clone();
        blocking(move || file::needed_key(&path)).await?
    };
    match source::find(settings, environment, &path, needed).await? {
        Found::Key(key, origin) => Ok(Ok(sealed(&path, key, &origin).await?)),
        Found::None(why) => Ok(Err(NoKey {
            vault: path,
            exists: needed.is_some(),
            why,
        })),
    }
}

/// The file of the vault.
pub(crate) fn vault_path(
    settings: &TokenStore,
    environment: &Environment,
) -> Result<PathBuf, VaultError> {
    if let Some(path) = &settings.path {
        return Ok(path.clone());
    }
    let usual = place::state(environment)?.join(VAULT);
    // The service of a terminal's user may have its state elsewhere.
    let former = place::former_state(environment).map(|folder| folder.join(VAULT));
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    Ok(former
        .filter(|former| there(former) && !there(&usual))
        .unwrap_or(usual))
}

async fn sealed(path: &Path, key: Key, origin: &Origin) -> Result<Vault, VaultError> {
    let sealing = Sealing {
        key,
        origin: origin.to_string(),
    };
    let why = format!("encrypted with the key from {origin}");
    of_file(
        FileStore::new(path, Some(sealing))?,
        Kind::Vault,
        why,
        false,
    )
    .await
}

async fn runtime(
    environment: &Environment,
    why: String,
    makeshift: bool,
) -> Result<Vault, VaultError> {
    let path = place::runtime(environment)?.join(TOKENS);
    of_file(FileStore::new(&path, None)?, Kind::Runtime, why, makeshift).await
}

async fn of_file(
    store: FileStore,
    kind: Kind,
    why: String,
    makeshift: bool,
) -> Result<Vault, VaultError> {
    let store = Arc::new(store);
    let prepared = Arc::clone(&store);
    blocking(move || prepared.prepare()).await?;
    let shared = Shared::new(
        store.folder().to_owned(),
        store.medium(),
        &store.lock_name(),
    );
    Ok(Vault {
        about: About {
            kind,
            place: store.path().display().to_string(),
            why,
            makeshift,
        },
        store: Store::File(store),
        turns: Turns::new(Some(shared)),
    })
}

async fn keyring(environment: &Environment) -> Result<Vault, VaultError> {
    let keyring = Keyring::open(environment).await?;
    // The service has no locks that would do; a reboot ends all of ours.
    let shared = match place::runtime(environment) {
        Ok(folder) => Shared::new(folder, Medium::Memory, "keyring.lock"),
        Err(_) => Shared::new(place::state(environment)?, Medium::Any, "keyring.lock"),
    };
    Ok(Vault {
        about: About {
            kind: Kind::Keyring,
            place: "the Secret Service".to_owned(),
            why: "as configured".to_owned(),
            makeshift: false,
        },
        store: Store::Keyring(keyring),
        turns: Turns::new(Some(shared)),
    })
}

fn memory(why: String, makeshift: bool) -> Vault {
    Vault {
        about: About {
            kind: Kind::Memory,
            place: "memory".to_owned(),
            why,
            makeshift,
        },
        store: Store::Memory(Memory::default()),
        turns: Turns::new(None),
    }
}
