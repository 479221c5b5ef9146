//! All sessions of legacy clients by their ids: bounded in number and age. What
//! one is, is [`super::session`]'s.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, Instant},
};

use tracing::{debug, info};

use super::{kept::Kept, session::Session};

/// The most sessions kept; beyond, the one unused for longest makes room.
const MAX: usize = 10_000;

/// A session without a request or an open stream for this long is forgotten.
const MAX_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often, at most, the table is searched for forgotten sessions.
const SWEEP: Duration = Duration::from_secs(60);

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

    /// Takes in a session of an earlier run, unused for `unused` by now, unless
    /// that is too long or there are too many.
    pub(super) fn take_in(&self, id: String, session: Arc<Session>, unused: Duration) {
        let now = self.now();
        session
            .used
            .store(now.saturating_sub(unused.as_secs()), Ordering::Relaxed);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() < MAX && !is_forgotten(&session, now) {
            table.insert(id, session);
        } else {
            session.end();
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.len()
    }

    /// How many streams clients hold open for what belongs to no call.
    pub(super) fn streams(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().map(|session| session.streams()).sum()
    }

    /// Whether none is open.
    pub(super) fn is_empty(&self) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.is_empty()
    }

    /// All that are open, each with its id and for how long it is unused.
    pub(super) fn all(&self) -> Vec<(String, Arc<Session>, Duration)> {
        let now = self.now();
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let all = table.iter().map(|(id, session)| {
            let used = session.used.load(Ordering::Relaxed);
            let unused = if session.is_busy() {
                Duration::ZERO
            } else {
                Duration::from_secs(now.saturating_sub(used))
            };
            (id.clone(), Arc::clone(session), unused)
        });
        all.collect()
    }

    /// The session `id`, if it is open and `owner`'s; it counts as used now.
    pub(super) fn get(&self, id: &str, owner: &str) -> Option<Arc<Session>> {
        let session = self
            .table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .filter(|session| session.owner == owner)
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

    /// Seconds on the clock of this table, which shows the longest age at its
    /// birth: what was used before then has a time as well.
    fn now(&self) -> u64 {
        (MAX_IDLE + SWEEP + self.born.elapsed()).as_secs()
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
    use crate::{
        mux::{Versions, Watcher},
        protocol::{Abilities, Revision},
    };

    const OWNER: &str = "user:1";

    fn session() -> Arc<Session> {
        let abilities = Abilities::new(None);
        Session::new(
            OWNER.to_owned(),
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
        let busy = sessions.get(&first, OWNER).unwrap();
        let _stream = busy.take_stream(None);
        for _ in 0..MAX {
            sessions.open(session()).unwrap();
        }
        assert_eq!(sessions.table.read().unwrap().len(), MAX);
        assert!(
            sessions.get(&first, OWNER).is_some(),
            "a session with an open stream is not the one to go"
        );
    }

    #[test]
    fn a_session_of_an_earlier_run_ages_like_others() {
        let sessions = Sessions::new();
        let hour = Duration::from_secs(60 * 60);
        sessions.take_in("old".to_owned(), session(), MAX_IDLE + hour);
        sessions.take_in("young".to_owned(), session(), 23 * hour);
        assert!(sessions.get("old", OWNER).is_none());
        let [(_, _, unused)] = &sessions.all()[..] else {
            panic!("one session")
        };
        assert_eq!(*unused, 23 * hour);
        assert!(sessions.get("young", OWNER).is_some());
        assert_eq!(sessions.all()[0].2, Duration::ZERO, "it was used");
    }

    #[tokio::test]
    async fn a_new_stream_takes_the_place_of_the_old_one() {
        let sessions = Sessions::new();
        let session = sessions
            .get(&sessions.open(session()).unwrap(), OWNER)
            .unwrap();
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

    #[test]
    fn a_session_is_its_owners_alone() {
        let sessions = Sessions::new();
        let id = sessions.open(session()).unwrap();
        assert!(sessions.get(&id, "user:2").is_none());
        assert!(sessions.get(&id, OWNER).is_some());
    }
}
