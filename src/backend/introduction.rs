//! A client as backends get to know it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json, value::RawValue};
use tokio_util::sync::CancellationToken;

use crate::protocol::{Abilities, Revision, meta};

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
