//! How the requests of one link are marked, which its handshake finds out.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::{
    protocol::{Revision, header as mcp},
    thread,
};

/// How requests are marked.
#[derive(Debug, Clone, Default)]
pub(super) struct Mode {
    /// The revision agreed upon; none before the handshake.
    pub(super) revision: Option<Revision>,
    /// The legacy session, if the server keeps one.
    pub(super) session: Option<HeaderValue>,
    /// The headers that every request then has, but for its credential.
    pub(super) headers: HeaderMap,
    /// Where requests go.
    pub(super) uri: Uri,
}

/// The mode of a link, and copies of it by lane: what a request takes of its mode is
/// counted, and calls of several threads would wait for each other to count.
#[derive(Debug)]
pub(super) struct Modes {
    now: ArcSwap<Mode>,
    /// How often it was another one.
    turns: AtomicU64,
    copies: Box<[ArcSwapOption<Copied>]>,
}

/// A mode that shares nothing counted with the one that it is a copy of, but for headers
/// of the configuration.
#[derive(Debug)]
struct Copied {
    turn: u64,
    mode: Arc<Mode>,
}

impl Modes {
    /// `mode`, with copies for `lanes` lanes.
    pub(super) fn new(mode: Mode, lanes: usize) -> Self {
        Self {
            now: ArcSwap::from_pointee(mode),
            turns: AtomicU64::new(0),
            copies: (0..lanes).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// The mode, to be looked at and not to be kept.
    pub(super) fn now(&self) -> Guard<Arc<Mode>> {
        self.now.load()
    }

    /// The mode for a request of this thread.
    pub(super) fn here(&self) -> Arc<Mode> {
        let turn = self.turns.load(Ordering::Acquire);
        let copy = &self.copies[thread::lane(self.copies.len())];
        if let Some(copied) = &*copy.load()
            && copied.turn == turn
        {
            return Arc::clone(&copied.mode);
        }
        // As of this turn or a later one, which then has it copied once more.
        let mode = Arc::new(self.now.load().apart());
        copy.store(Some(Arc::new(Copied {
            turn,
            mode: Arc::clone(&mode),
        })));
        mode
    }

    /// From now on it is `mode`.
    pub(super) fn turn_to(&self, mode: Mode) {
        self.now.store(Arc::new(mode));
        self.turns.fetch_add(1, Ordering::AcqRel);
    }
}

impl Mode {
    /// The same in memory of its own. Most headers are the program's, which nobody counts.
    fn apart(&self) -> Self {
        let mut headers = self.headers.clone();
        for name in [header::HOST, mcp::SESSION_ID] {
            // What was a value is one.
            if let Some(value) = headers.get_mut(name)
                && let Ok(own) = HeaderValue::from_bytes(value.as_bytes())
            {
                *value = own;
            }
        }
        Self {
            revision: self.revision,
            session: headers.get(mcp::SESSION_ID).cloned(),
            headers,
            uri: (self.uri.to_string().parse()).unwrap_or_else(|_| self.uri.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(session: &'static str) -> Mode {
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.append("x-several", HeaderValue::from_static("a"));
        headers.append("x-several", secret);
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:1"));
        headers.insert(mcp::SESSION_ID, HeaderValue::from_static(session));
        Mode {
            revision: Some(Revision::NEWEST_LEGACY),
            session: Some(HeaderValue::from_static(session)),
            headers,
            uri: Uri::from_static("http://127.0.0.1:1/mcp?a=b%20c"),
        }
    }

    #[test]
    fn each_thread_has_a_copy_of_the_mode_as_it_is() {
        let modes = Modes::new(mode("first"), 3);
        for session in ["first", "second"] {
            modes.turn_to(mode(session));
            let looks = || {
                let here = modes.here();
                assert!(Arc::ptr_eq(&here, &modes.here()));
                here
            };
            let here = looks();
            std::thread::scope(|scope| {
                let there = scope.spawn(looks).join().unwrap();
                assert!(!Arc::ptr_eq(&there, &here));
                for copy in [there, here] {
                    let now = modes.now();
                    assert_eq!(copy.session.as_ref().unwrap(), session);
                    assert_eq!(format!("{copy:?}"), format!("{now:?}"));
                }
            });
        }
    }
}
