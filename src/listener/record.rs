//! What of a legacy session outlives this process, and the session that becomes
//! of it in the next one. Where it is kept is not decided here.
//!
//! A session's id lets in who knows it, so records are not shown anywhere.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{session::Session, sessions::Sessions};
use crate::{
    access::role_in,
    mux::{Changed, Held, Mux},
    protocol::{Abilities, Era, Level, Revision},
};

/// The most bytes of one record; a session that has more to say is not kept.
const MAX: usize = 256 * 1024;

/// One session, in one line of JSON.
#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    owner: String,
    revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    info: Option<Box<RawValue>>,
    abilities: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    /// The lists of whose change the client was not told.
    #[serde(default)]
    untold: Changed,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<Held>,
    /// Seconds after 1970.
    used: u64,
}

/// The records of all `sessions`, those used last first, as many as `limit`
/// bytes hold. Takes a while where there are many.
pub(super) fn write(sessions: &Sessions, mux: &Mux, limit: usize) -> Vec<u8> {
    let mut all = sessions.all();
    all.sort_unstable_by_key(|(.., unused)| *unused);
    let seconds = seconds();
    let mut text = Vec::new();
    for (id, session, unused) in all {
        let Ok(abilities) =
            RawValue::from_string(session.introduction.abilities.as_str().to_owned())
        else {
            continue;
        };
        let record = Record {
            id,
            owner: session.owner.clone(),
            revision: session.revision.as_str().to_owned(),
            info: session.introduction.info.clone(),
            abilities,
            level: session.level().map(|level| level.as_str().to_owned()),
            untold: mux.versions(session.role()).since(session.seen()),
            held: session.held(),
            used: seconds.saturating_sub(unused.as_secs()),
        };
        let Ok(line) = serde_json::to_vec(&record) else {
            continue;
        };
        if line.len() > MAX {
            continue;
        }
        if text.len() + line.len() >= limit {
            break;
        }
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    text
}

/// Takes the sessions of `records` in; gives how many there are. What cannot be
/// read is left out: its client begins anew.
pub(super) fn read(records: &[u8], sessions: &Sessions, mux: &Arc<Mux>) -> usize {
    let seconds = seconds();
    // No run counts as fast as this clock goes.
    let number = since_epoch()
        .as_micros()
        .try_into()
        .unwrap_or(u64::MAX >> 11);
    for line in records.split(|byte| *byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<Record>(line) else {
            continue;
        };
        let revision = Revision::parse(&record.revision);
        let Some(revision) = revision.filter(|revision| revision.era() == Era::Legacy) else {
            continue;
        };
        let role = role_in(&record.owner).to_owned();
        let session = Session::begun_before(
            number,
            record.owner,
            revision,
            record.info,
            Abilities::new(Some(record.abilities.get())),
            mux.versions(&role).before(record.untold),
            mux.watcher(),
        );
        if let Some(level) = record.level.as_deref().and_then(Level::parse) {
            session.set_level(level);
        }
        let held = record.held.iter();
        session.hold_again(held.filter(|held| mux.may_hold(&role, held)));
        let unused = Duration::from_secs(seconds.saturating_sub(record.used));
        sessions.take_in(record.id, session, unused);
    }
    mux.wake_watched();
    sessions.all().len()
}

fn seconds() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        config::{Config, Environment},
        credential::Logins,
        mux::Versions,
    };

    const OWNER: &str = "key:me";
    const MANY: usize = 10_000;
    const INFO: &str = r#"{"name":"a-client","version":"1.2.3","title":"A client \u0041"}"#;
    const ABILITIES: &str = r#"{"roots":{"listChanged":true},"sampling":{ },"x":1.0}"#;

    fn mux() -> Arc<Mux> {
        let config = Config::parse("backends: []", "test", &Environment::default()).unwrap();
        Mux::start(&config, &Logins::unattended(&config))
    }

    fn session(mux: &Arc<Mux>) -> Arc<Session> {
        let session = Session::new(
            OWNER.to_owned(),
            Revision::V2025_06_18,
            Some(RawValue::from_string(INFO.to_owned()).unwrap()),
            Abilities::new(Some(ABILITIES)),
            Versions::default(),
            mux.watcher(),
        );
        session.set_level(Level::Error);
        session
    }

    #[tokio::test]
    async fn ten_thousand_sessions_go_on_as_they_were_and_soon() {
        let mux = mux();
        let before = Sessions::new();
        for _ in 0..MANY {
            before.open(session(&mux)).unwrap();
        }
        let begun = Instant::now();
        let records = write(&before, &mux, usize::MAX);
        let after = Sessions::new();
        assert_eq!(read(&records, &after, &mux), MANY);
        // Hundreds of times what it takes; it is what clients wait for.
        assert!(begun.elapsed() < Duration::from_secs(20));
        for (id, ..) in before.all().into_iter().take(10) {
            let session = after.get(&id, OWNER).unwrap();
            assert_eq!(session.revision, Revision::V2025_06_18);
            assert_eq!(session.level(), Some(Level::Error));
            let client = &session.introduction;
            assert_eq!(client.info.as_ref().unwrap().get(), INFO);
            assert_eq!(client.abilities.as_str(), ABILITIES);
        }
    }

    #[tokio::test]
    async fn those_used_last_are_kept_where_there_is_no_room_for_all() {
        let mux = mux();
        let before = Sessions::new();
        for hours in 0..20_u64 {
            let unused = Duration::from_secs(hours * 3600);
            before.take_in(hours.to_string(), session(&mux), unused);
        }
        let all = write(&before, &mux, usize::MAX);
        let half = write(&before, &mux, all.len() / 2);
        let after = Sessions::new();
        let kept = read(&half, &after, &mux);
        assert!((8..=10).contains(&kept), "{kept}");
        assert!(after.get("0", OWNER).is_some() && after.get("19", OWNER).is_none());
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_costs_no_other() {
        let mux = mux();
        let before = Sessions::new();
        before.take_in("a".to_owned(), session(&mux), Duration::ZERO);
        let good = write(&before, &mux, usize::MAX);
        let modern = String::from_utf8(good.clone())
            .unwrap()
            .replace("2025-06-18", "2026-07-28");
        let records = [modern.as_bytes(), b"{\"id\":1}\n\n", &good].concat();
        let after = Sessions::new();
        assert_eq!(read(&records, &after, &mux), 1);
    }
}
