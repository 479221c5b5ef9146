//! What is sent to a backend and nobody waits for: an answer, a notification, a
//! request whose response is of no use. Each in a task of its own, bounded in
//! time and in number, since a server may never take it.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use tracing::warn;

use super::Connection;
use crate::protocol::Message;

/// How long the backend may take to take it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How much may be on its way to one backend.
const AT_ONCE: usize = 1024;

/// What is on its way to one backend and nobody waits for.
#[derive(Debug, Clone)]
pub(super) struct Unwaited(Arc<Semaphore>);

impl Default for Unwaited {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Unwaited {
    /// Does `work` aside; leaves it if too much is on its way to `backend`.
    pub(super) fn begin<T>(&self, backend: &str, work: impl Future<Output = T> + Send + 'static) {
        let Ok(place) = Arc::clone(&self.0).try_acquire_owned() else {
            warn!(
                backend,
                "it takes nothing any more, a message to it is dropped"
            );
            return;
        };
        // Without a runtime there is no backend any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(PATIENCE, work).await;
                drop(place);
            });
        }
    }
}

impl Connection {
    /// Sends a notification or a response. Where it does not get there, whoever
    /// needs it hears of the loss.
    pub(crate) fn tell(self: &Arc<Self>, message: Message) {
        let connection = Arc::clone(self);
        self.aside(async move { connection.link.send(&message).await });
    }

    /// Does `work` with the backend aside.
    pub(crate) fn aside<T>(&self, work: impl Future<Output = T> + Send + 'static) {
        self.unwaited.begin(&self.backend, work);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn what_is_never_taken_is_bounded_in_number() {
        let unwaited = Unwaited::default();
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..AT_ONCE + 10 {
            let begun = Arc::clone(&begun);
            unwaited.begin("b", async move {
                begun.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            });
        }
        for _ in 0..AT_ONCE {
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), AT_ONCE);
    }
}
