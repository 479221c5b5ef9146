//! Whom a notification is for that a shared backend sends outside of any call and
//! that names what a client has begun: a task, or the visit of a URL.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::{
    backend::Introduction,
    protocol::{Message, RawObject, method},
};

/// The most ids that are remembered; beyond, the oldest is forgotten.
const MAX: usize = 10_000;

/// Legacy clients by the ids of what they have begun.
#[derive(Debug, Default)]
pub(super) struct Addressees(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    clients: HashMap<Box<str>, Weak<Introduction>>,
    /// The oldest first.
    order: VecDeque<Box<str>>,
}

impl Addressees {
    /// What is told of `id` is for `client`.
    pub(super) fn note(&self, id: &str, client: &Arc<Introduction>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.clients.insert(id.into(), Arc::downgrade(client));
        if known.is_none() {
            table.order.push_back(id.into());
        }
        while table.order.len() > MAX {
            if let Some(oldest) = table.order.pop_front() {
                table.clients.remove(&oldest);
            }
        }
    }

    /// Hands `notification` to whom it is for, if that is known.
    pub(super) fn tell(&self, notification: &Message) {
        let client = named(notification).and_then(|id| {
            let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.clients.get(id.as_str())?.upgrade()
        });
        if let Some(client) = client {
            client.tell(notification);
        }
    }
}

/// The id of what `notification` tells of.
fn named(notification: &Message) -> Option<String> {
    let key = match notification.method()? {
        method::TASK_STATUS => "taskId",
        method::ELICITED => "elicitationId",
        _ => return None,
    };
    let params = RawObject::parse(notification.payload()?).ok()?;
    Some(params.get_str(key).ok()??.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_read_by_what_it_tells_of() {
        let named = |method, params| named(&Message::notification(method, params));
        assert_eq!(
            named(method::TASK_STATUS, r#"{"taskId":"a","elicitationId":"b"}"#).as_deref(),
            Some("a")
        );
        assert_eq!(
            named(method::ELICITED, r#"{"elicitationId":"b"}"#).as_deref(),
            Some("b")
        );
        assert_eq!(named("notifications/message", r#"{"taskId":"a"}"#), None);
    }
}
