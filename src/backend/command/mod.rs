//! A backend that is a process of its own, spoken to over its stdin and stdout.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{BackendError, Ear, Introduction, Tail};
use crate::config::CommandSettings;
use process::Process;

mod child;
pub mod descriptors;
pub mod exec;
mod group;
pub mod guard;
mod keeper;
mod launch;
mod memory;
mod pipe;
mod process;
mod service;
mod stderr;

pub(crate) use keeper::Kept;
pub use memory::Measure;
pub(crate) use memory::{Memory, of_groups, of_unit};
pub(super) use pipe::Pipe;

/// How long a server may take to end by itself once its stdin is closed.
const AFTER_STDIN: Duration = Duration::from_millis(1500);

/// How long it may take after SIGTERM.
const AFTER_TERM: Duration = Duration::from_secs(3);

/// How long the kernel may take after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// How long the end of a process and the end of its output may lie apart.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A launched server: its pipe, and the task that ends it.
#[derive(Debug)]
pub(crate) struct CommandLink {
    /// Where its messages come and go.
    pub(super) pipe: Arc<Pipe>,
    /// Who keeps its processes.
    pub(super) kept: Kept,
    stop: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl CommandLink {
    /// Launches the command, for one client if it is `whose`. `unasked` gets what
    /// the server says unasked;
    /// among `keepers` is the task that ends the process.
    pub(super) async fn launch(
        backend: Arc<str>,
        settings: &CommandSettings,
        max_message: usize,
        unasked: Ear,
        keepers: &TaskTracker,
        tail: &Arc<Tail>,
        whose: Option<Arc<Introduction>>,
    ) -> Result<Self, BackendError> {
        let instance = whose.as_ref().map(|client| client.number);
        let (process, ends) =
            Process::launch(Arc::clone(&backend), settings, instance, keepers, tail).await?;
        let kept = process.kept();
        let pipe = Pipe::open(
            backend,
            ends.stdin,
            ends.stdout,
            max_message,
            unasked,
            whose,
            Some(Arc::clone(tail)),
        );
        let stop = CancellationToken::new();
        let keeper = keepers.spawn(keep(process, Arc::clone(&pipe), stop.clone()));
        Ok(Self {
            pipe,
            kept,
            stop,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// For tests: the same without a process.
    #[cfg(test)]
    pub(super) fn over(
        stdin: impl tokio::io::AsyncWrite + Unpin + Send + 'static,
        stdout: impl tokio::io::AsyncRead + Unpin + Send + 'static,
        unasked: Ear,
    ) -> Self {
        let pipe = Pipe::open("b".into(), stdin, stdout, 1 << 20, unasked, None, None);
        let ended = Arc::clone(&pipe);
        tokio::spawn(async move {
            ended.drained().await;
            ended.close("it ended");
        });
        Self {
            pipe,
            kept: Kept::Unit("none.service".into()),
            stop: CancellationToken::new(),
            keeper: Mutex::default(),
        }
    }

    /// Ends the process and waits until it and all that it has started are gone.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    }
}

impl Drop for CommandLink {
    /// A connection attempt that was given up leaves no process behind.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Watches over the process until it ends or is told to, then ends all of it.
async fn keep(mut process: Process, pipe: Arc<Pipe>, stop: CancellationToken) {
    let reason = tokio::select! {
        biased;
        reason = process.exited() => {
            // What it wrote last is still in the pipe.
            let _ = timeout(LAST_WORDS, pipe.drained()).await;
            reason
        }
        // Closed stdout is most often followed by the end, which says more.
        () = pipe.drained() => timeout(LAST_WORDS, process.exited())
            .await
            .unwrap_or_else(|_| "it closed its stdout".to_owned()),
        reason = pipe.closed() => reason.to_string(),
        () = stop.cancelled() => "stopped".to_owned(),
    };
    pipe.close(&reason);
    process.end().await;
}
