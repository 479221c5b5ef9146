//! The lives of the backends: begun, tried again, ended.

use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;

use super::Mux;
use crate::backend::{Backend, State};

impl Mux {
    /// Has `backend` served, once the one whose name it takes has ended.
    pub(super) fn serve(
        self: &Arc<Self>,
        supervisors: &mut JoinSet<()>,
        backend: Arc<Backend>,
        before: Option<Arc<Backend>>,
    ) {
        let (retry, stop) = (self.retry, self.stopping.child_token());
        let mux = Arc::downgrade(self);
        let before = before.filter(|before| before.keeps_its_name());
        supervisors.spawn(async move {
            if let Some(before) = before {
                before.ended().await;
            }
            backend.serve(retry, stop, &mux).await;
        });
    }

    /// Tries every backend that is down again, now.
    pub fn retry_now(&self) {
        for backend in self.backends().iter() {
            if matches!(backend.state(), State::Down(_) | State::AwaitingLogin(_)) {
                backend.retry_now();
            }
        }
    }

    /// Tells clients that stay on a stream that mcpmux stops; calls go on.
    pub fn begin_stop(&self) {
        self.closing.cancel();
    }

    /// Ends every backend and waits until they are gone.
    pub async fn stop(&self) {
        self.closing.cancel();
        self.parking.clear();
        self.stopping.cancel();
        let mut supervisors = std::mem::take(
            &mut *self
                .supervisors
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        while supervisors.join_next().await.is_some() {}
        self.instances.ended().await;
    }
}
