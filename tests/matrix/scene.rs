//! One client before one backend, directly or through mcpmux, and what is seen
//! of their talk, in words that are the same either way.

use std::cell::RefCell;

use crate::{
    revision::Revision,
    support::{Answer, Client, Event, Peer, at, eventually, member, members, text},
};

/// Where the talk takes place.
pub(crate) struct Scene<'a> {
    /// The client.
    pub(crate) client: Client,
    /// Its revision.
    pub(crate) revision: Revision,
    /// The backend.
    pub(crate) peer: &'a Peer,
    /// Its revision.
    pub(crate) backend: Revision,
    /// What stands before its names.
    pub(crate) prefix: String,
    /// The authority of its resources.
    pub(crate) authority: String,
    /// What was seen so far.
    pub(crate) seen: RefCell<Vec<Seen>>,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it is.
    pub(crate) what: &'static str,
    /// Its text, mostly JSON.
    pub(crate) text: String,
}

impl Scene<'_> {
    /// The name of a tool or prompt as the client has it.
    pub(crate) fn name(&self, own: &str) -> String {
        format!("{}{own}", self.prefix)
    }

    /// The URI of a resource.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("test://{}/{path}", self.authority)
    }

    /// Notes what was seen, with names and URIs as the backend has them.
    pub(crate) fn see(&self, what: &'static str, text: &str) {
        let mut text = text.replace(&format!("//{}/", self.authority), "//peer/");
        if what == "told" {
            // Each client has a resource of its own to watch.
            text = text.replace(&format!("watched-{}", self.revision), "watched");
        }
        if !self.prefix.is_empty() {
            text = text.replace(&format!("\"{}", self.prefix), "\"");
        }
        self.seen.borrow_mut().push(Seen { what, text });
    }

    /// Notes all that an answer brought.
    pub(crate) fn see_answer(&self, answer: &Answer) {
        for message in &answer.before {
            self.see("before", message);
        }
        self.see("response", &answer.response);
    }

    /// Sends a request and notes the answer.
    pub(crate) fn request(&self, method: &str, members: &str) {
        self.see_answer(&self.client.request(method, members));
    }

    /// Spells a call of one of the backend's tools.
    pub(crate) fn call(&self, tool: &str, token: Option<&str>, further: &str) -> String {
        let name = self.name(tool);
        let members = format!(r#""name":"{name}"{further}"#);
        self.client
            .spell(&self.client.id(), "tools/call", token, &members)
    }

    /// The messages that came to the backend so far, responses as well.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.peer.events().iter().filter_map(message).collect()
    }

    /// Waits for a message to the backend, the first after the `skipped` ones.
    #[track_caller]
    pub(crate) fn hears(&self, what: &str, skipped: usize, is_it: impl Fn(&str) -> bool) -> String {
        self.peer.wait(what, |events| {
            let mut later = events.iter().filter_map(message).skip(skipped);
            later.find(|message| is_it(message))
        })
    }

    /// Waits until the backend passes on what it is made to say.
    pub(crate) fn speaks(&self) {
        let (key, http) = if self.backend.is_modern() {
            ("subscriptions/listen", false)
        } else {
            ("GET", true)
        };
        if http && !self.peer.listens() {
            return;
        }
        eventually("a stream of the backend's own", || {
            let events = self.peer.events();
            let relays = events.iter();
            let relays = relays.filter(|event| matches!(event, Event::Relaying(k) if k == key));
            let asked = events.iter().filter(|event| match event {
                Event::Request(request) if http => request.method == key,
                event => message(event).is_some_and(|message| is(&message, key)),
            });
            let (relays, asked) = (relays.count(), asked.count());
            (relays > 0 && relays >= asked).then_some(())
        });
    }
}

/// The message in an event.
fn message(event: &Event) -> Option<String> {
    let message = match event {
        Event::Message(message) => message,
        Event::Request(request) => &request.body,
        _ => return None,
    };
    message.starts_with('{').then(|| message.clone())
}

/// Whether a message has this method.
pub(crate) fn is(message: &str, method: &str) -> bool {
    member(message, "method").is_some_and(|own| text(&own) == method)
}

/// Whether a message is a call of this tool.
pub(crate) fn calls(message: &str, tool: &str) -> bool {
    is(message, "tools/call") && text(&at(message, &["params", "name"])) == tool
}

impl Seen {
    /// The same without regard to the order of those members that a bridge may
    /// add, and to empty parameters.
    pub(crate) fn unordered(&self) -> Self {
        let text = if self.text.starts_with('{') {
            unordered(&self.text, 2)
        } else {
            self.text.clone()
        };
        Self {
            what: self.what,
            text,
        }
    }
}

fn unordered(object: &str, depth: usize) -> String {
    let mut members = members(object);
    members.retain(|(key, value)| key != "params" || value != "{}");
    members.sort();
    let inner = |(key, value): (String, String)| {
        let value = if depth > 0 && value.starts_with('{') {
            unordered(&value, depth - 1)
        } else {
            value
        };
        format!("{key:?}:{value}")
    };
    let members: Vec<_> = members.into_iter().map(inner).collect();
    format!("{{{}}}", members.join(","))
}
