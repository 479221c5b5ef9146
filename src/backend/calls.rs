//! The calls that are open on one link, and which of them a message belongs to
//! that names none (a backend's request, a log message): the one call in
//! flight, if there is exactly one. It is never guessed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Introduction, mailbox::Mailbox};
use crate::{
    protocol::{Id, Message, RawObject},
    thread,
};

/// Open requests of a backend that are kept track of; a backend that asks
/// more at once is refused.
const MAX_ASKED: usize = 1024;

/// The open calls of one link by their ids.
#[derive(Debug)]
pub(super) struct Calls {
    /// Whose they all are, if they are of one client: then it does not matter
    /// to which of them a message goes.
    whose: Option<Arc<Introduction>>,
    /// One is enough for one client, whose newest call is then the last of it.
    lanes: Box<[Lane]>,
}

/// Calls of one thread, or of a few; by itself in memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    /// How many ids it has given.
    given: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Arc<Mailbox>>,
    /// How many of them are made for a client, who can be asked.
    of_clients: usize,
    /// Requests of the backend that were handed to a call.
    asked: HashMap<Id, u64>,
}

impl Calls {
    /// None yet; all will be of one client if it is given.
    pub(super) fn new(whose: Option<Arc<Introduction>>) -> Self {
        let lanes = if whose.is_some() { 1 } else { thread::LANES };
        Self {
            whose,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
        }
    }

    /// The client whose calls all are, if they are of one.
    pub(super) fn whose(&self) -> Option<&Arc<Introduction>> {
        self.whose.as_ref()
    }

    /// An id that no other call has or had: 1 or more, and the lane can be told by it.
    pub(super) fn next_id(&self) -> u64 {
        let lanes = self.lanes.len();
        let lane = thread::lane(lanes);
        let given = self.lanes[lane].given.fetch_add(1, Relaxed);
        1 + given * lanes as u64 + lane as u64
    }

    /// Opens a call; `for_client` unless mcpmux makes it on its own account.
    pub(super) fn enter(&self, id: u64, for_client: bool) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(for_client));
        let mut table = self.table(id);
        table.open.insert(id, Arc::clone(&mailbox));
        table.of_clients += usize::from(for_client);
        mailbox
    }

    /// The call `id`, if it is open.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Mailbox>> {
        self.table(id).open.get(&id).cloned()
    }

    /// Closes the call `id`; `None` if it was not open any more.
    pub(super) fn take(&self, id: u64) -> Option<Arc<Mailbox>> {
        let mut table = self.table(id);
        let mailbox = table.open.remove(&id)?;
        table.of_clients -= usize::from(mailbox.is_for_client());
        if !table.asked.is_empty() {
            table.asked.retain(|_, call| *call != id);
        }
        Some(mailbox)
    }

    /// Closes every call.
    pub(super) fn take_all(&self) -> Vec<Arc<Mailbox>> {
        let mut tables = self.tables();
        let tables = tables.iter_mut().map(|table| std::mem::take(&mut **table));
        tables.flat_map(|table| table.open.into_values()).collect()
    }

    /// The call that a message belongs to which names none: the one in flight,
    /// or the newest if all are of one client. Error: how many there are.
    pub(super) fn only(&self) -> Result<Arc<Mailbox>, usize> {
        let tables = self.tables();
        let found = self.find(&tables)?;
        Ok(Arc::clone(found.1))
    }

    /// The only one, or the newest, of all lanes. Error: how many there are.
    fn find<'t>(&self, tables: &'t [MutexGuard<'_, Table>]) -> Result<Found<'t>, usize> {
        let all = tables.iter().map(|table| table.of_clients).sum();
        if all == 0 || (all > 1 && self.whose.is_none()) {
            return Err(all);
        }
        let newest = tables.iter().flat_map(|table| table.open.iter().rev());
        let mut newest = newest.map(|(id, mailbox)| (*id, mailbox));
        newest
            .find(|(_, mailbox)| mailbox.is_for_client())
            .ok_or(all)
    }

    /// Hands a request of the backend, which names no call, to the one it must
    /// belong to. Error: why there is none.
    pub(super) fn ask(&self, request: &Message) -> Result<(), &'static str> {
        const NONE: &str = "no call is in flight here that it could belong to";
        const MANY: &str = "several calls are in flight here, and it says not which of them it belongs to \
                            (session: client gives each client a process or session of its own)";
        let mut tables = self.tables();
        let (id, mailbox) = match self.find(&tables) {
            Ok((id, mailbox)) => (id, Arc::clone(mailbox)),
            Err(0) => return Err(NONE),
            Err(_) => return Err(MANY),
        };
        let table = &mut tables[self.lane(id)];
        if table.asked.len() >= MAX_ASKED || !mailbox.put(request.clone()) {
            return Err("too many requests wait for the client");
        }
        if let Some(asked) = request.id() {
            table.asked.insert(asked.clone(), id);
        }
        Ok(())
    }

    /// The call that a `notifications/cancelled` of the backend is for: the one
    /// that got the request which it takes back.
    pub(super) fn taking_back(&self, cancelled: &Message) -> Option<Arc<Mailbox>> {
        let params = RawObject::parse(cancelled.payload()?).ok()?;
        let asked = Id::from_json(params.get("requestId").ok()??)?;
        self.tables().iter_mut().find_map(|table| {
            let call = table.asked.remove(&asked)?;
            table.open.get(&call).cloned()
        })
    }

    /// Where the call `id` stands.
    fn lane(&self, id: u64) -> usize {
        let lanes = self.lanes.len() as u64;
        usize::try_from(id.wrapping_sub(1) % lanes).unwrap_or(0)
    }

    fn table(&self, id: u64) -> MutexGuard<'_, Table> {
        self.lanes[self.lane(id)].table()
    }

    /// All, so that nothing changes meanwhile; taken in this order alone.
    fn tables(&self) -> Vec<MutexGuard<'_, Table>> {
        self.lanes.iter().map(Lane::table).collect()
    }
}

/// A call and its id.
type Found<'t> = (u64, &'t Arc<Mailbox>);

impl Lane {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::protocol::Abilities;

    fn request() -> Message {
        let text = br#"{"jsonrpc":"2.0","id":"e1","method":"elicitation/create","params":{}}"#;
        Message::parse(Bytes::from_static(text)).unwrap()
    }

    #[test]
    fn a_request_belongs_to_the_one_call_of_a_client() {
        let calls = Calls::new(None);
        let _own = calls.enter(1, false);
        assert!(calls.ask(&request()).unwrap_err().starts_with("no call"));
        let _first = calls.enter(2, true);
        assert_eq!(calls.ask(&request()), Ok(()));
        let _second = calls.enter(3, true);
        assert!(calls.ask(&request()).unwrap_err().starts_with("several"));
        calls.take(3);
        assert_eq!(calls.ask(&request()), Ok(()));
        assert_eq!(calls.only().err(), None);
    }

    #[test]
    fn calls_of_several_threads_are_told_apart_and_known_by_all() {
        let calls = Calls::new(None);
        let mut ids = Vec::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| [calls.next_id(), calls.next_id()]))
                .collect();
            for thread in threads {
                ids.extend(thread.join().unwrap());
            }
        });
        for id in &ids {
            calls.enter(*id, true);
        }
        assert_eq!(calls.only().err(), Some(ids.len()));
        while let Some(id) = ids.pop() {
            assert!(!ids.contains(&id));
            assert!(calls.get(id).is_some());
            if ids.is_empty() {
                assert_eq!(calls.ask(&request()), Ok(()));
            }
            assert!(calls.take(id).is_some() && calls.take(id).is_none());
        }
        assert_eq!(calls.only().err(), Some(0));
    }

    #[test]
    fn of_one_client_the_newest_call_is_asked() {
        let gone = CancellationToken::new();
        let client = Introduction::new(None, Abilities::new(None), gone);
        let calls = Calls::new(Some(Arc::new(client)));
        assert!(calls.ask(&request()).is_err());
        let _first = calls.enter(1, true);
        let second = calls.enter(2, true);
        calls.ask(&request()).unwrap();
        assert!(Arc::ptr_eq(&calls.only().unwrap(), &second));
    }

    #[test]
    fn what_is_taken_back_finds_the_call_that_was_asked() {
        let calls = Calls::new(None);
        let asked = calls.enter(2, true);
        calls.ask(&request()).unwrap();
        calls.enter(3, true);
        let cancelled = Message::notification("notifications/cancelled", r#"{"requestId":"e1"}"#);
        let found = calls.taking_back(&cancelled).unwrap();
        assert!(Arc::ptr_eq(&found, &asked));
        assert!(calls.taking_back(&cancelled).is_none());
    }
}
