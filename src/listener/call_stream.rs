//! The stream that answers one call of a legacy client and can be taken up
//! again: whoever reads it drives the call, and when nobody does the call is
//! driven to its end all the same, for the client that comes back (2025-11-25,
//! `basic/transports`, Resumability and Redelivery).

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use http::Response;
use tokio::time::timeout;

use super::{
    body::Reply,
    get::{RETRY, event},
    kept::Kept,
    outbox::{Outbox, Reader, Sent},
    render::{KEEP_ALIVE, events, is_last},
    session::Session,
};
use crate::{
    backend::{ClientEnd, Exchange, Pause},
    protocol::{Message, sse},
};

/// The stream of one call.
pub(super) struct CallStream {
    /// Its number in its session.
    number: u64,
    session: Weak<Session>,
    client: ClientEnd,
    outbox: Outbox,
    /// What is still to come. Who holds it alone reads the outbox.
    course: Mutex<Option<Exchange>>,
    kept: Weak<Kept>,
}

/// What a stream needs beside what is to come on it.
pub(super) struct Opening<'a> {
    pub(super) session: Arc<Session>,
    pub(super) client: ClientEnd,
    pub(super) kept: &'a Arc<Kept>,
}

/// Who reads a stream, until another one does.
pub(super) struct Reading {
    stream: Arc<CallStream>,
    reader: Reader,
    /// It is for a client, which may go away.
    for_client: bool,
}

/// What a reader gets.
enum Next {
    Event(Sent),
    /// The stream is to end here, to be taken up again.
    Pause(Pause),
    /// There is nothing more, or another one reads.
    End,
}

impl Opening<'_> {
    /// Answers with the messages of `exchange` that follow `first`.
    pub(super) fn answer(self, exchange: Exchange, first: Option<Message>) -> Response<Reply> {
        let mut reading = self.open(exchange);
        let primed = reading.prime();
        let first = first.map(|first| reading.pass(first.into_bytes()));
        events(async_stream::stream! {
            if let Some(primed) = primed {
                yield event(&primed, Some(RETRY));
            }
            if let Some(first) = first {
                yield event(&first, None);
            }
            for await bytes in rest(reading) {
                yield bytes;
            }
        })
    }

    fn open(self, exchange: Exchange) -> Reading {
        // A pause that is over by now is of no more interest.
        self.client.take_pause();
        let stream = self.session.call_streams.enter(|number| CallStream {
            number,
            session: Arc::downgrade(&self.session),
            client: self.client,
            outbox: Outbox::of_call(number),
            course: Mutex::new(Some(exchange)),
            kept: Arc::downgrade(self.kept),
        });
        Reading {
            reader: stream.outbox.read(None),
            stream,
            for_client: true,
        }
    }
}

/// Answers with what `reading` still brings.
pub(super) fn go_on(reading: Reading) -> Response<Reply> {
    events(async_stream::stream! {
        // The answer begins at once.
        yield Bytes::from_static(sse::KEEP_ALIVE);
        for await bytes in rest(reading) {
            yield bytes;
        }
    })
}

fn rest(mut reading: Reading) -> impl Stream<Item = Bytes> + Send {
    async_stream::stream! {
        loop {
            match timeout(KEEP_ALIVE, reading.next()).await {
                Ok(Next::Event(sent)) => yield event(&sent, None),
                Ok(Next::Pause(Pause { retry })) => {
                    if retry.is_some_and(|retry| retry != RETRY) && let Some(primed) = reading.prime() {
                        yield event(&primed, retry);
                    }
                    return;
                }
                Ok(Next::End) => return,
                Err(_) => yield Bytes::from_static(sse::KEEP_ALIVE),
            }
        }
    }
}

impl CallStream {
    /// Takes it over behind the event `last`; `None` if there was no such event
    /// or not all that followed is kept.
    pub(super) fn resume(self: Arc<Self>, last: u64) -> Option<Reading> {
        Some(Reading {
            reader: self.outbox.read_all(last)?,
            stream: self,
            for_client: true,
        })
    }

    /// Frees what it keeps if it is over.
    pub(super) fn free(&self) {
        // One that is being read is not over.
        if self.course.try_lock().is_ok_and(|course| course.is_none()) {
            self.outbox.end();
        }
    }

    /// How many streams its session has, this one included.
    pub(super) fn siblings(&self) -> usize {
        let session = self.session.upgrade();
        session.map_or(0, |session| session.call_streams.len())
    }

    /// Whether `other` is of the same session.
    pub(super) fn is_sibling(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.session, &other.session)
    }

    /// The bytes of the messages that it keeps.
    pub(super) fn bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// A stream of no session that is over and holds a message of so many bytes.
    #[cfg(test)]
    pub(super) fn over(number: u64, bytes: usize) -> Arc<Self> {
        let stream = Self {
            number,
            session: Weak::new(),
            client: ClientEnd::default(),
            outbox: Outbox::of_call(number),
            course: Mutex::default(),
            kept: Weak::new(),
        };
        let mut reader = stream.outbox.read(None);
        stream.outbox.pass(&mut reader, vec![b'x'; bytes].into());
        Arc::new(stream)
    }

    #[cfg(test)]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn course(&self) -> MutexGuard<'_, Option<Exchange>> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CallStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallStream")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Drop for CallStream {
    fn drop(&mut self) {
        if let Some(session) = self.session.upgrade() {
            session.call_streams.remove(self.number);
        }
    }
}

impl Reading {
    fn prime(&mut self) -> Option<Sent> {
        self.stream.outbox.prime(&mut self.reader)
    }

    fn pass(&mut self, message: Bytes) -> Sent {
        self.stream.outbox.pass(&mut self.reader, message)
    }

    async fn next(&mut self) -> Next {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let stream = &self.stream;
        let mut course = stream.course();
        match stream.outbox.poll_next(&mut self.reader, cx) {
            Poll::Ready(Some(sent)) => return Poll::Ready(Next::Event(sent)),
            Poll::Ready(None) => return Poll::Ready(Next::End),
            Poll::Pending => {}
        }
        let Some(exchange) = course.as_mut() else {
            return Poll::Ready(Next::End);
        };
        let Poll::Ready(item) = Pin::new(exchange).poll_next(cx) else {
            let pause = stream.client.take_pause();
            return pause.map_or(Poll::Pending, |pause| Poll::Ready(Next::Pause(pause)));
        };
        let over = item.as_ref().is_none_or(is_last);
        let exchange = over.then(|| course.take());
        let message = item.and_then(Result::ok);
        let sent =
            message.map(|message| stream.outbox.pass(&mut self.reader, message.into_bytes()));
        if over {
            stream.outbox.close();
            drop(course);
            drop(exchange);
            if let Some(kept) = stream.kept.upgrade() {
                kept.keep(Arc::clone(stream), self.for_client);
            }
        }
        Poll::Ready(sent.map_or(Next::End, Next::Event))
    }
}

impl Drop for Reading {
    /// A client that goes away has not cancelled its call.
    fn drop(&mut self) {
        let goes_on = self.for_client
            && self.stream.course().is_some()
            && self.stream.outbox.is_read_by(&self.reader);
        let (true, Ok(runtime)) = (goes_on, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let mut reading = Self {
            stream: Arc::clone(&self.stream),
            reader: self.reader.clone(),
            for_client: false,
        };
        // Bounded by the call's own deadline.
        runtime.spawn(async move { while !matches!(reading.next().await, Next::End) {} });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        mux::{Versions, Watcher},
        protocol::{Abilities, Id, Revision},
    };

    fn session() -> Arc<Session> {
        Session::new(
            "anyone".to_owned(),
            Revision::NEWEST_LEGACY,
            None,
            Abilities::new(None),
            Versions::default(),
            Watcher::idle(),
        )
    }

    fn open(session: &Arc<Session>, kept: &Arc<Kept>, exchange: Exchange) -> Reading {
        let opening = Opening {
            session: Arc::clone(session),
            client: ClientEnd::default(),
            kept,
        };
        opening.open(exchange)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn readers_that_come_and_go_get_every_message_once_and_in_order() {
        const COUNT: u64 = 500;
        for every in 1..12 {
            let (session, (says, mut said)) = (session(), mpsc::channel(4));
            tokio::spawn(async move {
                for n in 1..=COUNT {
                    let message = Message::notification(&n.to_string(), "{}");
                    says.send(Ok(message)).await.unwrap();
                }
                let last = Message::success(&Id::from(1), "{}");
                says.send(Ok(last)).await.unwrap();
            });
            let exchange = Exchange::new(async_stream::stream! {
                while let Some(item) = said.recv().await {
                    yield item;
                }
            });
            let mut reading = open(&session, &Arc::default(), exchange);
            let mut had = 0;
            while had <= COUNT {
                let Next::Event(sent) = reading.next().await else {
                    panic!("nothing after {had}");
                };
                had += 1;
                assert_eq!(sent.id.number, had);
                if had <= COUNT && had % every == 0 {
                    // The old one goes before, with or after the new one.
                    let new = session.call_streams.resume(1, had);
                    let old = std::mem::replace(&mut reading, new.expect("all is kept"));
                    if had % 2 == 0 {
                        drop(reading);
                        let new = session.call_streams.resume(1, had);
                        reading = new.expect("all is kept");
                    }
                    tokio::spawn(async move { drop(old) });
                }
            }
            assert!(matches!(reading.next().await, Next::End));
        }
    }

    #[tokio::test]
    async fn a_stream_is_there_as_long_as_it_is_kept() {
        let (session, kept) = (session(), Arc::default());
        let last = || Exchange::ready(Ok(Message::success(&Id::from(1), "{}")));
        for is_kept in [true, false] {
            let none = Arc::default();
            let reading = open(&session, if is_kept { &kept } else { &none }, last());
            // Nobody reads it, and it comes to its end all the same.
            let outlives = Arc::downgrade(&reading.stream);
            drop((reading, none));
            while outlives
                .upgrade()
                .is_some_and(|stream| stream.course().is_some())
            {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
            assert_eq!(outlives.upgrade().is_some(), is_kept);
        }
        assert_eq!(session.call_streams.len(), 1);
        let mut back = session.call_streams.resume(1, 0).expect("it is kept");
        assert!(matches!(back.next().await, Next::Event(_)));
        assert!(matches!(back.next().await, Next::End));
        // The session's end frees what it holds.
        session.end();
        assert_eq!(back.stream.bytes(), 0);
        assert!(session.call_streams.resume(1, 0).is_none());
    }
}
