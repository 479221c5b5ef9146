//! The lives of the backends: begun, tried again, ended; and the end of the calls that
//! outlast them.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Context, Poll},
};

use tokio::task::JoinSet;

use super::Mux;
use crate::{
    backend::{Backend, State},
    protocol::{Id, Message, RpcError, error::UNAVAILABLE},
};

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

    /// From now on each call in flight that is looked at is answered with an error: it
    /// is not waited for any longer. Wakes nobody; that is for who drives the calls.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Polls what a call waits for; `None` once calls are [given up](Self::give_up).
    pub(super) fn poll_until_given_up<T>(
        &self,
        future: Pin<&mut impl Future<Output = T>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        // A flag, and no waker for each call: this is on the way of every message.
        if self.given_up.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        future.poll(cx).map(Some)
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
        self.commons.instances.ended().await;
    }
}

/// The response to a call that mcpmux ends without.
pub(crate) fn given_up(id: &Id) -> Message {
    let text = "mcpmux is stopping and does not wait for this call any longer; \
                whether it was carried out is not known";
    Message::failure(Some(id), &RpcError::new(UNAVAILABLE, text))
}
