//! Where the key of the vault is to be and how mcpmux gets it, before anything
//! is done.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::{Args, manager::Manager};
use crate::{
    config::{Environment, StoreKind, TokenStore, VaultKey},
    credential::vault::{key::KeyId, making, source},
};

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) means: Means,
    pub(super) drop_in: Option<DropIn>,
    /// Where the vault is, or will be.
    vaults: Vec<PathBuf>,
}

/// Where the key is to be.
#[derive(Debug)]
pub(super) enum Means {
    /// In a file that only the service manager can decrypt.
    Encrypted { path: PathBuf },
    /// In a file that the service manager hands a copy of.
    Loaded { path: PathBuf },
    /// In a file that mcpmux reads.
    File { path: PathBuf },
    /// With the Secret Service.
    SecretService,
}

/// A file that adds a credential to the unit.
#[derive(Debug)]
pub(super) struct DropIn {
    pub(super) path: PathBuf,
    text: String,
}

impl Plan {
    /// What `args` ask for; none if they do not say, and there is no best way.
    pub(super) fn new(
        args: &Args,
        settings: &TokenStore,
        environment: &Environment,
        manager: &Manager,
    ) -> anyhow::Result<Option<Self>> {
        let means = if let Some(path) = &args.wanted.key_file {
            let path = std::path::absolute(path)?;
            Means::Loaded { path }
        } else if args.wanted.secret_service {
            Means::SecretService
        } else if args.wanted.file {
            let path = source::key_file(settings, environment)?;
            Means::File { path }
        } else if manager.takes_encrypted() {
            let path = manager.configuration(environment)?.join("vault-key.cred");
            Means::Encrypted { path }
        } else {
            return Ok(None);
        };
        let drop_in = match &means {
            Means::Encrypted { path } => Some(("LoadCredentialEncrypted", path)),
            Means::Loaded { path } => Some(("LoadCredential", path)),
            Means::File { .. } | Means::SecretService => None,
        };
        let drop_in = match drop_in {
            Some((option, path)) => {
                let folder = manager.drop_ins(environment)?;
                Some(DropIn::new(&folder, option, path)?)
            }
            None => None,
        };
        Ok(Some(Self {
            means,
            drop_in,
            vaults: match manager.vault() {
                Some(path) if settings.path.is_none() => vec![path],
                _ => making::vaults(settings, environment),
            },
        }))
    }

    /// The vault that is there already, if there is one, and the key that it
    /// needs, as far as that can be told.
    pub(super) fn vault(&self) -> Option<(PathBuf, Option<KeyId>)> {
        let there = |vault: &&PathBuf| vault.symlink_metadata().is_ok();
        let vault = self.vaults.iter().find(there)?;
        Some((vault.clone(), making::needed(vault)))
    }

    /// What would be done.
    pub(super) fn describe(&self, manager: &Manager) -> String {
        let mut lines = vec![format!("would make the key: {}", self.means)];
        if let Some(drop_in) = &self.drop_in {
            lines.push(format!("would write {}:", drop_in.path.display()));
            lines.extend(drop_in.text.lines().map(|line| format!("    {line}")));
            lines.push(format!("then: {}", manager.restart()));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// What is worth knowing besides.
    pub(super) fn notes(&self, settings: &TokenStore) -> Vec<String> {
        let mut notes = Vec::new();
        if let Means::Loaded { path } = &self.means
            && self.vaults.iter().any(|vault| on_one_disk(path, vault))
        {
            notes.push(format!(
                "{} is on the same file system as the vault: who gets hold of the disk has both; \
                 a file on another one keeps them apart",
                path.display()
            ));
        }
        let wanted = match self.means {
            Means::File { .. } => VaultKey::File,
            Means::SecretService => VaultKey::SecretService,
            Means::Encrypted { .. } | Means::Loaded { .. } => VaultKey::Credential,
        };
        let name = match wanted {
            VaultKey::File => "file",
            VaultKey::SecretService => "secret-service",
            VaultKey::Auto | VaultKey::Credential => "credential",
        };
        // A file is never used unless it is named.
        let found = settings.key == VaultKey::Auto && wanted != VaultKey::File;
        if settings.key != wanted && !found {
            notes.push(format!(
                "the configuration must say so as well: `token_store: {{ key: {name} }}`"
            ));
        }
        if !settings.enabled || !matches!(settings.kind, StoreKind::Auto | StoreKind::Vault) {
            notes.push(
                "the configuration asks for no vault: see `token_store.enabled` and `token_store.kind`"
                    .to_owned(),
            );
        }
        notes
    }
}

/// What there is to choose from where nothing is best.
pub(super) fn no_means(manager: &Manager) -> String {
    format!(
        "{}; say where the key is to be:\n  \
         --key-file PATH    in a file, best on another disk, of which systemd hands mcpmux a copy\n  \
         --secret-service   with GNOME Keyring, KWallet or the like\n  \
         --file             in a file with mode 0600 that mcpmux reads itself",
        manager.why_not_encrypted()
    )
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted { path } => write!(f, "encrypted credential {}", path.display()),
            Self::Loaded { path } | Self::File { path } => write!(f, "file {}", path.display()),
            Self::SecretService => f.write_str("the Secret Service"),
        }
    }
}

impl DropIn {
    /// One that hands over the credential in the file at `path` by `option`.
    fn new(folder: &Path, option: &str, path: &Path) -> anyhow::Result<Self> {
        let Some(text) = path
            .to_str()
            .filter(|path| !path.contains(char::is_control))
        else {
            bail!("systemd takes no such path: {}", path.display());
        };
        // systemd.unit(5), Specifiers.
        let text = text.replace('%', "%%");
        // Where it starts services by systemd-executor (255 and later), it cannot
        // hand such a path on, and the service ends with "Failed to deserialize".
        if text.contains(' ') {
            bail!("systemd starts no service with a credential whose path has a space: {text:?}");
        }
        let name = source::CREDENTIAL;
        Ok(Self {
            path: folder.join("vault.conf"),
            text: format!(
                "# The key of the token vault; made by `mcpmux auth init-vault`. The service does\n\
                 # not start while its file is missing (status 243/CREDENTIALS).\n\
                 [Service]\n{option}={name}:{text}\n"
            ),
        })
    }

    /// Writes it, whole or not at all; false if it is there already. One that
    /// says something else is an error.
    pub(super) fn write(&self) -> anyhow::Result<bool> {
        match fs::read_to_string(&self.path) {
            Ok(text) if text == self.text => return Ok(false),
            Ok(_) => bail!(
                "{} says something else: remove it first",
                self.path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("it cannot be read"),
        }
        let new = self.path.with_extension("conf.new");
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let written = self
            .write_to(&new)
            .and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        Ok(written.map(|()| true)?)
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        file.write_all(self.text.as_bytes())?;
        file.sync_all()
    }
}

/// Whether two files are, or would be, on one file system.
fn on_one_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| {
        let mut there = path.ancestors().filter_map(|path| fs::metadata(path).ok());
        there.next().map(|there| there.dev())
    };
    device(one).is_some_and(|one| device(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{DropIn, on_one_disk};

    #[test]
    fn a_drop_in_is_written_once_and_never_over_another() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("mcpmux.service.d");
        let key = Path::new("/media/my-key/100%");
        let drop_in = DropIn::new(&folder, "LoadCredential", key).unwrap();
        assert!(drop_in.write().unwrap());
        assert!(!drop_in.write().unwrap());
        let text = fs::read_to_string(folder.join("vault.conf")).unwrap();
        assert!(
            text.ends_with("[Service]\nLoadCredential=mcpmux-vault-key:/media/my-key/100%%\n"),
            "{text}"
        );
        fs::write(folder.join("vault.conf"), "[Service]\n").unwrap();
        drop_in.write().unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_systemd_would_not_read_as_one_is_refused() {
        for path in ["/a\nExecStart=/bin/evil", "/media/my key"] {
            DropIn::new(Path::new("/x"), "LoadCredential", Path::new(path)).unwrap_err();
        }
    }

    #[test]
    fn disks_are_told_apart() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(on_one_disk(&here.join("x/y/z"), here));
        assert!(!on_one_disk(Path::new("/proc/x"), here));
    }
}
