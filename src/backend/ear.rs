//! Where a link puts what its backend says outside of any exchange. Changed
//! lists wait for the supervisor, which reads them again; updates of resources,
//! and what is for one client, are handed on at once, so that none is lost while
//! it does.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::mpsc;

use super::Unasked;
use crate::protocol::{Message, method};

/// Who is told when resources of a backend change, or of what a client has begun
/// there. Called from the task that
/// reads from the backend: must not block.
pub(crate) trait Updates: Send + Sync {
    /// The backend sent this `notifications/resources/updated`.
    fn updated(&self, message: &Message);

    /// The backend sent this notification of what one client has begun.
    fn addressed(&self, message: &Message);

    /// For a while, what the backend said was not heard.
    fn missed(&self);
}

/// A place for who is told, filled in once.
pub(super) type Told = Arc<OnceLock<Box<dyn Updates>>>;

/// The ear of one link.
#[derive(Clone)]
pub(crate) struct Ear {
    queue: mpsc::Sender<Unasked>,
    told: Told,
}

impl Ear {
    /// Updates go to `told`, all else to `queue`.
    pub(super) fn new(queue: mpsc::Sender<Unasked>, told: Told) -> Self {
        Self { queue, told }
    }

    /// Takes in a message; waits while the queue is full.
    pub(super) async fn send(&self, unasked: Unasked) {
        if let Some(unasked) = self.rest(unasked) {
            // The queue is gone only if the connection is.
            let _ = self.queue.send(unasked).await;
        }
    }

    /// Takes in a message; `false` if the queue is full.
    pub(super) fn try_send(&self, unasked: Unasked) -> bool {
        self.rest(unasked)
            .is_none_or(|unasked| self.queue.try_send(unasked).is_ok())
    }

    /// For a while, what the backend said was not heard.
    pub(super) fn missed(&self) {
        if let Some(told) = self.told.get() {
            told.missed();
        }
    }

    /// Hands on what is for subscribers, or for one client; gives back all else.
    fn rest(&self, unasked: Unasked) -> Option<Unasked> {
        let Unasked::Notification(message) = &unasked else {
            return Some(unasked);
        };
        let told = self.told.get();
        match message.method() {
            Some(method::RESOURCES_UPDATED) => {
                if let Some(told) = told {
                    told.updated(message);
                }
            }
            Some(method::TASK_STATUS | method::ELICITED) => {
                if let Some(told) = told {
                    told.addressed(message);
                }
            }
            _ => return Some(unasked),
        }
        None
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").finish_non_exhaustive()
    }
}

/// Whether a notification belongs to no call, on whatever stream it comes.
pub(super) fn is_unasked(notification: &Message) -> bool {
    notification.method().is_some_and(|method| {
        method == method::RESOURCES_UPDATED || method.ends_with("/list_changed")
    })
}

/// Whether a notification is for the one client that has begun what it names.
pub(super) fn is_addressed(notification: &Message) -> bool {
    matches!(
        notification.method(),
        Some(method::TASK_STATUS | method::ELICITED)
    )
}
