//! One pipe shared by many calls: newline-delimited JSON-RPC over a child's
//! stdin and stdout, with a table that says which message is whose.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{LAST_WORDS, stderr::printable};
use crate::{
    backend::{
        BackendError, ClientEnd, Ear, Exchange, Introduction, Size, Tail, Unasked, calls::Calls,
        deliver::Rest, mailbox::Mailbox,
    },
    protocol::{
        Message,
        frame::{Line, Lines, one_line},
        method,
    },
};

/// Messages on their way to the child that may wait for it to read.
const OUTBOX: usize = 256;

/// How much is shown of a line that is no message, in bytes.
const EXCERPT: usize = 200;

/// The most bytes put together into one write.
const WRITE_BATCH: usize = 64 * 1024;

/// A pipe to a server, and the calls that are open on it.
#[derive(Debug)]
pub(crate) struct Pipe {
    backend: Arc<str>,
    outbox: mpsc::Sender<Bytes>,
    calls: Calls,
    drained: CancellationToken,
    closed: CancellationToken,
    reason: Mutex<Option<Arc<str>>>,
    unasked: Ear,
    tail: Option<Arc<Tail>>,
}

impl Pipe {
    /// Starts to read and write; both end when the child does, or when
    /// [`close`](Self::close) is called. `unasked` gets what belongs to no call, and
    /// `tail` the first line that is no message.
    pub(crate) fn open(
        backend: Arc<str>,
        stdin: impl AsyncWrite + Unpin + Send + 'static,
        stdout: impl AsyncRead + Unpin + Send + 'static,
        max_message: usize,
        unasked: Ear,
        whose: Option<Arc<Introduction>>,
        tail: Option<Arc<Tail>>,
    ) -> Arc<Self> {
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let pipe = Arc::new(Self {
            backend,
            outbox,
            calls: Calls::new(whose),
            drained: CancellationToken::new(),
            closed: CancellationToken::new(),
            reason: Mutex::default(),
            unasked,
            tail,
        });
        tokio::spawn(write(Arc::clone(&pipe), stdin, inbox));
        tokio::spawn(read(Arc::clone(&pipe), stdout, max_message));
        pipe
    }

    /// Where all goes that belongs to no call.
    pub(crate) fn ear(&self) -> &Ear {
        &self.unasked
    }

    /// An id that no other request on this pipe has or had.
    pub(crate) fn next_id(&self) -> u64 {
        self.calls.next_id()
    }

    /// Sends `message`, a request that carries `id` and, if it wants progress,
    /// `id` as its progress token too. `client` is its client's end, if it is made
    /// for one.
    pub(crate) fn request(
        self: &Arc<Self>,
        id: u64,
        message: &Message,
        client: Option<ClientEnd>,
    ) -> Exchange {
        let call = Call::enter(Arc::clone(self), id, client);
        let line = one_line(message.bytes());
        Exchange::new(async_stream::stream! {
            if call.pipe.outbox.send(line).await.is_err() {
                yield Err(call.pipe.closed_error());
                return;
            }
            loop {
                let item = std::future::poll_fn(|cx| call.mailbox.poll_next(cx)).await;
                yield item;
            }
        })
    }

    /// Sends a notification or a response.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), BackendError> {
        self.outbox
            .send(one_line(message.bytes()))
            .await
            .map_err(|_| self.closed_error())
    }

    /// Stops using the pipe: the child's stdin is closed, calls in flight end.
    pub(crate) fn close(&self, reason: &str) {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| reason.into());
        self.closed.cancel();
        for mailbox in self.calls.take_all() {
            mailbox.finish(Err(self.closed_error()));
        }
    }

    /// Waits until all that the child wrote has been read and its stdout is closed.
    pub(crate) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// Waits until the pipe is of no more use, and says why.
    pub(crate) async fn closed(&self) -> Arc<str> {
        self.closed.cancelled().await;
        self.reason()
    }

    /// Whether it is of no more use.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    fn reason(&self) -> Arc<str> {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().unwrap_or_else(|| "closed".into())
    }

    fn closed_error(&self) -> BackendError {
        BackendError::Closed(self.reason())
    }

    /// Hands a message of the child to whom it belongs.
    fn deliver(&self, message: Message) {
        match self.calls.deliver(&self.backend, message) {
            Rest::Nothing => {}
            Rest::Unasked(notification) => self.pass_on(Unasked::Notification(notification)),
            // The answer must not wait for room in the outbox: the child may be
            // waiting for this reader.
            Rest::Answer(answer) => {
                if self.outbox.try_send(one_line(answer.bytes())).is_err() {
                    warn!(backend = %self.backend, "no room to answer a request of the server");
                }
            }
            Rest::Ask(client, request) => {
                let outbox = self.outbox.clone();
                let answer = Box::new(move |answer: Message| {
                    let _ = outbox.try_send(one_line(answer.bytes()));
                });
                client.ask_or_refuse(&request, answer);
            }
        }
    }

    fn pass_on(&self, unasked: Unasked) {
        if !self.unasked.try_send(unasked) {
            debug!(backend = %self.backend, "too many notifications at once, one is dropped");
        }
    }

    /// A line is no message. Said aloud once: who logs to stdout does it often.
    fn garbage(&self, line: &[u8], again: bool) {
        let backend = self.backend.as_ref();
        let line = printable(&line[..line.len().min(EXCERPT)]);
        if again {
            debug!(backend, "no MCP message on its stdout: {line}");
        } else {
            if let Some(tail) = &self.tail {
                tail.put(&format!("(no MCP message, on its stdout) {line}"));
            }
            warn!(
                backend,
                "no MCP message on its stdout, ignored like all that follow: {line}"
            );
        }
    }

    /// A line was too long to be kept. Whose it was cannot be told, unless one
    /// call only is open; so none may wait for it any longer.
    fn lost_line(&self, limit: usize) {
        let reason = format!(
            "it sent a message of more than {} (max_message)",
            Size(limit)
        );
        warn!(backend = %self.backend, "dropped: {reason}");
        for mailbox in self.calls.take_all() {
            mailbox.finish(Err(BackendError::Protocol(reason.clone())));
        }
    }
}

/// A call's place in the table; leaving it early cancels the call.
struct Call {
    pipe: Arc<Pipe>,
    id: u64,
    mailbox: Arc<Mailbox>,
    client: ClientEnd,
}

impl Call {
    fn enter(pipe: Arc<Pipe>, id: u64, client: Option<ClientEnd>) -> Self {
        let mailbox = pipe.calls.enter(id, client.is_some());
        if pipe.closed.is_cancelled() {
            pipe.calls.take(id);
            mailbox.finish(Err(pipe.closed_error()));
        }
        Self {
            pipe,
            id,
            mailbox,
            client: client.unwrap_or_default(),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.pipe.calls.take(self.id).is_none() || self.pipe.closed.is_cancelled() {
            return;
        }
        let cancel = Message::notification(method::CANCELLED, &self.client.cancelled(self.id));
        if let Err(mpsc::error::TrySendError::Full(line)) =
            self.pipe.outbox.try_send(cancel.into_bytes())
        {
            let outbox = self.pipe.outbox.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { outbox.send(line).await });
            }
        }
    }
}

async fn write(
    pipe: Arc<Pipe>,
    mut stdin: impl AsyncWrite + Unpin,
    mut inbox: mpsc::Receiver<Bytes>,
) {
    let mut batch = BytesMut::new();
    let failure = loop {
        let first = tokio::select! {
            () = pipe.closed.cancelled() => return,
            first = inbox.recv() => first,
        };
        let Some(first) = first else { return };
        batch.clear();
        let mut next = Some(first);
        while let Some(line) = next {
            batch.extend_from_slice(&line);
            batch.extend_from_slice(b"\n");
            next = if batch.len() < WRITE_BATCH {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        let done = tokio::select! {
            () = pipe.closed.cancelled() => return,
            done = stdin.write_all(&batch) => done,
        };
        if let Err(error) = done {
            break error;
        }
        if batch.capacity() > 4 * WRITE_BATCH {
            batch = BytesMut::new();
        }
    };
    // Most often the process has ended, and how it did says more.
    tokio::select! {
        () = pipe.closed.cancelled() => {}
        () = tokio::time::sleep(LAST_WORDS) => {
            pipe.close(&format!("writing to its stdin failed: {failure}"));
        }
    }
}

async fn read(pipe: Arc<Pipe>, mut stdout: impl AsyncRead + Unpin, max_message: usize) {
    let mut lines = Lines::new(max_message);
    let mut said_garbage = false;
    loop {
        let count = tokio::select! {
            () = pipe.closed.cancelled() => return,
            count = stdout.read_buf(lines.buffer()) => count,
        };
        match count {
            Ok(0) => return pipe.drained.cancel(),
            Ok(_) => {}
            Err(error) => return pipe.close(&format!("reading its stdout failed: {error}")),
        }
        while let Some(line) = lines.next_line() {
            let Line::Whole(line) = line else {
                pipe.lost_line(max_message);
                continue;
            };
            let text = line.clone();
            for message in Message::parse_each(line) {
                if let Ok(message) = message {
                    pipe.deliver(message);
                } else {
                    pipe.garbage(&text, said_garbage);
                    said_garbage = true;
                }
            }
        }
    }
}
