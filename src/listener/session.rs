//! Sessions of legacy clients: bounded in number and age.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    call_streams::CallStreams,
    kept::Kept,
    outbox::{Outbox, Reader, Sent},
    regret::{Cancelled, Regret},
};
use crate::{
    backend::Introduction,
    mux::{Caller, Sink, Versions, Voice, Watcher},
    protocol::{Abilities, Id, Level, Message, Revision},
};

/// The most sessions kept; beyond, the one unused for longest makes room.
const MAX: usize = 10_000;

/// A session without a request or an open stream for this long is forgotten.
const MAX_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often, at most, the table is searched for forgotten sessions.
const SWEEP: Duration = Duration::from_secs(60);

/// One legacy client, from `initialize` to DELETE or oblivion.
#[derive(Debug)]
pub(super) struct Session {
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
    /// Seconds after the table's birth.
    used: AtomicU64,
    streams: AtomicUsize,
    outbox: Outbox,
    /// The streams of its calls that can be taken up again.
    pub(super) call_streams: CallStreams,
    watcher: Watcher,
    calls: Mutex<HashMap<Id, Regret>>,
    /// The session is over.
    pub(super) ended: CancellationToken,
}

impl Session {
    /// A session that begins with the lists `seen`.
    pub(super) fn new(
        revision: Revision,
        info: Option<Box<RawValue>>,
        abilities: Abilities,
        seen: Versions,
        watcher: Watcher,
    ) -> Arc<Self> {
        let ended = CancellationToken::new();
        let introduction = Introduction::new(info, abilities, ended.clone());
        let session = Arc::new(Self {
            revision,
            introduction: Arc::new(introduction),
            voice: Arc::default(),
            level: Mutex::default(),
            seen: Mutex::new(seen),
            used: AtomicU64::new(0),
            streams: AtomicUsize::new(0),
            outbox: Outbox::default(),
            call_streams: CallStreams::default(),
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

    /// What goes to the client outside of its calls.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The client behind it, which can be asked.
    pub(super) fn caller(self: &Arc<Self>) -> Caller {
        let sink: Weak<Self> = Arc::downgrade(self);
        Caller {
            introduction: Some(Arc::clone(&self.introduction)),
            voice: Some(Arc::clone(&self.voice)),
            level: *self.level.lock().unwrap_or_else(PoisonError::into_inner),
            subscriber: Some(self.watcher.subscriber(sink)),
            ..Caller::of(self.revision)
        }
    }

    /// From now on the client wants log messages of `level` and above.
    pub(super) fn set_level(&self, level: Level) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    /// Enters a request under its id, until the returned place is left.
    pub(super) fn enter(self: &Arc<Self>, id: Id) -> Place {
        let regret = Regret::default();
        self.calls().insert(id.clone(), regret.clone());
        Place {
            session: Arc::clone(self),
            id,
            regret,
        }
    }

    /// The client no longer wants the response to `id`.
    pub(super) fn cancel(&self, cancelled: &Cancelled) {
        if let Some(regret) = self.calls().get(&cancelled.id) {
            regret.take(cancelled);
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

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Regret>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0 || !self.calls().is_empty()
    }
}

/// A request's place among its session's calls.
#[derive(Debug)]
pub(super) struct Place {
    session: Arc<Session>,
    id: Id,
    /// Whether the client wants it no longer.
    pub(super) regret: Regret,
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

/// All sessions by their ids.
#[derive(Debug)]
pub(super) struct Sessions {
    born: Instant,
    table: RwLock<HashMap<String, Arc<Session>>>,
    swept: Mutex<Instant>,
    /// Streams of calls that are over.
    pub(super) kept: Arc<Kept>,
}

impl Sessions {
    pub(super) fn new() -> Self {
        let born = Instant::now();
        Self {
            born,
            table: RwLock::default(),
            swept: Mutex::new(born),
            kept: Arc::default(),
        }
    }

    /// Keeps `session`; gives its id: 128 random bits, in hex.
    pub(super) fn open(&self, session: Arc<Session>) -> Result<String, getrandom::Error> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)?;
        let mut id = String::with_capacity(32);
        for byte in random {
            let _ = write!(id, "{byte:02x}");
        }
        let now = self.now();
        session.used.store(now, Ordering::Relaxed);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.sweep(&mut table, now);
        if table.len() >= MAX {
            let oldest = table
                .iter()
                .min_by_key(|(_, session)| {
                    (session.is_busy(), session.used.load(Ordering::Relaxed))
                })
                .map(|(id, _)| id.clone());
            if let Some(session) = oldest.and_then(|id| table.remove(&id)) {
                info!("{MAX} sessions are open, the one unused for longest makes room");
                session.end();
            }
        }
        table.insert(id.clone(), session);
        Ok(id)
    }

    /// The session `id`, if it is open; it counts as used now.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        let session = self
            .table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()?;
        let now = self.now();
        if is_forgotten(&session, now) {
            self.close(id);
            return None;
        }
        session.used.store(now, Ordering::Relaxed);
        Some(session)
    }

    /// Ends the session `id`; `false` if there is none.
    pub(super) fn close(&self, id: &str) -> bool {
        let session = self
            .table
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(session) = &session {
            session.end();
        }
        session.is_some()
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_secs()
    }

    fn sweep(&self, table: &mut HashMap<String, Arc<Session>>, now: u64) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.elapsed() < SWEEP {
            return;
        }
        *swept = Instant::now();
        let before = table.len();
        table.retain(|_, session| {
            let keep = !is_forgotten(session, now);
            if !keep {
                session.end();
            }
            keep
        });
        debug!(
            "{} of {before} sessions were unused for a day and are forgotten",
            before - table.len()
        );
    }
}

fn is_forgotten(session: &Session, now: u64) -> bool {
    now.saturating_sub(session.used.load(Ordering::Relaxed)) > MAX_IDLE.as_secs()
        && !session.is_busy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Arc<Session> {
        let abilities = Abilities::new(None);
        Session::new(
            Revision::NEWEST_LEGACY,
            None,
            abilities,
            Versions::default(),
            Watcher::idle(),
        )
    }

    #[test]
    fn the_table_is_bounded_and_the_one_unused_for_longest_makes_room() {
        let sessions = Sessions::new();
        let first = sessions.open(session()).unwrap();
        let busy = sessions.get(&first).unwrap();
        let _stream = busy.take_stream(None);
        for _ in 0..MAX {
            sessions.open(session()).unwrap();
        }
        assert_eq!(sessions.table.read().unwrap().len(), MAX);
        assert!(
            sessions.get(&first).is_some(),
            "a session with an open stream is not the one to go"
        );
    }

    #[tokio::test]
    async fn a_new_stream_takes_the_place_of_the_old_one() {
        let sessions = Sessions::new();
        let session = sessions.get(&sessions.open(session()).unwrap()).unwrap();
        let mut first = session.take_stream(None);
        let mut second = session.take_stream(None);
        let tools = Versions {
            tools: 1,
            ..Versions::default()
        };
        session.tell(tools);
        session.tell(tools);
        assert_eq!(first.next().await, None);
        assert!(second.next().await.is_some());
        session.end();
        assert_eq!(second.next().await, None, "it was told twice");
    }
}
