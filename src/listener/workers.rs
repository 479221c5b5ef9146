//! The threads that connections are served on. Each has a runtime of its own, and a
//! connection stays where it was put, with the calls that are made over it and the
//! sockets that these need: nothing is handed to and fro between processors. There are
//! as many as processors, and each begins with the first connection that is put there.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, available_parallelism},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::spawn_blocking,
};
use tracing::warn;

/// How long what still runs on a thread may take to end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long the thread itself may.
const LAST_WAIT_OF_ALL: Duration = Duration::from_secs(2);

/// The threads of one mcpmux.
#[derive(Debug)]
pub struct Workers(Mutex<Staff>);

#[derive(Debug)]
struct Staff {
    there: Vec<Worker>,
    /// How many there may be.
    most: usize,
    /// Whose turn it is to show that it is alive.
    turn: usize,
}

/// A thread.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    /// None for the one that mcpmux began on.
    running: Option<Running>,
    /// Held by each of its connections.
    connections: Arc<()>,
}

/// A thread that was started; it ends when this is dropped.
#[derive(Debug)]
struct Running {
    /// Held as long as it is to run.
    wanted: oneshot::Sender<()>,
    /// Closed once it has ended.
    ended: mpsc::Receiver<()>,
}

/// A connection's place on a thread, until dropped.
#[derive(Debug)]
pub(super) struct Desk {
    /// Where the connection is to be served.
    pub(super) runtime: Handle,
    _counted: Arc<()>,
}

impl Default for Workers {
    /// As many as processors. The first is there: it is the runtime that this is called
    /// in.
    fn default() -> Self {
        Self::at_most(available_parallelism().map_or(1, usize::from))
    }
}

impl Workers {
    fn at_most(most: usize) -> Self {
        Self(Mutex::new(Staff {
            there: vec![Worker {
                handle: Handle::current(),
                running: None,
                connections: Arc::default(),
            }],
            most,
            turn: 0,
        }))
    }

    /// A place where the fewest connections are.
    pub(super) fn desk(&self) -> Desk {
        let mut staff = self.staff();
        let free = staff.there.iter().any(|worker| worker.load() == 0);
        if !free && staff.there.len() < staff.most {
            match Worker::start(staff.there.len()) {
                Ok(worker) => staff.there.push(worker),
                Err(error) => {
                    staff.most = staff.there.len();
                    let most = staff.most;
                    warn!("{most} threads serve connections, no more can be started: {error}");
                }
            }
        }
        let least = staff.there.iter().min_by_key(|worker| worker.load());
        least.map_or_else(Desk::here, Worker::desk)
    }

    /// A place on the next of the threads that are there, each in its turn.
    pub(super) fn next_desk(&self) -> Desk {
        let mut staff = self.staff();
        staff.turn += 1;
        let next = staff.there.get(staff.turn % staff.there.len().max(1));
        next.map_or_else(Desk::here, Worker::desk)
    }

    /// Ends the threads, but for the first, and what still runs there.
    pub async fn end(&self) {
        let there = self.staff().there.split_off(1);
        let ended = spawn_blocking(move || {
            there.into_iter().for_each(Worker::end);
        });
        let _ = ended.await;
    }

    fn staff(&self) -> MutexGuard<'_, Staff> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let (wanted, unwanted) = oneshot::channel();
        let (running, ended) = mpsc::channel();
        let (made, handle) = mpsc::channel();
        let run = move || {
            let _running: mpsc::Sender<()> = running;
            // Made here, for it must not be dropped where others wait: not even if there is
            // no thread for it.
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(made.send(Err(error))),
            };
            let _ = made.send(Ok(runtime.handle().clone()));
            // It is never sent: what is waited for is that nobody could send it any more.
            let _ = runtime.block_on(unwanted);
            runtime.shutdown_timeout(LAST_WAIT);
        };
        thread::Builder::new()
            .name(format!("connections-{number}"))
            .spawn(run)?;
        Ok(Self {
            handle: handle.recv().map_err(io::Error::other)??,
            running: Some(Running { wanted, ended }),
            connections: Arc::default(),
        })
    }

    fn end(self) {
        if let Some(Running { wanted, ended }) = self.running {
            drop(wanted);
            let _ = ended.recv_timeout(LAST_WAIT_OF_ALL);
        }
    }

    fn load(&self) -> usize {
        Arc::strong_count(&self.connections) - 1
    }

    fn desk(&self) -> Desk {
        Desk {
            runtime: self.handle.clone(),
            _counted: Arc::clone(&self.connections),
        }
    }
}

impl Desk {
    fn here() -> Self {
        Self {
            runtime: Handle::current(),
            _counted: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_over_threads_that_begin_when_they_are_needed() {
        let workers = Workers::at_most(3);
        let count = || workers.staff().there.len();
        let first = workers.desk();
        assert_eq!((first.runtime.id(), count()), (Handle::current().id(), 1));
        drop(first);
        let (_again, mut more) = (workers.desk(), Vec::new());
        assert_eq!(count(), 1, "it was free again");
        for _ in 0..5 {
            more.push(workers.desk());
        }
        assert_eq!(count(), 3);
        let loads: Vec<_> = workers.staff().there.iter().map(Worker::load).collect();
        assert_eq!(loads, [2, 2, 2]);
        let mut threads = HashSet::new();
        for _ in 0..3 {
            let desk = workers.next_desk();
            let ran = desk.runtime.spawn(async { thread::current().id() });
            threads.insert(ran.await.expect("it ran"));
        }
        assert_eq!(threads.len(), 3, "each has its turn");
        let left = more
            .swap_remove(1)
            .runtime
            .spawn(std::future::pending::<()>());
        workers.end().await;
        assert_eq!(count(), 1);
        assert!(left.await.is_err(), "what still ran has ended");
    }
}
