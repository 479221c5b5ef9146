//! Which resources a modern backend is asked to tell the updates of, and which
//! of them it grants. The stream that says so is kept elsewhere.

use std::collections::{BTreeSet, HashSet};

use tokio::sync::watch;

/// A state of the wishes: its number, and the URIs.
pub(super) type Wanted = (u64, BTreeSet<String>);

/// What the backend made of the wishes.
#[derive(Debug, Default)]
struct Granted {
    /// The last state of the wishes that it answered.
    number: u64,
    /// What it grants of them; all if it does not say.
    uris: Option<HashSet<String>>,
    /// It offers no subscriptions.
    refused: bool,
}

/// The wishes to one connection.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wanted: watch::Sender<Wanted>,
    granted: watch::Sender<Granted>,
}

impl Wishes {
    /// Follows what is wanted.
    pub(super) fn follow(&self) -> watch::Receiver<Wanted> {
        self.wanted.subscribe()
    }

    /// Wants the updates of `uri`; says whether the backend grants that.
    pub(super) async fn add(&self, uri: &str) -> bool {
        let mut granted = self.granted.subscribe();
        let mut number = 0;
        self.wanted.send_modify(|(count, uris)| {
            uris.insert(uri.to_owned());
            *count += 1;
            number = *count;
        });
        let answered = granted.wait_for(|granted| granted.refused || granted.number >= number);
        answered.await.is_ok_and(|granted| {
            let all = granted.uris.as_ref();
            !granted.refused && all.is_none_or(|uris| uris.contains(uri))
        })
    }

    /// No longer wants the updates of `uri`.
    pub(super) fn remove(&self, uri: &str) {
        self.wanted.send_if_modified(|(count, uris)| {
            let wanted = uris.remove(uri);
            *count += u64::from(wanted);
            wanted
        });
    }

    /// The backend has answered the wishes of `number` by granting `uris`.
    pub(super) fn grant(&self, number: u64, uris: Option<HashSet<String>>) {
        self.granted.send_replace(Granted {
            number,
            uris,
            refused: false,
        });
    }

    /// The backend offers no subscriptions.
    pub(super) fn refuse(&self) {
        self.granted.send_modify(|granted| granted.refused = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_is_answered_with_what_is_granted() {
        let wishes = Wishes::default();
        let mut wanted = wishes.follow();
        let keeper = async {
            // The answer to an older state of the wishes is none to a newer one.
            wanted.wait_for(|(_, uris)| uris.len() == 2).await.unwrap();
            wishes.grant(1, None);
            wishes.grant(2, Some(HashSet::from(["a".to_owned()])));
        };
        let (first, second, ()) = tokio::join!(wishes.add("a"), wishes.add("b"), keeper);
        assert!(first && !second);
        wishes.remove("b");
        assert_eq!(wanted.borrow().1, BTreeSet::from(["a".to_owned()]));
        wishes.refuse();
        assert!(!wishes.add("c").await);
    }
}
