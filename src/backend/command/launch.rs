//! What a command is launched with, whoever keeps its process: program,
//! environment, pipes; and why it cannot be launched, in words.

use std::{
    env,
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tokio::net::unix::pipe;

use crate::{
    backend::BackendError,
    config::{CommandSettings, Environment},
    systemd::PRIVATE_VARIABLES,
};

/// The child's ends of the pipes to it.
pub(super) struct Theirs {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    /// None if its stderr is nobody's concern here.
    pub(super) stderr: Option<OwnedFd>,
}

/// mcpmux's ends of them.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: Option<pipe::Receiver>,
}

/// Makes the pipes to a child; one for stderr if it is to be `heard`.
pub(super) fn pipes(heard: bool) -> Result<(Ours, Theirs), BackendError> {
    let made = || -> io::Result<_> {
        let (their_stdin, stdin) = io::pipe()?;
        let (stdout, their_stdout) = io::pipe()?;
        let (stderr, their_stderr) = if heard {
            let (ours, theirs) = io::pipe()?;
            let ours = pipe::Receiver::from_owned_fd(ours.into())?;
            (Some(ours), Some(OwnedFd::from(theirs)))
        } else {
            (None, None)
        };
        let ours = Ours {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr,
        };
        let theirs = Theirs {
            stdin: their_stdin.into(),
            stdout: their_stdout.into(),
            stderr: their_stderr,
        };
        Ok((ours, theirs))
    };
    made().map_err(|error| BackendError::Launch(format!("cannot make pipes: {error}")))
}

/// What a child gets of mcpmux's own environment: what any program needs, or
/// all but what systemd means for the daemon.
pub(super) fn passed_on(inherit: bool) -> Vec<(OsString, OsString)> {
    if inherit {
        return env::vars_os()
            .filter(|(name, _)| {
                !name
                    .to_str()
                    .is_some_and(|name| PRIVATE_VARIABLES.contains(&name))
            })
            .collect();
    }
    Environment::process()
        .inherited()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `mcpmux` means this program, wherever it lies.
pub(super) fn program(name: &str) -> PathBuf {
    match name {
        "mcpmux" => itself().unwrap_or_else(|_| name.into()),
        _ => name.into(),
    }
}

/// The file of this program. Where it was replaced while it runs, the new one.
pub(super) fn itself() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    // proc(5), `/proc/pid/exe`.
    let replaced = path
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(match replaced {
        Some(replaced) if Path::new(replaced).is_file() => replaced.into(),
        _ => path,
    })
}

/// Whether the command can be found, before somebody else launches it. Reads
/// directories.
pub(super) fn look(settings: &CommandSettings) -> Result<(), BackendError> {
    let not_found = || Err(error(&io::ErrorKind::NotFound.into(), settings));
    let cwd = settings.cwd.as_deref();
    if cwd.is_some_and(|cwd| !cwd.is_dir()) {
        return not_found();
    }
    let program = program(&settings.argv[0]);
    if program.components().count() > 1 || settings.argv[0].contains('/') {
        let program = cwd.map_or_else(|| program.clone(), |cwd| cwd.join(&program));
        return match program.metadata() {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => not_found(),
            _ => Ok(()),
        };
    }
    let path = searched(settings);
    let executable = |folder: PathBuf| {
        let file = folder.join(&program).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if env::split_paths(&path).any(executable) {
        Ok(())
    } else {
        not_found()
    }
}

/// Why the command could not be launched.
pub(super) fn error(error: &io::Error, settings: &CommandSettings) -> BackendError {
    let program = &settings.argv[0];
    let text = match error.kind() {
        io::ErrorKind::NotFound if settings.cwd.as_deref().is_some_and(|cwd| !cwd.is_dir()) => {
            format!(
                "cannot launch {program:?}: its cwd does not exist: {}",
                show(settings.cwd.as_deref())
            )
        }
        io::ErrorKind::NotFound if program.contains('/') => {
            format!("cannot launch {program:?}: no such file")
        }
        io::ErrorKind::NotFound => format!(
            "cannot launch {program:?}: not found in PATH={} (give its full path, or set PATH for mcpmux: see README, Troubleshooting)",
            searched(settings)
        ),
        _ => format!("cannot launch {program:?}: {error}"),
    };
    BackendError::Launch(text)
}

/// The `PATH` in which the program is looked for: the child's.
fn searched(settings: &CommandSettings) -> String {
    let own = settings.env.iter().rev().find(|(name, _)| name == "PATH");
    own.map_or_else(
        || env::var("PATH").unwrap_or_default(),
        |(_, path)| path.expose().to_owned(),
    )
}

fn show(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}
