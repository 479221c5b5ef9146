//! A command as a child process of mcpmux: launched clean in a group of its
//! own, its stderr logged, ended as a whole.

use std::{process::Stdio, sync::Arc};

use rustix::process::Signal;
use tokio::{
    process::{self, Command},
    task::JoinHandle,
    time::{Duration, timeout},
};
use tracing::{debug, info, warn};

use super::{
    AFTER_KILL, AFTER_STDIN, AFTER_TERM, descriptors,
    group::Group,
    guard,
    launch::{self, Ours},
    stderr,
};
use crate::{
    backend::{BackendError, Tail},
    config::CommandSettings,
};

/// A running child and its group.
#[derive(Debug)]
pub(super) struct Child {
    backend: Arc<str>,
    process: process::Child,
    group: Group,
    stderr: Option<JoinHandle<()>>,
    ended: bool,
}

impl Child {
    /// Launches the command; gives the ends of its stdin and stdout as well.
    pub(super) fn launch(
        backend: Arc<str>,
        settings: &CommandSettings,
        tail: &Arc<Tail>,
    ) -> Result<(Self, Ours), BackendError> {
        let guard = guard::lifeline();
        let (mut ours, theirs) = launch::pipes(true)?;
        let program = launch::program(&settings.argv[0]);
        let mut command = Command::new(&program);
        command
            .args(&settings.argv[1..])
            .env_clear()
            .envs(launch::passed_on(settings.inherit_env))
            .envs(
                settings
                    .env
                    .iter()
                    .map(|(name, value)| (name, value.expose())),
            )
            .stdin(theirs.stdin)
            .stdout(theirs.stdout)
            .stderr(theirs.stderr.map_or_else(Stdio::null, Stdio::from))
            .process_group(0)
            .kill_on_drop(true);
        if let Some((name, value)) = guard::mark() {
            command.env(name, value);
        }
        if let Some(cwd) = &settings.cwd {
            command.current_dir(cwd);
        }
        tail.begin();
        let child = command
            .spawn()
            .map_err(|error| launch::error(&error, settings))?;
        // It holds the child's ends of the pipes.
        drop(command);
        let pid = child.id().unwrap_or_default();
        descriptors::restore(pid);
        let missing = || BackendError::Launch("the child ended before it began".to_owned());
        let group = Group::led_by(pid).ok_or_else(missing)?;
        guard.watch(group);
        let stderr = ours.stderr.take();
        let stderr = stderr.map(|stderr| {
            tokio::spawn(stderr::log_lines(
                Arc::clone(&backend),
                stderr,
                Arc::clone(tail),
            ))
        });
        debug!(%backend, pid, "launched {}", settings.argv[0]);
        let child = Self {
            backend,
            process: child,
            group,
            stderr,
            ended: false,
        };
        Ok((child, ours))
    }

    /// Its process group.
    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// Waits for the child itself to end, and says how it did.
    pub(super) async fn exited(&mut self) -> String {
        match self.process.wait().await {
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
        timeout(patience, async {
            // A child that is not waited for stays in its group.
            let _ = self.process.wait().await;
            while !self.group.ended_within(patience).await {}
        })
        .await
        .is_ok()
    }

    async fn finish(mut self) {
        self.ended = true;
        guard::lifeline().forget(self.group);
        // Whoever holds the other end of stderr now is no part of the group.
        if let Some(stderr) = &mut self.stderr
            && timeout(Duration::from_millis(100), &mut *stderr)
                .await
                .is_err()
        {
            stderr.abort();
        }
    }
}

impl Drop for Child {
    /// The group does not outlive a connection attempt that was given up.
    fn drop(&mut self) {
        if !self.ended {
            self.group.signal(Signal::KILL);
            guard::lifeline().forget(self.group);
            if let Some(stderr) = &self.stderr {
                stderr.abort();
            }
        }
    }
}
