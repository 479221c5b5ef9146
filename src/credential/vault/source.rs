//! Where the key of a vault comes from: a systemd credential, the Secret
//! Service, or a file that was named.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    VaultError,
    file::parts,
    folder::{Folder, Medium},
    items::{Attributes, Items},
    key::{Key, KeyId},
    keyring::text,
    place,
};
use crate::{
    Secret,
    config::{Environment, TokenStore, VaultKey},
};

/// The name of the credential (systemd.exec(5), `LoadCredential=`).
pub(crate) const CREDENTIAL: &str = "mcpmux-vault-key";

/// The longest file of a key, in bytes: a line, and what editors add.
const MAX_FILE: usize = 256;

/// What tells keys from other items of mcpmux in the Secret Service, and one
/// key from another.
const KIND: (&str, &str) = ("kind", "vault-key");
const ID: &str = "key-id";

/// Where a key was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is the systemd credential.
    Credential,
    /// The Secret Service keeps it.
    SecretService,
    /// It is in a file.
    File(PathBuf),
}

/// What came of looking for a key.
#[derive(Debug)]
pub(super) enum Found {
    /// There is one.
    Key(Key, Origin),
    /// There is none, and why.
    None(String),
}

/// Looks for the key of `vault`, which needs the key `needed`, or is a new one,
/// for which the Secret Service is asked to keep a new key if it has none.
///
/// A key that is there and is none, or another than the one needed, is an
/// error: what was meant to be used must not be passed over in silence.
pub(super) async fn find(
    settings: &TokenStore,
    environment: &Environment,
    vault: &Path,
    needed: Option<KeyId>,
) -> Result<Found, VaultError> {
    match settings.key {
        VaultKey::Credential => credential(environment),
        VaultKey::SecretService => secret_service(environment, vault, needed).await,
        VaultKey::File => file(&key_file(settings, environment)?).await,
        VaultKey::Auto => {
            let first = match credential(environment)? {
                Found::None(why) => why,
                found @ Found::Key(..) => return Ok(found),
            };
            match secret_service(environment, vault, needed).await? {
                Found::None(second) => Ok(Found::None(format!("{first}; {second}"))),
                found @ Found::Key(..) => Ok(found),
            }
        }
    }
}

/// The file of the key that is meant by `key: file`.
pub(crate) fn key_file(
    settings: &TokenStore,
    environment: &Environment,
) -> Result<PathBuf, VaultError> {
    match &settings.key_file {
        Some(path) => Ok(path.clone()),
        None => Ok(place::configuration(environment)?.join("vault.key")),
    }
}

fn credential(environment: &Environment) -> Result<Found, VaultError> {
    let Some(directory) = environment.directory("CREDENTIALS_DIRECTORY") else {
        return Ok(Found::None(
            "systemd has handed over no credentials ($CREDENTIALS_DIRECTORY is not set)".to_owned(),
        ));
    };
    if !directory.join(CREDENTIAL).exists() {
        return Ok(Found::None(format!(
            "there is no credential {CREDENTIAL} (LoadCredential=) in $CREDENTIALS_DIRECTORY"
        )));
    }
    let text = environment.credential(CREDENTIAL);
    let text = text.map_err(|_| bad(&Origin::Credential, "it cannot be read as text"))?;
    parse(&text, Origin::Credential)
}

/// Reads a key file: like the vault itself it must be the user's alone.
async fn file(path: &Path) -> Result<Found, VaultError> {
    let path = path.to_owned();
    super::blocking(move || read_file(&path)).await
}

/// The key in the file at `path`.
pub(super) fn read_file(path: &Path) -> Result<Found, VaultError> {
    let none = || Ok(Found::None(format!("there is no file {}", path.display())));
    let (folder, name) = parts(path)?;
    let Some(folder) = Folder::open(folder, Medium::Readable)? else {
        return none();
    };
    let Some(content) = folder.read(name, MAX_FILE)? else {
        return none();
    };
    let origin = Origin::File(path.to_owned());
    let Ok(text) = std::str::from_utf8(&content) else {
        return Err(bad(&origin, "it cannot be read as text"));
    };
    parse(&Secret::new(text.to_owned()), origin)
}

/// The key that the Secret Service keeps: the one needed, or else any, or else
/// a new one.
async fn secret_service(
    environment: &Environment,
    vault: &Path,
    needed: Option<KeyId>,
) -> Result<Found, VaultError> {
    match from_secret_service(environment, vault, needed).await {
        // It is there or not, willing or not: either way it gives no key.
        Err(error @ VaultError::SecretService(_)) => Ok(Found::None(error.to_string())),
        found => found,
    }
}

async fn from_secret_service(
    environment: &Environment,
    vault: &Path,
    needed: Option<KeyId>,
) -> Result<Found, VaultError> {
    let items = Items::connect(environment).await?;
    if let Some(found) = kept(&items, needed).await? {
        return Ok(found);
    }
    if let Some(needed) = needed {
        return Ok(Found::None(format!(
            "the Secret Service has no key {needed}, which the vault needs"
        )));
    }
    // Of several processes, one makes it.
    let _lock = super::blocking({
        let vault = vault.to_owned();
        move || super::file::lock(&vault)
    })
    .await?;
    match kept(&items, None).await? {
        Some(found) => Ok(found),
        None => Ok(Found::Key(keep(&items).await?, Origin::SecretService)),
    }
}

/// Has the Secret Service keep a new key.
pub(super) async fn keep(items: &Items) -> Result<Key, VaultError> {
    let key = Key::generate()?;
    let id = key.id().to_string();
    let attributes = Attributes::from([KIND, (ID, id.as_str())]);
    let label = "mcpmux: key of the token vault";
    items
        .keep(label, &attributes, key.to_text().expose())
        .await?;
    Ok(key)
}

/// The key that the Secret Service keeps already; of several, always the same.
pub(super) async fn kept(
    items: &Items,
    needed: Option<KeyId>,
) -> Result<Option<Found>, VaultError> {
    let needed = needed.map(|id| id.to_string());
    let mut attributes = Attributes::from([KIND]);
    attributes.extend(needed.as_deref().map(|id| (ID, id)));
    let mut found = items.find(&attributes).await?;
    found.sort_by(|one, other| one.attributes.get(ID).cmp(&other.attributes.get(ID)));
    let Some(item) = found.into_iter().next() else {
        return Ok(None);
    };
    let origin = Origin::SecretService;
    match text(item.secret) {
        Some(text) => parse(&text, origin).map(Some),
        None => Err(bad(&origin, "it cannot be read as text")),
    }
}

fn parse(text: &Secret, origin: Origin) -> Result<Found, VaultError> {
    match Key::parse(text.expose()) {
        Ok(key) => Ok(Found::Key(key, origin)),
        Err(what) => Err(bad(&origin, what)),
    }
}

fn bad(origin: &Origin, what: &'static str) -> VaultError {
    VaultError::BadKey {
        origin: origin.to_string(),
        what,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential => write!(f, "the systemd credential {CREDENTIAL}"),
            Self::SecretService => f.write_str("the Secret Service"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}
