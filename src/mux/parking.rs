//! Calls of modern clients to legacy backends that wait for their clients'
//! answers: kept open, bounded in number and time, until the client comes back
//! with the handle that it was given.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Caller,
    handle::{Sealer, Unsealed, is_handle},
    params,
    relay::Relay,
};
use crate::protocol::{
    Id, Level, Message, RawObject, RpcError,
    error::{INVALID_PARAMS, UNAVAILABLE},
    method,
    raw::encode_str,
};

/// The most calls that may wait at once.
const MAX: usize = 1000;

/// How long a call waits for its client, at most.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The number of a call that is not kept, but made again.
const AGAIN: u64 = 0;

/// The calls that wait.
pub(super) struct Parking {
    sealer: Option<Sealer>,
    next: AtomicU64,
    table: Arc<Mutex<HashMap<u64, Place>>>,
}

/// A call that waits, until its time is over.
struct Place {
    relay: Box<Relay>,
    _ends: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Parking {
    /// With nothing in it.
    pub(super) fn new() -> Self {
        Self {
            sealer: Sealer::new().ok(),
            next: AtomicU64::new(1),
            table: Arc::default(),
        }
    }

    /// Keeps a call whose client must be asked, unless it is to be made again;
    /// gives the `input_required` that asks it.
    pub(super) fn park(&self, mut relay: Box<Relay>) -> Message {
        let refuse = |relay: &Relay, why: &str| {
            Message::failure(Some(&relay.id), &RpcError::new(UNAVAILABLE, why))
        };
        let Some(sealer) = &self.sealer else {
            return refuse(&relay, "the system gives no random numbers");
        };
        let life = relay
            .limit()
            .saturating_duration_since(Instant::now())
            .min(PATIENCE);
        let number = if relay.again {
            AGAIN
        } else {
            self.next.fetch_add(1, Ordering::Relaxed)
        };
        relay.rounds += 1;
        let handle = sealer.seal(number, relay.caller.principal.owner(), &relay.request, life);
        let answer = Message::success(&relay.id, &input_required(&relay.unasked, &handle));
        if relay.again {
            // The backend has asked nothing itself.
            relay.unasked.clear();
            return answer;
        }
        let ends = {
            let table = Arc::downgrade(&self.table);
            async move {
                tokio::time::sleep(life).await;
                if let Some(table) = table.upgrade() {
                    let ended = lock(&table).remove(&number);
                    drop(ended);
                }
            }
        };
        let mut table = lock(&self.table);
        if table.len() >= MAX {
            drop(table);
            return refuse(&relay, "too many calls wait for their clients' answers");
        }
        let ends = AbortOnDrop(tokio::spawn(ends));
        table.insert(number, Place { relay, _ends: ends });
        answer
    }

    /// The call that `request` of `owner` comes back for; `None` if it is a new one.
    /// Error: the response that says why it cannot go on.
    pub(super) fn take(
        &self,
        owner: &str,
        request: &Message,
        params: &RawObject<'_>,
    ) -> Result<Option<Box<Relay>>, Message> {
        let state = params.get_str("requestState").ok().flatten();
        let Some(state) = state.filter(|state| is_handle(state)) else {
            return Ok(None);
        };
        let opened = match &self.sealer {
            Some(sealer) => sealer.open(&state, owner, request),
            None => Err(Unsealed::Foreign),
        };
        let number = opened.map_err(|why| ended(request, why))?;
        if number == AGAIN {
            return Ok(None);
        }
        // What is wrong with the answers does not end the call.
        answers(params).map_err(|error| Message::failure(request.id(), &error))?;
        let place = lock(&self.table).remove(&number);
        let Some(place) = place else {
            let error = RpcError::new(
                INVALID_PARAMS,
                "Invalid params: requestState was used before, or its call has ended",
            );
            return Err(Message::failure(request.id(), &error));
        };
        Ok(Some(place.relay))
    }

    /// The `input_required` that puts `question` to a client, under `key`; with
    /// the answer `owner`'s `request`, of id `id`, is made again.
    pub(super) fn ask_again(
        &self,
        owner: &str,
        request: &Message,
        id: &Id,
        key: &str,
        question: &Message,
        life: Duration,
    ) -> Message {
        let Some(sealer) = &self.sealer else {
            let why = "the system gives no random numbers";
            return Message::failure(Some(id), &RpcError::new(UNAVAILABLE, why));
        };
        let questions = [(key.to_owned(), question.clone())];
        let handle = sealer.seal(AGAIN, owner, request, life);
        Message::success(id, &input_required(&questions, &handle))
    }

    /// Whether no call waits.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.table).is_empty()
    }

    /// Ends every call that waits.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *lock(&self.table));
        drop(all);
    }
}

/// Whether `request` comes back with a handle that mcpmux has given out.
pub(super) fn came_back(request: &Message) -> bool {
    let state = || {
        let params = RawObject::parse(request.payload()?).ok()?;
        Some(is_handle(&params.get_str("requestState").ok()??))
    };
    state().unwrap_or_default()
}

fn lock(table: &Mutex<HashMap<u64, Place>>) -> MutexGuard<'_, HashMap<u64, Place>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that cannot be gone on with. What has simply ended, a model is to
/// read; what is wrong with the request is the client's to know.
fn ended(request: &Message, why: Unsealed) -> Message {
    let id = request.id().cloned().unwrap_or_else(|| Id::from(0));
    match why {
        Unsealed::Restarted | Unsealed::Expired if request.method() == Some(method::TOOLS_CALL) => {
            let result = json!({
                "resultType": "complete",
                "content": [{ "type": "text", "text": why.to_string() }],
                "isError": true,
            });
            Message::success(&id, &result.to_string())
        }
        _ => {
            let error = RpcError::new(INVALID_PARAMS, format!("Invalid params: {why}"));
            Message::failure(Some(&id), &error)
        }
    }
}

/// An `InputRequiredResult` that asks `questions`.
fn input_required(questions: &[(String, Message)], handle: &str) -> String {
    let requests: Vec<_> = questions
        .iter()
        .map(|(key, request)| {
            let method = encode_str(request.method().unwrap_or_default());
            let params = request
                .payload()
                .map(|params| format!(",\"params\":{}", without_elicitation_id(params)))
                .unwrap_or_default();
            format!("{}:{{\"method\":{method}{params}}}", encode_str(key))
        })
        .collect();
    format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{{{}}},\"requestState\":{}}}",
        requests.join(","),
        encode_str(handle)
    )
}

/// The modern era has no ids of URL elicitations.
fn without_elicitation_id(params: &str) -> String {
    let Ok(object) = RawObject::parse(params) else {
        return params.to_owned();
    };
    let mut edit = object.edit();
    edit.remove_if(|key| key == "elicitationId");
    edit.finish()
}

/// The answers that a client came back with.
fn answers<'a>(params: &RawObject<'a>) -> Result<RawObject<'a>, RpcError> {
    let responses = params
        .get("inputResponses")
        .map_err(|error| params::invalid(&error.to_string()))?
        .unwrap_or("{}");
    RawObject::parse(responses).map_err(|_| params::invalid("\"inputResponses\" must be an object"))
}

impl Relay {
    /// Goes on with a call that waited, now that `request` brings its client's
    /// answers. What is missing is asked again.
    pub(super) fn go_on(
        &mut self,
        caller: Arc<Caller>,
        request: &Message,
        params: &RawObject<'_>,
        token: Option<String>,
    ) -> Result<(), RpcError> {
        let responses = answers(params)?;
        self.resume(caller, request, token, Level::wanted(params));
        let open = std::mem::take(&mut self.unasked);
        for (key, question) in open {
            match (responses.get(&key), question.id()) {
                (Ok(Some(answer)), Some(id)) => self.leg.answer(Message::success(id, answer)),
                _ => self.unasked.push((key, question)),
            }
        }
        Ok(())
    }
}
