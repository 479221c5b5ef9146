//! How the key of a vault comes to be, where a person asks for it. What is there
//! already is kept: a vault cannot be opened without the key it was made with.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    VaultError, choice,
    file::{self, parts},
    folder::{Folder, Medium},
    items::Items,
    key::{Key, KeyId},
    place,
    source::{self, Found},
};
use crate::config::{Environment, TokenStore};

/// A key that is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// Tells it from other keys.
    pub(crate) id: KeyId,
    /// Whether it was made now.
    pub(crate) new: bool,
}

/// The file of the vault that this user's mcpmux uses: the one that `settings`
/// name, or each in which a service manager or a terminal would have it.
pub(crate) fn vaults(settings: &TokenStore, environment: &Environment) -> Vec<PathBuf> {
    if let Some(path) = &settings.path {
        return vec![path.clone()];
    }
    let places = [
        place::state(environment).ok(),
        place::former_state(environment),
    ];
    let places = places.into_iter().flatten();
    places.map(|folder| folder.join(choice::VAULT)).collect()
}

/// The key that the vault at `path` needs; none if there is no vault there, or
/// if it cannot be told. Blocks.
pub(crate) fn needed(path: &Path) -> Option<KeyId> {
    file::needed_key(path).ok().flatten()
}

impl Made {
    /// A key that was made now.
    pub(crate) fn new(key: &Key) -> Self {
        Self {
            id: key.id(),
            new: true,
        }
    }

    fn found(found: Found) -> Option<Self> {
        match found {
            Found::Key(key, _) => Some(Self {
                id: key.id(),
                new: false,
            }),
            Found::None(_) => None,
        }
    }
}

/// The key in the file at `path`, if there is such a file. Blocks.
pub(crate) fn found_in_file(path: &Path) -> Result<Option<Made>, VaultError> {
    Ok(Made::found(source::read_file(path)?))
}

/// Makes a key in the file at `path`, with mode 0600; error if there is such a
/// file. It is whole or not there at all, whatever happens. Blocks.
pub(crate) fn in_file(path: &Path) -> Result<Made, VaultError> {
    let (folder, name) = parts(path)?;
    let folder = Folder::make(folder, Medium::Readable)?;
    let key = Key::generate()?;
    let new = format!("{name}.new");
    let written = write(&folder, &new, name, &key);
    written.map_err(|error| {
        let _ = folder.remove(&new);
        VaultError::file("write", path, error)
    })?;
    Ok(Made::new(&key))
}

fn write(folder: &Folder, new: &str, name: &str, key: &Key) -> io::Result<()> {
    folder.remove(new)?;
    let mut file = folder.create(new)?;
    file.write_all(key.to_text().expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    folder.rename_anew(new, name)?;
    folder.sync()
}

/// The key that the Secret Service keeps, which must be the one `needed` if that
/// is known; or else a new one, if it may be made.
pub(crate) async fn in_secret_service(
    environment: &Environment,
    needed: Option<KeyId>,
    may_make: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Made> {
    let items = Items::connect(environment).await?;
    if let Some(made) = source::kept(&items, needed).await?.and_then(Made::found) {
        return Ok(made);
    }
    may_make()?;
    Ok(Made::new(&source::keep(&items).await?))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{Found, found_in_file, in_file, source};

    #[test]
    fn a_key_is_made_once_and_kept_from_then_on() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/key");
        let made = in_file(&path).unwrap();
        assert!(made.new);
        let there = fs::metadata(&path).unwrap();
        assert_eq!(there.permissions().mode() & 0o777, 0o600);
        in_file(&path).unwrap_err();
        let again = found_in_file(&path).unwrap().unwrap();
        assert_eq!((again.id, again.new), (made.id, false));
        let Found::Key(key, _) = source::read_file(&path).unwrap() else {
            panic!("no key");
        };
        assert_eq!(key.id(), made.id);
        assert_eq!(fs::read_dir(scratch.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_and_is_no_key_is_not_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("key");
        fs::write(&path, "something dear").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        in_file(&path).unwrap_err();
        found_in_file(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "something dear");
    }
}
