//! Requests that were put to a legacy client and that it has not answered yet.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{
    backend::Connection,
    protocol::{Id, Message, RawObject, meta},
};

/// The most requests that one client may be asked at once.
const MAX: usize = 256;

/// The way to ask one client.
#[derive(Debug, Default)]
pub struct Voice {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

/// A question that has not been answered.
#[derive(Debug)]
struct Open {
    answer: oneshot::Sender<Message>,
    /// Who wants to know how far the answer has come, and under which token.
    progress: Option<(Arc<Connection>, String)>,
}

/// A request that the client is being asked; dropped, its answer is of no use.
#[derive(Debug)]
pub(crate) struct Question {
    voice: Arc<Voice>,
    number: u64,
    answer: oneshot::Receiver<Message>,
}

impl Voice {
    /// One whose questions have numbers above `number`: an earlier run may have
    /// asked under those before.
    pub(crate) fn above(number: u64) -> Self {
        Self {
            next: AtomicU64::new(number),
            open: Mutex::default(),
        }
    }

    /// Opens a question; `None` if the client is being asked too much already.
    pub(crate) fn ask(self: &Arc<Self>) -> Option<Question> {
        let (sender, answer) = oneshot::channel();
        let mut open = self.open();
        if open.len() >= MAX {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        open.insert(
            number,
            Open {
                answer: sender,
                progress: None,
            },
        );
        Some(Question {
            voice: Arc::clone(self),
            number,
            answer,
        })
    }

    /// Takes in a response of the client; `false` if it answers nothing.
    pub fn answer(&self, response: Message) -> bool {
        let number = response.id().and_then(Id::as_u64);
        let question = number.and_then(|number| self.open().remove(&number));
        question.is_some_and(|question| question.answer.send(response).is_ok())
    }

    /// Takes in a `notifications/progress` of the client, for who asked.
    pub fn progress(&self, notification: &Message) {
        let told = || {
            let number = meta::progress_id(notification)?;
            let (connection, token) = self.open().get(&number)?.progress.clone()?;
            let params = RawObject::parse(notification.payload()?).ok()?;
            let mut edit = params.edit();
            edit.set(meta::PROGRESS_TOKEN, token).ok()?;
            Some((
                connection,
                notification.rewritten(None, Some(&edit.finish())),
            ))
        };
        if let Some((connection, notification)) = told() {
            connection.tell(notification);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// The id under which the client is asked.
    pub(crate) fn id(&self) -> Id {
        Id::from(self.number)
    }

    /// The backend at `connection` wants to know, under `token` (JSON text), how far
    /// the answer has come; the client knows it by the question's id.
    pub(super) fn reports(&self, connection: Arc<Connection>, token: String) {
        if let Some(open) = self.voice.open().get_mut(&self.number) {
            open.progress = Some((connection, token));
        }
    }

    /// Waits for the client's response; `None` if there never will be one.
    pub(crate) async fn answer(mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// The client's response; `None` if there never will be one.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        Pin::new(&mut self.answer).poll(cx).map(Result::ok)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.voice.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_its_question_once() {
        let voice = Arc::new(Voice::default());
        let mut first = voice.ask().unwrap();
        let second = voice.ask().unwrap();
        let answer = Message::success(&first.id(), "{}");
        assert!(voice.answer(answer.clone()));
        assert!(!voice.answer(answer.clone()), "it was answered");
        let got = std::future::poll_fn(|cx| first.poll_answer(cx))
            .await
            .unwrap();
        assert_eq!(got.text(), answer.text());
        let late = Message::success(&second.id(), "{}");
        drop(second);
        assert!(!voice.answer(late), "nobody waits for it");
        assert!(voice.open().is_empty());
    }

    #[test]
    fn a_client_is_not_asked_without_bound() {
        let voice = Arc::new(Voice::default());
        let open: Vec<_> = (0..MAX).map_while(|_| voice.ask()).collect();
        assert_eq!(open.len(), MAX);
        assert!(voice.ask().is_none());
    }
}
