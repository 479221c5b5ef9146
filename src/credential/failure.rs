//! Why a helper gave no token, in words for its user.

use std::{io, process::ExitStatus, time::Duration};

use super::helper;

/// Why a helper gave no token. It reads on after the helper's name; what it
/// shows of the helper is its stderr.
#[derive(Debug, thiserror::Error)]
pub enum HelperFailure {
    /// The program cannot be started.
    #[error("cannot be started: {source}{}", hint(searched.as_deref()))]
    Start {
        /// Why.
        source: io::Error,
        /// The `PATH` in which it was looked for, if it was not found.
        searched: Option<String>,
    },
    /// It was started and could not be waited for.
    #[error("cannot be waited for: {0}")]
    Wait(io::Error),
    /// It ended without success.
    #[error("failed ({status}){}", quoted(stderr))]
    Status {
        /// How it ended.
        status: ExitStatus,
        /// The end of its stderr.
        stderr: String,
    },
    /// It did not end in time, and was killed.
    #[error("gave no answer within {} s and was killed{}", limit.as_secs_f32(), quoted(stderr))]
    Time {
        /// The time it had.
        limit: Duration,
        /// The end of its stderr.
        stderr: String,
    },
    /// Its stdout was too long to be a token.
    #[error("printed more than {} KiB, which is no token", helper::MAX_TOKEN / 1024)]
    Long,
    /// Its stdout was no token.
    #[error(
        "succeeded and printed {found}, where stdout must be the token alone{}",
        quoted(stderr)
    )]
    NoToken {
        /// What it was instead, in words.
        found: &'static str,
        /// The end of its stderr.
        stderr: String,
    },
    /// The task that ran it is gone, as when mcpmux ends.
    #[error("was given up before it answered")]
    Abandoned,
}

fn quoted(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!("; its stderr: {stderr}")
    }
}

fn hint(searched: Option<&str>) -> String {
    searched.map_or_else(String::new, |path| format!(" (PATH is {path})"))
}
