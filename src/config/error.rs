//! What is wrong with a configuration, all of it in one report.

use std::{fmt, path::PathBuf};

use super::tree::Position;

/// How many problems a report shows.
const MAX_SHOWN: usize = 100;

/// Why there is no configuration. No message shows a value that came out of a
/// variable or a credential, or one that a secret's key holds.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file was named and none was found.
    #[error(
        "no configuration found; looked for {}\n\
         start with the example: cp mcpmux.example.yaml mcpmux.yaml, or name a file with --config",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// Where it was looked for, in that order.
        looked: Vec<PathBuf>,
    },
    /// Files that cannot be read or that say what they must not.
    #[error("{}", report(problems))]
    Invalid {
        /// Everything that is wrong, by file and place.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What is wrong, by lines, and as much of it as anybody reads.
    pub fn problems(&self) -> Vec<String> {
        self.to_string().lines().map(str::to_owned).collect()
    }
}

/// As many problems as anybody reads, a line for each.
fn report(problems: &[Problem]) -> String {
    let mut lines: Vec<_> = problems
        .iter()
        .take(MAX_SHOWN)
        .map(ToString::to_string)
        .collect();
    if let more @ 1.. = problems.len().saturating_sub(MAX_SHOWN) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// One thing that is wrong. It prints as
/// `file:line:column: key.path: what is wrong; did you mean "x"?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub origin: String,
    /// Line and column from 1, unless the whole file is meant.
    pub place: Option<(usize, usize)>,
    /// The key path, as in `backends[2].auth.type`; empty for the document itself.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// The nearest thing that would have been right.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem of a whole file.
    pub(super) fn of_file(origin: &str, what: impl Into<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            place: None,
            key: String::new(),
            what: what.into(),
            suggestion: None,
        }
    }

    /// A problem at a place in a file.
    pub(super) fn at(origin: &str, at: Position, key: &str, what: impl Into<String>) -> Self {
        Self {
            place: Some((at.line, at.column)),
            key: key.to_owned(),
            ..Self::of_file(origin, what)
        }
    }

    /// Adds what would have been right.
    pub(super) fn suggesting(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion:?}?"),
            None => Ok(()),
        }
    }
}
