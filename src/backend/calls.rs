//! The calls that are open on one link, and which of them a message belongs to
//! that names none (a backend's request, a log message): the one call in
//! flight, if there is exactly one. It is never guessed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Introduction, mailbox::Mailbox};
use crate::protocol::{Id, Message, RawObject};

/// Open requests of a backend that are kept track of; a backend that asks
/// more at once is refused.
const MAX_ASKED: usize = 1024;

/// The open calls of one link by their ids.
#[derive(Debug)]
pub(super) struct Calls {
    /// Whose they all are, if they are of one client: then it does not matter
    /// to which of them a message goes.
    whose: Option<Arc<Introduction>>,
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
        Self {
            whose,
            table: Mutex::default(),
        }
    }

    /// The client whose calls all are, if they are of one.
    pub(super) fn whose(&self) -> Option<&Arc<Introduction>> {
        self.whose.as_ref()
    }

    /// Opens a call; `for_client` unless mcpmux makes it on its own account.
    pub(super) fn enter(&self, id: u64, for_client: bool) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(for_client));
        let mut table = self.table();
        table.open.insert(id, Arc::clone(&mailbox));
        table.of_clients += usize::from(for_client);
        mailbox
    }

    /// The call `id`, if it is open.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Mailbox>> {
        self.table().open.get(&id).cloned()
    }

    /// Closes the call `id`; `None` if it was not open any more.
    pub(super) fn take(&self, id: u64) -> Option<Arc<Mailbox>> {
        let mut table = self.table();
        let mailbox = table.open.remove(&id)?;
        table.of_clients -= usize::from(mailbox.is_for_client());
        if !table.asked.is_empty() {
            table.asked.retain(|_, call| *call != id);
        }
        Some(mailbox)
    }

    /// Closes every call.
    pub(super) fn take_all(&self) -> Vec<Arc<Mailbox>> {
        let table = std::mem::take(&mut *self.table());
        table.open.into_values().collect()
    }

    /// The call that a message belongs to which names none: the one in flight,
    /// or the newest if all are of one client. Error: how many there are.
    pub(super) fn only(&self) -> Result<Arc<Mailbox>, usize> {
        let table = self.table();
        let found = self.find(&table).map(|(_, mailbox)| Arc::clone(mailbox));
        found.ok_or(table.of_clients)
    }

    fn find<'t>(&self, table: &'t Table) -> Option<(u64, &'t Arc<Mailbox>)> {
        if table.of_clients == 0 || (table.of_clients > 1 && self.whose.is_none()) {
            return None;
        }
        let mut newest = table.open.iter().rev();
        let (id, mailbox) = newest.find(|(_, mailbox)| mailbox.is_for_client())?;
        Some((*id, mailbox))
    }

    /// Hands a request of the backend, which names no call, to the one it must
    /// belong to. Error: why there is none.
    pub(super) fn ask(&self, request: &Message) -> Result<(), &'static str> {
        const NONE: &str = "no call is in flight here that it could belong to";
        const MANY: &str = "several calls are in flight here, and it says not which of them it belongs to \
                            (session: client gives each client a process or session of its own)";
        let mut table = self.table();
        let found = self.find(&table).map(|(id, call)| (id, Arc::clone(call)));
        let (id, mailbox) = found.ok_or(if table.of_clients == 0 { NONE } else { MANY })?;
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
        let mut table = self.table();
        let call = table.asked.remove(&asked)?;
        table.open.get(&call).cloned()
    }

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
