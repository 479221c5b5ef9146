//! The API keys that there are, and the file that they are kept in: names, roles
//! and hashes, never a key.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable};

use super::text::{self, Hash};
use crate::{Secret, config::Environment, store};

/// The version of the file.
const VERSION: u32 = 1;

/// The most keys: each that is shown is compared with all of them.
const MAX_KEYS: usize = 256;

/// The longest file, in bytes.
const MAX_FILE: usize = 256 << 10;

/// The longest name of a key or a role.
const MAX_NAME: usize = 64;

/// Why the keys cannot be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be used.
    #[error("the keys in {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place for it.
    #[error("there is no place for keys: set access.keys_file, or HOME")]
    NoPlace,
    /// The name is none.
    #[error(
        "{0:?} is no name: 1 to 64 letters, digits, '.', '_', '@' and '-', not first '-' or '.'"
    )]
    Name(String),
    /// There is a key of that name.
    #[error("there is a key {0:?} already; `mcpmux keys revoke` takes it away")]
    Taken(String),
    /// There is no key of that name.
    #[error("there is no key {0:?}")]
    Unknown(String),
    /// There are too many.
    #[error("there are {MAX_KEYS} keys already, which is the most")]
    Full,
    /// The system has no random numbers.
    #[error("no random numbers can be had")]
    Random,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The role of its holder, if it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    salt: String,
    hash: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// From when on it lets in nobody, likewise; never if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    keys: Vec<Key>,
}

/// All keys.
#[derive(Debug, Default)]
pub(in crate::access) struct Book {
    keys: Vec<(Arc<Key>, Hash)>,
    /// Whether there ever were keys: then what looks like one must be one.
    in_use: bool,
}

impl Key {
    fn hash(&self) -> Option<Hash> {
        let decode = |text: &str| STANDARD.decode(text).ok();
        Some(Hash {
            salt: decode(&self.salt)?.try_into().ok()?,
            hash: decode(&self.hash)?.try_into().ok()?,
        })
    }

    /// Whether it lets in nobody any more at `now`.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= seconds(now))
    }
}

impl Book {
    /// Of a file that cannot be used: no key is right.
    pub(super) fn unusable() -> Self {
        Self {
            keys: Vec::new(),
            in_use: true,
        }
    }

    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        let content = store::read_file(path, MAX_FILE + 1).map_err(failed)?;
        let in_use = content.is_some();
        let keys = parse(content).map_err(failed)?.into_iter();
        let keys: Option<_> = keys
            .map(|key| key.hash().map(|hash| (Arc::new(key), hash)))
            .collect();
        Ok(Self {
            keys: keys.ok_or_else(|| failed(damaged()))?,
            in_use,
        })
    }

    /// Whether anybody was ever given a key.
    pub(in crate::access) fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// The key that `text` is, at `now`. All are compared, whichever it is.
    pub(in crate::access) fn find(&self, text: &str, now: SystemTime) -> Option<&Arc<Key>> {
        if !text::is_well_formed(text) {
            return None;
        }
        let mut found = u32::MAX;
        for (index, (_, hash)) in (0..).zip(&self.keys) {
            let same: Choice = hash.is_of(text);
            found.conditional_assign(&index, same);
        }
        let (key, _) = self.keys.get(usize::try_from(found).ok()?)?;
        (!key.has_expired(now)).then_some(key)
    }

    /// Whether `key`, which was found before, is one still, at `now`.
    pub(in crate::access) fn has(&self, key: &Arc<Key>, now: SystemTime) -> bool {
        let known = self.keys.iter().any(|(known, _)| known == key);
        known && !key.has_expired(now)
    }
}

/// The file of the keys: `named` in the configuration, or the usual one.
pub fn place(named: Option<&Path>, environment: &Environment) -> Result<PathBuf, KeyError> {
    let usual = || Some(store::shared_state(environment)?.join("keys.json"));
    named
        .map(Path::to_owned)
        .or_else(usual)
        .ok_or(KeyError::NoPlace)
}

/// All keys in the file at `path`, in the order of their making. Blocks.
pub fn list(path: &Path) -> Result<Vec<Key>, KeyError> {
    Ok(Book::read(path)?
        .keys
        .into_iter()
        .map(|(key, _)| Arc::unwrap_or_clone(key))
        .collect())
}

/// Makes a key and keeps its hash; what is given back is nowhere else. Blocks.
pub fn add(
    path: &Path,
    name: &str,
    role: Option<&str>,
    good_for: Option<Duration>,
) -> Result<Secret, KeyError> {
    for name in [Some(name), role].into_iter().flatten() {
        if !is_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
    }
    let secret = text::generate().map_err(|_| KeyError::Random)?;
    let hash = Hash::of(&secret).map_err(|_| KeyError::Random)?;
    let now = SystemTime::now();
    let key = Key {
        name: name.to_owned(),
        role: role.map(str::to_owned),
        salt: STANDARD.encode(hash.salt),
        hash: STANDARD.encode(hash.hash),
        created: seconds(now),
        expires: good_for.map(|time| seconds(now + time)),
    };
    change(path, |keys| {
        if keys.iter().any(|key| key.name == name) {
            return Err(KeyError::Taken(name.to_owned()));
        }
        if keys.len() >= MAX_KEYS {
            return Err(KeyError::Full);
        }
        keys.push(key);
        Ok(())
    })?;
    Ok(secret)
}

/// Takes a key away. Blocks.
pub fn revoke(path: &Path, name: &str) -> Result<(), KeyError> {
    // Nothing is made where there is nothing to revoke.
    if !list(path)?.iter().any(|key| key.name == name) {
        return Err(KeyError::Unknown(name.to_owned()));
    }
    change(path, |keys| {
        keys.retain(|key| key.name != name);
        Ok(())
    })
}

fn change(
    path: &Path,
    change: impl FnOnce(&mut Vec<Key>) -> Result<(), KeyError>,
) -> Result<(), KeyError> {
    enum Failure {
        File(io::Error),
        Key(KeyError),
    }
    impl From<io::Error> for Failure {
        fn from(error: io::Error) -> Self {
            Self::File(error)
        }
    }
    let changed = store::update_file(path, MAX_FILE + 1, |content| {
        let mut keys = parse(content)?;
        change(&mut keys).map_err(Failure::Key)?;
        let document = Document {
            version: VERSION,
            keys,
        };
        let text = serde_json::to_vec_pretty(&document).map_err(io::Error::other)?;
        Ok::<_, Failure>(text)
    });
    changed.map_err(|failure| match failure {
        Failure::Key(error) => error,
        Failure::File(source) => KeyError::File {
            path: path.to_owned(),
            source,
        },
    })
}

fn parse(content: Option<Vec<u8>>) -> io::Result<Vec<Key>> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    let document: Document = serde_json::from_slice(&content).map_err(|_| damaged())?;
    if content.len() > MAX_FILE || document.version != VERSION || document.keys.len() > MAX_KEYS {
        return Err(damaged());
    }
    Ok(document.keys)
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the file is damaged, or of another version of mcpmux",
    )
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_found_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/keys.json");
        assert!(!Book::read(&path).unwrap().is_in_use());
        let one = add(&path, "one", Some("reader"), None).unwrap();
        let two = add(&path, "two", None, Some(Duration::from_secs(60))).unwrap();
        assert!(matches!(
            add(&path, "two", None, None),
            Err(KeyError::Taken(_))
        ));
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(!kept.contains(one.expose()) && !kept.contains(&one.expose()[7..]));

        let now = SystemTime::now();
        let book = Book::read(&path).unwrap();
        let found = |key: &Secret, now| book.find(key.expose(), now).map(|key| key.name.as_str());
        assert_eq!(found(&one, now), Some("one"));
        assert_eq!(found(&two, now), Some("two"));
        assert_eq!(found(&two, now + Duration::from_secs(61)), None);
        assert_eq!(found(&text::generate().unwrap(), now), None);

        revoke(&path, "one").unwrap();
        revoke(&path, "two").unwrap();
        assert!(matches!(revoke(&path, "two"), Err(KeyError::Unknown(_))));
        let book = Book::read(&path).unwrap();
        assert!(book.is_in_use() && book.find(one.expose(), now).is_none());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        add(&path, "one", None, None).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for bad in [
            "",
            "{",
            "{\"version\":2,\"keys\":[]}",
            &good.replace("\"hash\": \"", "\"hash\": \"x"),
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(Book::read(&path).is_err(), "{bad}");
        }
        std::fs::write(&path, "{").unwrap();
        assert!(add(&path, "two", None, None).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn names_are_plain() {
        for name in ["a", "ci@host.1", "A_b-c"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", "-a", ".a", "a b", "a\n", "ä", &long] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
