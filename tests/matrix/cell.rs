//! One cell: what is expected in it, and whether that is what is seen.

use crate::{
    features::{Bridge, Feature},
    house::{House, Transport},
    revision::Revision,
    scene::Seen,
};

/// A client of one revision and a backend of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    /// The client's.
    pub(crate) client: Revision,
    /// The backend's.
    pub(crate) backend: Revision,
}

/// What is expected.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// What the backend's own clients see, to the byte.
    Same,
    /// What the table of bridges says.
    Bridged(Bridge),
    /// The client is not asked, as its revision has no form for it.
    Unasked,
    /// One of the revisions does not have it.
    Absent,
}

impl Expected {
    /// What is expected of `feature` between these two.
    pub(crate) fn of(feature: &Feature, pair: Pair) -> Self {
        if !feature.is_in(pair.client, pair.backend) {
            Self::Absent
        } else if pair.client < feature.asked_since {
            Self::Unasked
        } else {
            match (pair.client.is_modern(), pair.backend.is_modern()) {
                (false, true) => Self::Bridged(feature.down),
                (true, false) => Self::Bridged(feature.up),
                _ => Self::Same,
            }
        }
    }

    /// Its sign in the table.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Same => '=',
            Self::Bridged(_) => '~',
            Self::Unasked => 'x',
            Self::Absent => '.',
        }
    }
}

/// Looks at one cell. Error: what differs.
pub(crate) fn check(
    house: &House,
    feature: &Feature,
    pair: Pair,
    transport: Transport,
) -> Result<(), String> {
    let expected = Expected::of(feature, pair);
    let seen = house.through(
        feature.place,
        pair.client,
        (transport, pair.backend),
        feature.act,
    );
    let direct = |revision| house.direct(feature.name, revision, feature.act);
    match expected {
        Expected::Same if feature.retold => {
            compare(&unordered(&direct(pair.backend)), &unordered(&seen))
        }
        Expected::Same => compare(&direct(pair.backend), &seen),
        Expected::Bridged(Bridge::Alike(_)) => {
            // Where the client's revision has no such thing, a later one's form.
            let reference = if pair.client.is_modern() {
                pair.client
            } else {
                let first = feature.backends.0.min(Revision::V2025_11_25);
                pair.client.max(first)
            };
            compare(&unordered(&direct(reference)), &unordered(&seen))
        }
        Expected::Bridged(Bridge::Instead(_, lines)) => {
            let lines: Vec<_> = lines
                .iter()
                .map(|(what, text)| Seen {
                    what,
                    text: (*text).to_owned(),
                })
                .collect();
            compare(&lines, &seen)
        }
        Expected::Unasked => {
            let all = |what| seen.iter().filter(move |seen| seen.what == what);
            if let Some(asked) = all("asked").next() {
                return Err(format!("the client is asked: {}", asked.text));
            }
            // One that can tell from the call's `_meta` is not told again.
            let refused = !pair.backend.is_modern();
            let codes: Vec<_> = all("refused").map(|seen| seen.text.as_str()).collect();
            if codes != vec!["-32601"; usize::from(refused)] {
                return Err(format!("the backend is refused with {codes:?}"));
            }
            Ok(())
        }
        Expected::Bridged(Bridge::Absent) | Expected::Absent => Ok(()),
    }
}

fn unordered(seen: &[Seen]) -> Vec<Seen> {
    seen.iter().map(Seen::unordered).collect()
}

fn compare(expected: &[Seen], seen: &[Seen]) -> Result<(), String> {
    if expected == seen {
        return Ok(());
    }
    let write = |all: &[Seen]| {
        all.iter()
            .map(|seen| format!("  {}: {}", seen.what, seen.text))
            .collect::<Vec<_>>()
            .join("\n")
    };
    Err(format!(
        "expected\n{}\nbut through mcpmux the client sees\n{}",
        write(expected),
        write(seen)
    ))
}
