//! One session of a legacy client: what it is, what goes to it, and its calls.
//! All of them are in [`super::sessions`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{
    call_streams::CallStreams,
    cancelled::Cancelled,
    outbox::{Outbox, Reader, Sent},
};
use crate::{
    access::{Principal, role_in},
    backend::{ClientEnd, Introduction},
    mux::{Caller, Held, Sink, Subscriber, Versions, Voice, Watcher},
    protocol::{Abilities, Id, Level, Message, Revision, method},
};

/// One legacy client, from `initialize` to DELETE or oblivion.
#[derive(Debug)]
pub(super) struct Session {
    /// The principal that opened it ([`Principal::owner`]).
    pub(super) owner: String,
    /// The revision agreed upon.
    pub(super) revision: Revision,
    /// What the client said of itself.
    pub(super) introduction: Arc<Introduction>,
    /// Where the client's answers go to what it is asked.
    pub(super) voice: Arc<Voice>,
    /// The lowest level of log messages that it wants.
    level: Mutex<Option<Level>>,
    /// The lists that the client was last told of.
    seen: Mutex<Versions>,
    /// When it was used last, on its table's clock.
    pub(super) used: AtomicU64,
    streams: AtomicUsize,
    outbox: Outbox,
    /// The streams of its calls that can be taken up again.
    pub(super) call_streams: CallStreams,
    watcher: Watcher,
    /// The client's ends of its requests that are under way.
    calls: Mutex<HashMap<Id, ClientEnd>>,
    /// The session is over.
    pub(super) ended: CancellationToken,
}

impl Session {
    /// A session of `owner` that begins with the lists `seen`.
    pub(super) fn new(
        owner: String,
        revision: Revision,
        info: Option<Box<RawValue>>,
        abilities: Abilities,
        seen: Versions,
        watcher: Watcher,
    ) -> Arc<Self> {
        Self::begin(None, owner, revision, info, abilities, seen, watcher)
    }

    /// The same, for one that began in an earlier run, in which nothing that goes
    /// to the client had a number above `number`: what the client still names of
    /// that run is then not taken for something of this one.
    pub(super) fn begun_before(
        number: u64,
        owner: String,
        revision: Revision,
        info: Option<Box<RawValue>>,
        abilities: Abilities,
        seen: Versions,
        watcher: Watcher,
    ) -> Arc<Self> {
        Self::begin(
            Some(number),
            owner,
            revision,
            info,
            abilities,
            seen,
            watcher,
        )
    }

    fn begin(
        above: Option<u64>,
        owner: String,
        revision: Revision,
        info: Option<Box<RawValue>>,
        abilities: Abilities,
        seen: Versions,
        watcher: Watcher,
    ) -> Arc<Self> {
        let ended = CancellationToken::new();
        let introduction = Introduction::new(info, abilities, ended.clone());
        let session = Arc::new(Self {
            owner,
            revision,
            introduction: Arc::new(introduction),
            voice: Arc::new(above.map(Voice::above).unwrap_or_default()),
            level: Mutex::default(),
            seen: Mutex::new(seen),
            used: AtomicU64::new(0),
            streams: AtomicUsize::new(0),
            outbox: above.map(Outbox::above).unwrap_or_default(),
            call_streams: above.map(CallStreams::above).unwrap_or_default(),
            watcher,
            calls: Mutex::default(),
            ended,
        });
        let aside: Weak<Self> = Arc::downgrade(&session);
        session.introduction.reached_by(aside);
        session
    }

    /// The lists that the client was last told of.
    pub(super) fn seen(&self) -> Versions {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the client of the lists as they are `now`, if it does not know.
    pub(super) fn tell(&self, now: Versions) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for method in now.since(*seen).methods() {
            let message = Message::notification(method, "{}");
            self.outbox.push_once(method, &message);
        }
        *seen = now;
    }

    /// The role of its owner.
    pub(super) fn role(&self) -> &str {
        role_in(&self.owner)
    }

    /// What goes to the client outside of its calls.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The client behind it, which can be asked and is `principal`, as far as that
    /// matters for `request`, of which it holds the end `client`.
    pub(super) fn caller(
        self: &Arc<Self>,
        principal: Principal,
        request: &Message,
        client: ClientEnd,
    ) -> Caller {
        let subscribes = matches!(
            request.method(),
            Some(method::SUBSCRIBE | method::UNSUBSCRIBE)
        );
        Caller {
            principal,
            revision: self.revision,
            introduction: Some(Arc::clone(&self.introduction)),
            voice: Some(Arc::clone(&self.voice)),
            level: self.level(),
            headers: None,
            subscriber: subscribes.then(|| self.subscriber()),
            client,
        }
    }

    fn subscriber(self: &Arc<Self>) -> Subscriber {
        let sink: Weak<Self> = Arc::downgrade(self);
        self.watcher.subscriber(self.role(), sink)
    }

    /// From now on the client wants log messages of `level` and above.
    pub(super) fn set_level(&self, level: Level) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    /// The lowest level of log messages that the client wants.
    pub(super) fn level(&self) -> Option<Level> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client is subscribed to.
    pub(super) fn held(&self) -> Vec<Held> {
        self.watcher.held()
    }

    /// Subscribes the client again to what it held in an earlier run.
    pub(super) fn hold_again<'h>(self: &Arc<Self>, held: impl Iterator<Item = &'h Held>) {
        let subscriber = self.subscriber();
        for held in held {
            self.watcher.hold_again(&subscriber, held);
        }
    }

    /// Enters a request under its id, of which the client holds the end `client`,
    /// until the returned place is left.
    pub(super) fn enter(self: Arc<Self>, id: Id, client: ClientEnd) -> Place {
        self.calls().insert(id.clone(), client.clone());
        Place {
            session: self,
            id,
            client,
        }
    }

    /// The client no longer wants the response to `id`.
    pub(super) fn cancel(&self, cancelled: &Cancelled) {
        if let Some(client) = self.calls().get(&cancelled.id) {
            cancelled.tell(client);
        }
    }

    /// Takes over the session's stream, behind the event `last` if one is
    /// named. An older stream ends, so that no message goes out on two.
    pub(super) fn take_stream(self: &Arc<Self>, last: Option<u64>) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream {
            reader: self.outbox.read(last),
            session: Arc::clone(self),
        }
    }

    /// The session is over, though calls may still hold on to it.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.outbox.end();
        self.call_streams.end();
        self.watcher.end();
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<Id, ClientEnd>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many streams are open for it beside those of its calls.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Whether it has a call under way or an open stream.
    pub(super) fn is_busy(&self) -> bool {
        self.streams() > 0 || !self.calls().is_empty()
    }
}

/// A request's place among its session's calls.
#[derive(Debug)]
pub(super) struct Place {
    session: Arc<Session>,
    id: Id,
    /// The client's end of the request.
    pub(super) client: ClientEnd,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.session.calls().remove(&self.id);
    }
}

impl Sink for Session {
    fn updated(&self, uri: &str, message: &Message) {
        self.outbox.push_once(uri, message);
    }
}

/// A session's open stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: Arc<Session>,
    reader: Reader,
}

impl Stream {
    /// See [`Outbox::prime`].
    pub(super) fn prime(&mut self) -> Option<Sent> {
        self.session.outbox.prime(&mut self.reader)
    }

    /// See [`Outbox::next`].
    pub(super) async fn next(&mut self) -> Option<Sent> {
        self.session.outbox.next(&mut self.reader).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.session.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
