//! What a modern backend is asked to say unasked (2026-07-28,
//! `basic/patterns/subscriptions`): one `subscriptions/listen`, opened again
//! whenever it ends, and opened anew before the old one is closed when other
//! resources are wanted.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use super::{BackendError, Connection, Unasked, hearing::AbortOnDrop};
use crate::protocol::{
    Id, Kind, Message, RawObject, header as mcp, meta, method,
    raw::{decode_str, elements},
};

/// The pause before a stream is opened again, doubled while it keeps ending
/// without having been acknowledged.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long wishes are gathered before a stream is opened for them.
const COALESCE: Duration = Duration::from_millis(10);

/// How long the acknowledgement may take; then it counts as given.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is told of a stream, by its number.
enum Told {
    /// The backend grants these resources; all that were asked for if `None`.
    Acknowledged(u64, Option<HashSet<String>>),
    /// It has ended.
    Ended(u64),
    /// The backend offers no such stream.
    NotOffered(u64),
}

/// A stream that is read by a task of its own until it is dropped.
struct Stream {
    number: u64,
    /// The number of the wishes that it was opened with.
    wishes: u64,
    _task: AbortOnDrop,
}

/// Listens until aborted.
pub(super) async fn keep(connection: Arc<Connection>) {
    let (teller, mut told) = mpsc::channel(4);
    let mut wanted = connection.wishes.follow();
    // Of streams that overlap the newest acknowledged one is listened to.
    let newest = Arc::new(AtomicU64::new(0));
    let mut open: Option<Stream> = None;
    let mut next: Option<Stream> = None;
    let mut number = 0;
    let mut pause = PAUSE;
    // When to open a stream; also set while another one is open.
    let mut due = Some(Instant::now());
    let mut missed = false;
    loop {
        tokio::select! {
            () = until(due) => {
                due = None;
                let (wishes, uris) = wanted.borrow_and_update().clone();
                let filter = filter(&connection, &uris);
                if filter.as_object().is_none_or(serde_json::Map::is_empty) {
                    (open, next) = (None, None);
                    connection.wishes.grant(wishes, None);
                    continue;
                }
                number += 1;
                let task = tokio::spawn(read(
                    Arc::clone(&connection),
                    number,
                    filter,
                    teller.clone(),
                    Arc::clone(&newest),
                ));
                next = Some(Stream { number, wishes, _task: AbortOnDrop(task) });
            }
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                due = Some(Instant::now() + COALESCE);
            }
            message = told.recv() => match message {
                Some(Told::Acknowledged(number, uris)) => {
                    if let Some(stream) = next.take_if(|stream| stream.number == number) {
                        connection.wishes.grant(stream.wishes, uris);
                        open = Some(stream);
                        pause = PAUSE;
                        if std::mem::take(&mut missed) {
                            connection.link.ear().missed();
                        }
                    }
                }
                Some(Told::Ended(number)) => {
                    if open.take_if(|stream| stream.number == number).is_some() {
                        missed = true;
                    } else if next.take_if(|stream| stream.number == number).is_none() {
                        continue;
                    }
                    if next.is_none() && due.is_none() {
                        due = Some(Instant::now() + pause);
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
                Some(Told::NotOffered(number)) => {
                    let Some(stream) = next.take_if(|stream| stream.number == number) else {
                        continue;
                    };
                    if open.is_none() {
                        debug!(backend = %connection.backend, "offers no stream of notifications");
                        return connection.wishes.refuse();
                    }
                    connection.wishes.grant(stream.wishes, Some(HashSet::new()));
                }
                None => return,
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What the backend is asked for: what it said that it can tell.
fn filter(connection: &Connection, uris: &BTreeSet<String>) -> Value {
    let mut filter = Value::from(connection.offers.changes());
    if !uris.is_empty() {
        filter["resourceSubscriptions"] = json!(uris);
    }
    filter
}

/// Opens one stream and hands on what it brings, until its end or until a newer
/// one is acknowledged.
async fn read(
    connection: Arc<Connection>,
    number: u64,
    filter: Value,
    teller: mpsc::Sender<Told>,
    newest: Arc<AtomicU64>,
) {
    let link = &connection.link;
    let params = json!({
        "notifications": filter,
        "_meta": meta::own_request(connection.revision),
    });
    let id = link.next_id();
    let request = Message::request(&Id::from(id), method::LISTEN, &params.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(mcp::METHOD, HeaderValue::from_static(method::LISTEN));
    let mut exchange = link.request(id, &request, headers, None);
    let mut acknowledged = false;
    loop {
        let item = if acknowledged {
            exchange.next().await
        } else if let Ok(item) = timeout(PATIENCE, exchange.next()).await {
            item
        } else {
            acknowledged = true;
            newest.fetch_max(number, Ordering::AcqRel);
            let _ = teller.send(Told::Acknowledged(number, None)).await;
            continue;
        };
        let end = match item {
            Some(Ok(message)) => match message.kind() {
                Kind::Response { failed: true, .. } => Told::NotOffered(number),
                Kind::Response { .. } => Told::Ended(number),
                _ => {
                    if message.method() == Some(method::ACKNOWLEDGED) {
                        acknowledged = true;
                        newest.fetch_max(number, Ordering::AcqRel);
                        let granted = granted(&message);
                        let _ = teller.send(Told::Acknowledged(number, granted)).await;
                    }
                    if newest.load(Ordering::Acquire) <= number {
                        link.ear().send(Unasked::Notification(message)).await;
                    }
                    continue;
                }
            },
            Some(Err(BackendError::Status {
                status: 404 | 405, ..
            })) => Told::NotOffered(number),
            Some(Err(error)) => {
                debug!(backend = %connection.backend, "its stream of notifications: {error}");
                Told::Ended(number)
            }
            None => Told::Ended(number),
        };
        let _ = teller.send(end).await;
        return;
    }
}

/// The resources that an acknowledgement grants; `None` if it does not say.
fn granted(acknowledgement: &Message) -> Option<HashSet<String>> {
    let params = RawObject::parse(acknowledgement.payload()?).ok()?;
    let filter = RawObject::parse(params.get("notifications").ok()??).ok()?;
    let Some(uris) = filter.get("resourceSubscriptions").ok()? else {
        return Some(HashSet::new());
    };
    let uris = elements(uris)?.into_iter();
    Some(
        uris.filter_map(|uri| Some(decode_str(uri)?.into_owned()))
            .collect(),
    )
}
