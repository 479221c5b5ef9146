//! Subscriptions that outlive this process: what a client holds, in words that
//! the next run understands, and how it holds it again there.

use serde::{Deserialize, Serialize};

use super::{Place, Subscriber, Watcher};
use crate::{
    config::{Start, Thing},
    mux::Mux,
};

/// One subscription of a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The backend's name.
    backend: String,
    /// The resource, as the backend names it.
    uri: String,
    /// What stands before that where the client knows it under another one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    alias: String,
}

impl Watcher {
    /// What the client is subscribed to, in an order of its own.
    pub(crate) fn held(&self) -> Vec<Held> {
        let held = self.watching.table().of(self.client);
        let held = held.into_iter().map(|(place, alias)| Held {
            backend: place.backend.to_string(),
            uri: place.uri.to_string(),
            alias: alias.to_string(),
        });
        let mut held: Vec<_> = held.collect();
        held.sort();
        held
    }

    /// Subscribes the client again to what it held in an earlier run. Its
    /// backend is asked once it is up; what is no longer there is left out.
    pub(crate) fn hold_again(&self, subscriber: &Subscriber, held: &Held) {
        let watching = &self.watching;
        if watching.roster.named(&held.backend).is_none() {
            return;
        }
        let place = Place {
            backend: held.backend.as_str().into(),
            uri: held.uri.as_str().into(),
        };
        let alias = held.alias.as_str().into();
        let new = watching.table().rejoin(&place, &alias, subscriber);
        // A session that begins after this subscribes by itself.
        if matches!(new, Ok(true)) && watching.session(&place.backend).is_some() {
            watching.drive(&place);
        }
    }
}

impl Mux {
    /// Whether who has `role` may be told of what is `held`.
    pub(crate) fn may_hold(&self, role: &str, held: &Held) -> bool {
        let view = self.view(role);
        view.may(Thing::Resource, &held.backend, &held.uri)
    }

    /// Has the backends started that rest though somebody is subscribed there,
    /// as is so after subscriptions of an earlier run were taken in.
    ///
    /// Must be called within a Tokio runtime.
    pub(crate) fn wake_watched(&self) {
        for backend in self.backends().iter() {
            let settings = backend.settings();
            let watched = !self.watching.table().at(backend.name()).is_empty();
            if watched && settings.start == Start::Lazy {
                let (backend, patience) = (backend.clone(), settings.timeout);
                // What becomes of it is told by its state.
                tokio::spawn(async move { backend.connection(patience).await.map(drop) });
            }
        }
    }
}
