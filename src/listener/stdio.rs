//! A client that launched mcpmux and speaks over its stdin and stdout, in
//! either era.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{cancelled::Cancelled, legacy, modern, session::Session};
use crate::{
    access::{Access, Principal},
    backend::ClientEnd,
    mux::{Caller, Mux, given_up},
    protocol::{
        Era, Id, Kind, Message, Revision, RpcError,
        error::{INVALID_REQUEST, UNAVAILABLE},
        frame::{Line, Lines, one_line},
        method,
    },
};

/// The most requests served at once.
const MAX_CALLS: usize = 1024;

/// How long the answer to a call that is given up may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Messages that may wait for the client to read.
const OUTBOX: usize = 256;

/// What the client's requests share.
struct Client {
    access: Arc<Access>,
    mux: Arc<Mux>,
    outbox: mpsc::Sender<Bytes>,
    legacy: Mutex<Option<Arc<Session>>>,
    /// The client's ends of the requests that are under way.
    calls: Mutex<HashMap<Id, ClientEnd>>,
    tasks: TaskTracker,
    gone: CancellationToken,
}

/// Serves the client behind `input` and `output`, which launched mcpmux and is who
/// `access` says, until it closes `input`, or until `stop`; calls in flight then have `drain` to finish. Messages longer
/// than `max_message` bytes are refused.
pub async fn serve(
    mux: Arc<Mux>,
    access: Arc<Access>,
    mut input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    max_message: usize,
    stop: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let gone = CancellationToken::new();
    let writer = tokio::spawn(write(output, inbox, gone.clone()));
    let client = Arc::new(Client {
        access,
        mux: Arc::clone(&mux),
        outbox,
        legacy: Mutex::default(),
        calls: Mutex::default(),
        tasks: TaskTracker::new(),
        gone: gone.clone(),
    });
    let mut lines = Lines::new(max_message);
    let outcome = loop {
        let count = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            () = gone.cancelled() => break Ok(()),
            count = input.read_buf(lines.buffer()) => count,
        };
        match count {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        while let Some(line) = lines.next_line() {
            let parsed = match line {
                Line::Whole(line) => Message::parse(line),
                Line::TooLong => Err(RpcError::new(
                    INVALID_REQUEST,
                    format!(
                        "Invalid Request: a message of more than {max_message} bytes (listen.max_body)"
                    ),
                )),
            };
            match parsed {
                Ok(message) => client.take(message).await,
                Err(error) => client.send(&Message::failure(None, &error)).await,
            }
        }
    };
    mux.begin_stop();
    client.tasks.close();
    if tokio::time::timeout(drain, client.tasks.wait())
        .await
        .is_err()
    {
        gone.cancel();
        client.tasks.wait().await;
    }
    if let Some(session) = client.session() {
        session.ended.cancel();
    }
    drop(client);
    let _ = tokio::time::timeout(drain, writer).await;
    outcome
}

impl Client {
    async fn take(self: &Arc<Self>, message: Message) {
        match message.kind() {
            Kind::Request { id, method } => match self.caller(&message, method) {
                Ok(None) => self.initialize(&message).await,
                Ok(Some(caller))
                    if caller.era() == Era::Legacy && method.as_str() == method::SET_LEVEL =>
                {
                    if let Some(session) = self.session() {
                        self.send(&legacy::set_level(&session, id, &message)).await;
                    }
                }
                Ok(Some(caller)) => self.start(id.clone(), caller, message).await,
                Err(error) => self.send(&Message::failure(Some(id), &error)).await,
            },
            Kind::Notification { method } => match method.as_str() {
                method::CANCELLED => {
                    if let Some(cancelled) = Cancelled::read(&message)
                        && let Some(client) = self.calls().get(&cancelled.id)
                    {
                        cancelled.tell(client);
                    }
                }
                method::INITIALIZED => self.tell_changes(),
                _ => {
                    if let Some(session) = self.session() {
                        legacy::notified(&self.mux, &session, &message);
                    } else {
                        self.mux.tell(self.parent().role(), None, &message);
                    }
                }
            },
            Kind::Response { .. } => {
                if let Some(session) = self.session() {
                    session.voice.answer(message);
                }
            }
        }
    }

    /// Who asks, unless it asks too much; `None` for a legacy client that opens its
    /// session.
    fn caller(&self, message: &Message, method: &str) -> Result<Option<Caller>, RpcError> {
        let parent = self.parent();
        if let Some(own) = self.mux.limits().caller(parent.name()) {
            own.request().inspect_err(|exhausted| {
                let audit = self.mux.audit();
                audit.refused(parent.name(), &exhausted.to_string());
            })?;
        }
        if method == method::INITIALIZE {
            return Ok(None);
        }
        match self.session() {
            Some(session) if modern::declared(message).is_none() => {
                Ok(Some(session.caller(parent, message, ClientEnd::default())))
            }
            None if method == method::PING => Ok(Some(Caller {
                principal: parent,
                ..Caller::of(Revision::NEWEST_LEGACY)
            })),
            _ => modern::check(message, None)
                .map(|caller| {
                    Some(Caller {
                        principal: parent,
                        ..caller
                    })
                })
                .map_err(|(_, error)| error),
        }
    }

    /// Who launched mcpmux, in the role that it has now.
    fn parent(&self) -> Principal {
        self.access.parent()
    }

    /// What a legacy client has opened.
    fn session(&self) -> Option<Arc<Session>> {
        let session = self.legacy.lock().unwrap_or_else(PoisonError::into_inner);
        session.clone()
    }

    async fn initialize(&self, message: &Message) {
        let answer = match legacy::open(&self.mux, &self.parent(), message) {
            Ok((session, result)) => {
                let before = self
                    .legacy
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .replace(session);
                if let Some(before) = before {
                    before.end();
                }
                result
            }
            Err(error) => Message::failure(message.id(), &error),
        };
        self.send(&answer).await;
    }

    /// Serves a request in a task of its own.
    async fn start(self: &Arc<Self>, id: Id, caller: Caller, message: Message) {
        let end = ClientEnd::open();
        let admitted = {
            let mut calls = self.calls();
            let free = calls.len() < MAX_CALLS && !calls.contains_key(&id);
            if free {
                calls.insert(id.clone(), end.clone());
            }
            free
        };
        if !admitted {
            let error = RpcError::new(UNAVAILABLE, "too many requests at once, or two with one id");
            return self.send(&Message::failure(Some(&id), &error)).await;
        }
        let client = Arc::clone(self);
        let caller = Caller {
            client: end.clone(),
            ..caller
        };
        let mut exchange = self.mux.request(caller, message);
        self.tasks.spawn(async move {
            let passing_on = async {
                while let Some(Ok(message)) = exchange.next().await {
                    client.send(&message).await;
                }
            };
            tokio::select! {
                biased;
                () = client.gone.cancelled() => {
                    // Not by the client, who would go on waiting; it may not read either.
                    let last = given_up(&id);
                    let _ = tokio::time::timeout(LAST_WORDS, client.send(&last)).await;
                }
                () = poll_fn(|cx| end.poll_withdrawn(cx)) => {}
                () = passing_on => {}
            }
            client.calls().remove(&id);
        });
    }

    /// Tells a legacy client from now on what belongs to no call.
    fn tell_changes(self: &Arc<Self>) {
        let Some(session) = self.session() else {
            return;
        };
        let client = Arc::clone(self);
        let mut turned = self.access.turned();
        let mut changes = self.mux.changes(self.parent().role(), Some(session.seen()));
        let mut stream = session.take_stream(None);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    Ok(()) = turned.changed() => {
                        let role = client.parent();
                        changes = client.mux.changes(role.role(), Some(session.seen()));
                    }
                    lists = changes.next() => match lists {
                        Some(_) => session.tell(changes.seen()),
                        None => return,
                    },
                    sent = stream.next() => match sent {
                        Some(sent) => client.put(&sent.message).await,
                        None => return,
                    },
                }
            }
        });
    }

    async fn send(&self, message: &Message) {
        self.put(message.bytes()).await;
    }

    async fn put(&self, message: &Bytes) {
        // The writer is gone only if the client is.
        let _ = self.outbox.send(one_line(message)).await;
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<Id, ClientEnd>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(
    mut output: impl AsyncWrite + Unpin,
    mut inbox: mpsc::Receiver<Bytes>,
    gone: CancellationToken,
) {
    while let Some(line) = inbox.recv().await {
        let written = async {
            output.write_all(&line).await?;
            output.write_all(b"\n").await?;
            if inbox.is_empty() {
                output.flush().await
            } else {
                Ok(())
            }
        };
        if written.await.is_err() {
            gone.cancel();
            return;
        }
    }
    let _ = output.flush().await;
}
