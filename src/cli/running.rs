//! The mcpmux that runs, as commands reach it.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::task::spawn_blocking;

use super::exit;
use crate::control::{self, Answers, ControlError, Request, candidates, is_nowhere};

/// What was found where a mcpmux would be.
pub(super) enum Found {
    /// It has taken the request.
    Running {
        /// Its control socket.
        path: PathBuf,
        /// What it answers.
        answers: Answers,
    },
    /// It serves another configuration, this one.
    Other(PathBuf),
    /// None runs.
    Nobody,
}

/// Why the mcpmux that runs has not done what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    /// None runs.
    #[error("no mcpmux runs here (`systemctl --user start mcpmux`, or `mcpmux serve`)")]
    Nobody,
    /// None was found, and one in a terminal would not be.
    #[error(
        "no mcpmux runs here that can be found: XDG_RUNTIME_DIR is not set, so one that runs \
         without systemd has no control socket. Set it for both, as a login session does"
    )]
    Unfindable,
    /// One runs, with another configuration.
    #[error("the mcpmux that runs serves another configuration ({})", .0.display())]
    Other(PathBuf),
    /// It did not do it.
    #[error("{0}")]
    Control(#[from] ControlError),
    /// It has answered something else.
    #[error("the running mcpmux gave an answer that does not belong to the question: restart it")]
    Unexpected,
}

impl Missing {
    /// Tells a person, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        eprintln!("mcpmux: {self}");
        self.code()
    }

    /// Whether there is none, which may be for a moment: it is being restarted.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Nobody | Self::Unfindable => true,
            Self::Control(error) => error.is_lost(),
            Self::Other(_) | Self::Unexpected => false,
        }
    }

    /// The exit code.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Nobody | Self::Unfindable | Self::Other(_) => exit::UNAVAILABLE.into(),
            Self::Control(error) if error.is_permission() => exit::NOT_PERMITTED.into(),
            Self::Control(error) if error.is_lost() => exit::UNAVAILABLE.into(),
            Self::Control(_) | Self::Unexpected => ExitCode::FAILURE,
        }
    }
}

/// Asks the mcpmux that runs, which must serve `config` if that is named.
pub(super) async fn ask(config: Option<&Path>, request: &Request) -> Result<Answers, Missing> {
    match find(config, request).await? {
        Found::Running { answers, .. } => Ok(answers),
        Found::Other(config) => Err(Missing::Other(config)),
        Found::Nobody if is_nowhere(&|name| env::var_os(name)) => Err(Missing::Unfindable),
        Found::Nobody => Err(Missing::Nobody),
    }
}

/// Finds the mcpmux that runs and gives it the request.
pub(super) async fn find(config: Option<&Path>, request: &Request) -> Result<Found, ControlError> {
    let paths = candidates(&|name| env::var_os(name));
    // The last of several is that of the system's mcpmux.
    let systems = paths.len().checked_sub(1).filter(|last| *last > 0);
    for (place, path) in paths.into_iter().enumerate() {
        let answers = match control::ask(&path, request).await {
            Ok(Some(answers)) => answers,
            Ok(None) => continue,
            // That is not everybody's to control.
            Err(error) if error.is_permission() && Some(place) == systems => continue,
            Err(error) => return Err(error),
        };
        let served = answers.hello.config.clone();
        if let Some(named) = config
            && !is_same_file(named, served.as_deref()).await
        {
            return Ok(Found::Other(served.unwrap_or_default()));
        }
        return Ok(Found::Running { path, answers });
    }
    Ok(Found::Nobody)
}

async fn is_same_file(named: &Path, served: Option<&Path>) -> bool {
    let (named, served) = (named.to_owned(), served.map(Path::to_owned));
    let same = spawn_blocking(move || {
        let served = served.and_then(|served| served.canonicalize().ok());
        served.is_some() && named.canonicalize().ok() == served
    });
    same.await.unwrap_or(false)
}
