//! A client as backends get to know it.

use std::{
    fmt,
    sync::{
        OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::unasked;
use crate::protocol::{Abilities, Message, Revision, meta};

/// The way to a client outside of its calls: the stream of its session.
pub(crate) trait Aside: fmt::Debug + Send + Sync {
    /// Tells it something.
    fn tell(&self, notification: &Message);

    /// Asks it something; its response, or why there is none, is given to
    /// `answer` and carries the request's own id.
    fn ask(&self, request: &Message, answer: Answer);
}

/// What takes a client's response to its backend.
pub(crate) type Answer = Box<dyn FnOnce(Message) + Send>;

/// What a client says of itself, and how long it stays.
#[derive(Debug)]
pub struct Introduction {
    /// Tells it from every other client.
    pub(crate) number: u64,
    /// What it is (an `Implementation`, JSON text), if it said.
    pub(crate) info: Option<Box<RawValue>>,
    /// What it can be asked.
    pub(crate) abilities: Abilities,
    /// The client has gone.
    pub(crate) gone: CancellationToken,
    aside: OnceLock<Weak<dyn Aside>>,
}

impl Introduction {
    /// Of a client that is there until `gone`.
    pub(crate) fn new(
        info: Option<Box<RawValue>>,
        abilities: Abilities,
        gone: CancellationToken,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            info,
            abilities,
            gone,
            aside: OnceLock::new(),
        }
    }

    /// The client can be reached outside of its calls by `aside`.
    pub(crate) fn reached_by(&self, aside: Weak<dyn Aside>) {
        // It has one session, whose stream this is.
        let _ = self.aside.set(aside);
    }

    /// Tells the client something outside of its calls, if it can be reached.
    pub(crate) fn tell(&self, notification: &Message) {
        if let Some(aside) = self.aside.get().and_then(Weak::upgrade) {
            aside.tell(notification);
        }
    }

    /// Asks the client something outside of its calls; one that cannot be asked
    /// is answered for.
    pub(super) fn ask_or_refuse(&self, request: &Message, answer: Answer) {
        let refused = |why| unasked::refuse(request, why);
        match self.aside.get().and_then(Weak::upgrade) {
            Some(aside) => aside.ask(request, answer),
            None => answer(refused(
                "no call is in flight, and the client has no session",
            )),
        }
    }

    /// The parameters of an `initialize` in the name of `client`, or of all
    /// clients if there is none.
    pub(super) fn initialize(client: Option<&Self>, revision: Revision) -> Value {
        let abilities = client.map_or(Abilities::SHARED, |client| client.abilities.as_str());
        let abilities: Value = serde_json::from_str(abilities).unwrap_or_default();
        let info = client
            .and_then(|client| client.info.as_deref())
            .and_then(|info| serde_json::from_str(info.get()).ok())
            .unwrap_or_else(meta::implementation);
        json!({
            "protocolVersion": revision.as_str(),
            "capabilities": abilities,
            "clientInfo": info,
        })
    }
}
