//! Who is subscribed to which resource, and what the backends know of it:
//! bounded, and without any I/O. Whoever changes it asks for the next
//! [`Step`] and takes it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use tokio::sync::oneshot;

use super::Sink;
use crate::backend::Refused;

/// The most subscriptions of one client.
pub(super) const MAX_OF_CLIENT: usize = 1024;

/// The most subscriptions of all clients.
const MAX: usize = 100_000;

/// The longest URI that can be subscribed to, in bytes.
const MAX_URI: usize = 8 * 1024;

/// What names a session with a backend.
pub(super) type Session = (u64, u64);

/// The session with a backend in which an earlier run of mcpmux was subscribed.
const FORMER: Session = (u64::MAX, u64::MAX);

/// What became of a wish to subscribe.
pub(super) type Outcome = Result<(), Refused>;

/// A resource at its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The owner's name, whichever backend has it.
    pub(super) backend: Arc<str>,
    pub(super) uri: Arc<str>,
}

/// A client as a subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(super) client: u64,
    /// The role of the client.
    pub(super) role: Arc<str>,
    pub(super) sink: Weak<dyn Sink>,
}

/// What stands before a URI where the client knows it under another one.
pub(super) type Alias = Arc<str>;

/// What is to be done about a resource at its backend.
#[derive(Debug)]
pub(super) enum Step {
    /// To subscribe.
    Subscribe,
    /// To unsubscribe.
    Unsubscribe,
    /// Nothing more. These wait to be told, and whether it is subscribed to.
    Rest(Vec<oneshot::Sender<Outcome>>, bool),
}

/// Why a subscription is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::mux) enum Full {
    #[error("a client may have {MAX_OF_CLIENT} subscriptions")]
    Client,
    #[error("all clients together may have {MAX} subscriptions")]
    All,
    #[error("the URI is longer than {MAX_URI} bytes")]
    Uri,
}

/// One resource that somebody is, or was just, subscribed to.
#[derive(Debug, Default)]
struct Topic {
    subscribers: Vec<(Subscriber, Alias)>,
    /// The session in which the backend knows of it.
    made: Option<Session>,
    /// The session in which that was last tried.
    tried: Option<Session>,
    /// Somebody takes its steps.
    busy: bool,
    /// Who wants to hear what becomes of it.
    waiting: Vec<oneshot::Sender<Outcome>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By backend, then by URI.
    topics: HashMap<Arc<str>, HashMap<Arc<str>, Topic>>,
    /// What each client is subscribed to, and as what it knows it.
    held: HashMap<u64, HashSet<(Place, Alias)>>,
    count: usize,
}

impl Table {
    /// Counts `subscriber` in; `false` if it was already.
    pub(super) fn join(
        &mut self,
        place: &Place,
        alias: &Alias,
        subscriber: &Subscriber,
    ) -> Result<bool, Full> {
        let held = self.held.get(&subscriber.client);
        if held.is_some_and(|held| held.contains(&(place.clone(), alias.clone()))) {
            return Ok(false);
        }
        if held.map_or(0, HashSet::len) >= MAX_OF_CLIENT {
            return Err(Full::Client);
        }
        if self.count >= MAX {
            return Err(Full::All);
        }
        if place.uri.len() + alias.len() > MAX_URI {
            return Err(Full::Uri);
        }
        self.held
            .entry(subscriber.client)
            .or_default()
            .insert((place.clone(), alias.clone()));
        self.count += 1;
        self.topics
            .entry(Arc::clone(&place.backend))
            .or_default()
            .entry(Arc::clone(&place.uri))
            .or_default()
            .subscribers
            .push((subscriber.clone(), alias.clone()));
        Ok(true)
    }

    /// Counts `subscriber` in, who was subscribed in an earlier run: what
    /// happened since was not said.
    pub(super) fn rejoin(
        &mut self,
        place: &Place,
        alias: &Alias,
        subscriber: &Subscriber,
    ) -> Result<bool, Full> {
        let new = self.join(place, alias, subscriber)?;
        if let Some(topic) = self.topic(place) {
            topic.made.get_or_insert(FORMER);
        }
        Ok(new)
    }

    /// Counts `client` out; `false` if it was not in.
    pub(super) fn leave(&mut self, place: &Place, alias: &Alias, client: u64) -> bool {
        let Some(held) = self.held.get_mut(&client) else {
            return false;
        };
        if !held.remove(&(place.clone(), alias.clone())) {
            return false;
        }
        if held.is_empty() {
            self.held.remove(&client);
        }
        self.count -= 1;
        if let Some(topic) = self.topic(place) {
            topic
                .subscribers
                .retain(|(subscriber, known)| subscriber.client != client || known != alias);
        }
        true
    }

    /// What `client` is subscribed to.
    pub(super) fn of(&self, client: u64) -> Vec<(Place, Alias)> {
        let held = self.held.get(&client);
        held.map(|held| held.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether `place` is in step with its backend's `session`: with
    /// subscribers if and only if the backend knows of it. If it is not, and
    /// nobody takes its steps, the caller must (`Some(true)`).
    pub(super) fn claim(&mut self, place: &Place, session: Option<Session>) -> Option<bool> {
        let topic = self.topic(place)?;
        let known = session.is_some() && topic.made == session;
        if topic.busy || known == topic.subscribers.is_empty() {
            return Some(!std::mem::replace(&mut topic.busy, true));
        }
        if topic.subscribers.is_empty() {
            self.forget(place);
        }
        None
    }

    /// Has `teller` told what becomes of `place`, whose steps somebody takes.
    pub(super) fn wait(&mut self, place: &Place, teller: oneshot::Sender<Outcome>) {
        if let Some(topic) = self.topic(place) {
            topic.waiting.push(teller);
        }
    }

    /// The next step for `place` in its backend's `session`, if it has one.
    /// With [`Step::Rest`] the place is free for whoever claims it next.
    pub(super) fn step(&mut self, place: &Place, session: Option<Session>) -> Step {
        let Some(topic) = self.topic(place) else {
            return Step::Rest(Vec::new(), false);
        };
        let wanted = !topic.subscribers.is_empty();
        let known = session.is_some() && topic.made == session;
        let untried = topic.tried != session || !topic.waiting.is_empty();
        if session.is_some() && wanted && !known && untried {
            topic.tried = session;
            return Step::Subscribe;
        }
        if !wanted && known {
            return Step::Unsubscribe;
        }
        topic.busy = false;
        let waiting = std::mem::take(&mut topic.waiting);
        if !wanted {
            self.forget(place);
        }
        Step::Rest(waiting, known)
    }

    /// The backend has answered [`Step::Subscribe`]. Gives who waits to be
    /// told, and whether it knew of the resource in an earlier session.
    pub(super) fn subscribed(
        &mut self,
        place: &Place,
        session: Option<Session>,
        done: bool,
    ) -> (Vec<oneshot::Sender<Outcome>>, bool) {
        let Some(topic) = self.topic(place) else {
            return (Vec::new(), false);
        };
        let before = if done {
            std::mem::replace(&mut topic.made, session)
        } else {
            None
        };
        (std::mem::take(&mut topic.waiting), before.is_some())
    }

    /// The backend has answered [`Step::Unsubscribe`].
    pub(super) fn unsubscribed(&mut self, place: &Place) {
        if let Some(topic) = self.topic(place) {
            (topic.made, topic.tried) = (None, None);
        }
    }

    /// The resources of `backend` that somebody is subscribed to.
    pub(super) fn at(&self, backend: &str) -> Vec<Place> {
        let topics = self.topics.get(backend).into_iter().flatten();
        let wanted = topics.filter(|(_, topic)| !topic.subscribers.is_empty());
        wanted
            .map(|(uri, _)| Place {
                backend: backend.into(),
                uri: Arc::clone(uri),
            })
            .collect()
    }

    /// What is held by clients that `may` not hold it: the client, and what it holds.
    pub(super) fn beyond(
        &self,
        may: impl Fn(&str, &str, &str) -> bool,
    ) -> Vec<(u64, Place, Alias)> {
        let topics = self.topics.iter().flat_map(|(backend, topics)| {
            topics.iter().map(move |(uri, topic)| (backend, uri, topic))
        });
        let held = topics.flat_map(|(backend, uri, topic)| {
            let subscribers = topic.subscribers.iter();
            subscribers.map(move |(subscriber, alias)| (backend, uri, subscriber, alias))
        });
        held.filter(|(backend, uri, subscriber, _)| !may(&subscriber.role, backend, uri))
            .map(|(backend, uri, subscriber, alias)| {
                let place = Place {
                    backend: Arc::clone(backend),
                    uri: Arc::clone(uri),
                };
                (subscriber.client, place, alias.clone())
            })
            .collect()
    }

    /// Who is to be told of an update of `uri` by `backend`: its subscribers,
    /// else those of the nearest resource that it is a part of.
    pub(super) fn subscribers(&self, backend: &str, uri: &str) -> Vec<(Arc<dyn Sink>, Alias)> {
        let Some(topics) = self.topics.get(backend) else {
            return Vec::new();
        };
        let subscribed = |uri: &str| {
            let topic = topics.get(uri)?;
            (!topic.subscribers.is_empty()).then_some(topic)
        };
        let found = subscribed(uri).or_else(|| wholes(uri).find_map(subscribed));
        let subscribers = found.iter().flat_map(|topic| &topic.subscribers);
        subscribers
            .filter_map(|(subscriber, alias)| Some((subscriber.sink.upgrade()?, alias.clone())))
            .collect()
    }

    fn forget(&mut self, place: &Place) {
        if let Some(topics) = self.topics.get_mut(&place.backend) {
            topics.remove(&place.uri);
            if topics.is_empty() {
                self.topics.remove(&place.backend);
            }
        }
    }

    fn topic(&mut self, place: &Place) -> Option<&mut Topic> {
        self.topics.get_mut(&place.backend)?.get_mut(&place.uri)
    }
}

/// The URIs of what `uri` may be a part of, nearest first.
fn wholes(uri: &str) -> impl Iterator<Item = &str> {
    let ends = uri.char_indices().rev();
    ends.filter(|(_, c)| matches!(c, '/' | '?' | '#'))
        .flat_map(|(at, c)| {
            let inclusive = (c == '/' && at + 1 < uri.len()).then(|| &uri[..=at]);
            inclusive.into_iter().chain(Some(&uri[..at]))
        })
}

#[cfg(test)]
mod tests;
