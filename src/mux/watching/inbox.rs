//! Where updates wait for the one stream that tells them: bounded, each
//! resource once.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use super::Sink;
use crate::protocol::Message;

/// The most updates that wait; beyond, the oldest is forgotten.
const MAX: usize = 2 * super::table::MAX_OF_CLIENT;

/// Updates that wait to be told.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    updates: VecDeque<(Arc<str>, Message)>,
    uris: HashSet<Arc<str>>,
}

impl Inbox {
    /// The next update.
    pub(super) async fn next(&self) -> Message {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Message> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (uri, message) = waiting.updates.pop_front()?;
        waiting.uris.remove(&uri);
        Some(message)
    }
}

impl Sink for Inbox {
    fn updated(&self, uri: &str, message: &Message) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.uris.contains(uri) {
            return;
        }
        if waiting.updates.len() >= MAX
            && let Some((oldest, _)) = waiting.updates.pop_front()
        {
            waiting.uris.remove(&oldest);
        }
        let uri: Arc<str> = uri.into();
        waiting.uris.insert(Arc::clone(&uri));
        waiting.updates.push_back((uri, message.clone()));
        drop(waiting);
        self.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_update_that_waits_is_not_queued_twice() {
        let inbox = Inbox::default();
        let message = Message::notification("x", "{}");
        for uri in ["a", "b", "a"] {
            inbox.updated(uri, &message);
        }
        inbox.next().await;
        inbox.updated("a", &message);
        for _ in 0..2 {
            inbox.next().await;
        }
        assert!(inbox.take().is_none());
    }

    #[test]
    fn it_is_bounded() {
        let inbox = Inbox::default();
        for n in 0..=MAX {
            inbox.updated(&n.to_string(), &Message::notification("x", "{}"));
        }
        let waiting = inbox.waiting.lock().unwrap();
        assert_eq!((waiting.updates.len(), waiting.uris.len()), (MAX, MAX));
    }
}
