//! The environment that values are expanded from and children inherit from,
//! held as a value, so that nothing else reads the process's own.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::Secret;

/// The largest credential that is read, as in systemd (`CREDENTIALS_TOTAL_SIZE_MAX`).
const MAX_CREDENTIAL: u64 = 1024 * 1024;

/// The names that a child inherits; see also [`INHERITED_PREFIXES`].
const INHERITED: [&str; 8] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR",
];

/// A child inherits each name that starts with one of these.
const INHERITED_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// Environment variables, the home directory and systemd's credentials.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

/// A value that the environment does not have. It names what is missing and
/// never shows a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missing {
    /// The variable is not set.
    #[error("environment variable {0} is not set")]
    Variable(String),
    /// The variable is set to bytes that are no text.
    #[error("environment variable {0} is not valid UTF-8")]
    NotText(String),
    /// No credentials were handed over.
    #[error(
        "credential {0:?} cannot be had: $CREDENTIALS_DIRECTORY is not set \
         (the service manager sets it where the unit has LoadCredential=)"
    )]
    NoCredentials(String),
    /// This credential was not handed over, or cannot be read.
    #[error("credential {name:?} cannot be read from $CREDENTIALS_DIRECTORY: {source}")]
    Credential {
        /// The credential's name.
        name: String,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// There is no home directory for `~`.
    #[error("the home directory for \"~\" is not known: environment variable HOME is not set")]
    Home,
}

impl Environment {
    /// This process's own environment, as it is now.
    pub fn process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// The names that a child process inherits, with their values: `PATH`,
    /// `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ`, `TMPDIR` and
    /// `XDG_*`. Everything else stays here, for it may be a secret of another.
    pub fn inherited(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .filter(|(name, _)| {
                name.to_str().is_some_and(|name| {
                    INHERITED.contains(&name)
                        || INHERITED_PREFIXES
                            .iter()
                            .any(|prefix| name.starts_with(prefix))
                })
            })
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The variable `name`, which may be empty.
    pub(crate) fn variable(&self, name: &str) -> Result<&str, Missing> {
        self.variables
            .get(OsStr::new(name))
            .ok_or_else(|| Missing::Variable(name.to_owned()))?
            .to_str()
            .ok_or_else(|| Missing::NotText(name.to_owned()))
    }

    /// The credential `name` (systemd.exec(5), `LoadCredential=`) without its
    /// trailing newline. `name` must be one path component.
    pub(crate) fn credential(&self, name: &str) -> Result<Secret, Missing> {
        let directory = self
            .path("CREDENTIALS_DIRECTORY")
            .ok_or_else(|| Missing::NoCredentials(name.to_owned()))?;
        read_text(&directory.join(name)).map_err(|source| Missing::Credential {
            name: name.to_owned(),
            source,
        })
    }

    /// The home directory.
    pub(super) fn home(&self) -> Result<&str, Missing> {
        match self.variable("HOME") {
            Ok(home) if !home.is_empty() => Ok(home),
            _ => Err(Missing::Home),
        }
    }

    /// The directory that the variable `name` holds; none if it is not set, or
    /// holds no absolute path, which the XDG Base Directory Specification says
    /// to ignore.
    pub(crate) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    /// The directories that the variable `name` holds, separated by colons.
    pub(crate) fn directories(&self, name: &str) -> Vec<PathBuf> {
        let value = self.path(name).unwrap_or_default();
        let directories = std::env::split_paths(&value);
        directories.filter(|path| path.is_absolute()).collect()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }
}

/// Reads a credential, bounded; the newline that editors put at the end goes.
fn read_text(path: &Path) -> io::Result<Secret> {
    let file = File::open(path)?;
    // Room for all of it, so that no part is left behind in a smaller buffer.
    let length = file.metadata()?.len().min(MAX_CREDENTIAL);
    let room = usize::try_from(length).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let read = file.take(MAX_CREDENTIAL + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_CREDENTIAL {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        ));
    }
    let end = text.strip_suffix('\n').map_or(text.len(), str::len);
    text.truncate(end);
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(Secret::new(std::mem::take(&mut text)))
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { variables }
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;

    #[test]
    fn a_child_inherits_the_names_that_it_needs_and_no_secret() {
        let environment: Environment = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("TOKEN", "s3cret"),
        ]
        .into_iter()
        .collect();
        let names: Vec<_> = environment.inherited().map(|(name, _)| name).collect();
        assert_eq!(names, ["LC_ALL", "PATH", "XDG_RUNTIME_DIR"]);
        assert!(!format!("{environment:?}").contains("s3cret"));
    }
}
