//! The child process of a command backend: launched clean in a group of its
//! own, its stderr logged, ended as a whole.

use std::{env, ffi::OsString, io, path::Path, process::Stdio, sync::Arc, time::Duration};

use rustix::process::Signal;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};
use tracing::{debug, info, warn};

use super::{descriptors, group::Group, guard};
use crate::{
    backend::BackendError,
    config::{CommandSettings, Environment},
    protocol::frame::{Line, Lines},
    systemd::PRIVATE_VARIABLES,
};

/// How long a server may take to end by itself once its stdin is closed.
const AFTER_STDIN: Duration = Duration::from_millis(1500);

/// How long it may take after SIGTERM.
const AFTER_TERM: Duration = Duration::from_secs(3);

/// How long the kernel may take after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// The longest line of stderr that is logged whole, in bytes.
const STDERR_LINE: usize = 8 * 1024;

/// A running child and its group.
#[derive(Debug)]
pub(super) struct Process {
    backend: Arc<str>,
    child: Child,
    group: Group,
    stderr: JoinHandle<()>,
    ended: bool,
}

impl Process {
    /// Launches the command; gives its stdin and stdout to the caller.
    pub(super) fn launch(
        backend: Arc<str>,
        settings: &CommandSettings,
    ) -> Result<(Self, ChildStdin, ChildStdout), BackendError> {
        let guard = guard::lifeline();
        let program = program(&settings.argv[0]);
        let mut command = Command::new(&program);
        command
            .args(&settings.argv[1..])
            .env_clear()
            .envs(passed_on(settings.inherit_env))
            .envs(
                settings
                    .env
                    .iter()
                    .map(|(name, value)| (name, value.expose())),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some((name, value)) = guard::mark() {
            command.env(name, value);
        }
        if let Some(cwd) = &settings.cwd {
            command.current_dir(cwd);
        }
        let mut child = command
            .spawn()
            .map_err(|error| launch_error(&error, settings))?;
        let pid = child.id().unwrap_or_default();
        descriptors::restore(pid);
        let missing = || BackendError::Launch("the child ended before it began".to_owned());
        let group = Group::led_by(pid).ok_or_else(missing)?;
        guard.watch(group);
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let stderr = tokio::spawn(log_lines(Arc::clone(&backend), stderr));
        debug!(%backend, pid, "launched {}", settings.argv[0]);
        Ok((
            Self {
                backend,
                child,
                group,
                stderr,
                ended: false,
            },
            stdin,
            stdout,
        ))
    }

    /// Waits for the child itself to end, and says how it did.
    pub(super) async fn exited(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the process ended ({status})"),
            Err(error) => format!("the process cannot be waited for: {error}"),
        }
    }

    /// Ends the whole group. Its stdin has been closed by the caller: waits,
    /// then SIGTERM, then SIGKILL.
    pub(super) async fn end(mut self) {
        if self.gone_within(AFTER_STDIN).await {
            return self.finish().await;
        }
        self.group.signal(Signal::TERM);
        if self.gone_within(AFTER_TERM).await {
            return self.finish().await;
        }
        info!(backend = %self.backend, "did not end after SIGTERM, sending SIGKILL");
        self.group.signal(Signal::KILL);
        if !self.gone_within(AFTER_KILL).await {
            warn!(backend = %self.backend, "processes are left after SIGKILL");
        }
        self.finish().await;
    }

    /// Waits for the child, then for the rest of its group.
    async fn gone_within(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, async {
            // A child that is not waited for stays in its group.
            let _ = self.child.wait().await;
            while !self.group.ended_within(patience).await {}
        })
        .await
        .is_ok()
    }

    async fn finish(mut self) {
        self.ended = true;
        guard::lifeline().forget(self.group);
        // Whoever holds the other end of stderr now is no part of the group.
        if tokio::time::timeout(Duration::from_millis(100), &mut self.stderr)
            .await
            .is_err()
        {
            self.stderr.abort();
        }
    }
}

impl Drop for Process {
    /// The group does not outlive a connection attempt that was given up.
    fn drop(&mut self) {
        if !self.ended {
            self.group.signal(Signal::KILL);
            guard::lifeline().forget(self.group);
            self.stderr.abort();
        }
    }
}

/// What a child gets of mcpmux's own environment: what any program needs, or
/// all but what systemd means for the daemon.
fn passed_on(inherit: bool) -> Vec<(OsString, OsString)> {
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
fn program(name: &str) -> std::path::PathBuf {
    match name {
        "mcpmux" => env::current_exe().unwrap_or_else(|_| name.into()),
        _ => name.into(),
    }
}

fn launch_error(error: &io::Error, settings: &CommandSettings) -> BackendError {
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

/// Reads stderr without end, so that the child never blocks on it.
async fn log_lines(backend: Arc<str>, mut stderr: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(STDERR_LINE);
    while matches!(stderr.read_buf(lines.buffer()).await, Ok(1..)) {
        while let Some(line) = lines.next_line() {
            match line {
                Line::Whole(line) => {
                    info!(target: "mcpmux::stderr", %backend, "{}", printable(&line));
                }
                Line::TooLong => {
                    info!(target: "mcpmux::stderr", %backend, "(a line of more than {STDERR_LINE} bytes)");
                }
            }
        }
    }
}

/// What a terminal can be given: no control characters but tab.
pub(super) fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|c| *c == '\t' || !c.is_control())
        .collect()
}
