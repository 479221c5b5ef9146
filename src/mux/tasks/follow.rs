//! Following a task to its end on behalf of a client whose era has no form for
//! it: a legacy client of a modern backend that answers with a task, and a modern
//! client of a legacy tool that must be called as one. The client gets the
//! task's result as that of its call.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::json;

use super::begun;
use crate::{
    backend::{Connection, Exchange},
    mux::{leg::headers_of, relay::Relay, rounds::Round},
    protocol::{
        Era, Id, Message, RawObject, error, meta, method,
        raw::{decode_str, encode_str},
    },
};

/// The pause between two looks at a task, unless its server names another one.
const PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A task that is being followed; dropped before its end, it is cancelled.
pub(in crate::mux) struct Following {
    connection: Arc<Connection>,
    id: String,
    /// The `inputRequests` that the client was asked already.
    asked: HashSet<String>,
    over: bool,
}

impl Relay {
    /// Begins to follow the task that the response has begun; `false` if it is
    /// none, or one that the client can follow itself.
    pub(in crate::mux) fn begin_following(&mut self, response: &Message) -> bool {
        let bridge = self.leg.bridge;
        if !bridge.leaves_legacy() && !bridge.leaves_modern() {
            return false;
        }
        let Some(id) = begun(response) else {
            return false;
        };
        let connection = Arc::clone(self.leg.connection());
        self.following = Some(Following {
            connection,
            id,
            asked: HashSet::new(),
            over: false,
        });
        if bridge.leaves_legacy() {
            self.look(Duration::ZERO);
        } else {
            self.ask_task(method::TASKS_RESULT, Duration::ZERO, "");
        }
        true
    }

    /// Takes in what the backend says of the followed task; gives the response
    /// that ends the call.
    pub(in crate::mux) fn followed(&mut self, response: &Message) -> Option<Message> {
        let following = self.following.as_mut()?;
        if self.leg.bridge.leaves_modern() || error::code_of(response).is_some() {
            following.over = true;
            return Some(response.clone());
        }
        let Some(Ok(task)) = response.payload().map(RawObject::parse) else {
            return Some(response.clone());
        };
        let of = |key: &str| task.get(key).ok().flatten();
        let id = Id::from(0);
        let status = of("status").and_then(decode_str).unwrap_or_default();
        match status.as_ref() {
            "completed" => {
                following.over = true;
                Some(Message::success(&id, of("result").unwrap_or("{}")))
            }
            "failed" | "cancelled" => {
                following.over = true;
                let why = of("statusMessage").and_then(decode_str);
                let why = why.unwrap_or_else(|| format!("the task was {status}").into());
                let own = json!({ "code": error::INTERNAL_ERROR, "message": why }).to_string();
                let error = of("error").unwrap_or(&own);
                let failed = format!("{{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{error}}}");
                Some(Message::parse(failed.into()).unwrap_or_else(|_| response.clone()))
            }
            "input_required" => {
                self.ask_for_task(response);
                None
            }
            _ => {
                let pause = of("pollIntervalMs").and_then(|ms| ms.parse().ok());
                let pause = pause.map_or(PAUSE, Duration::from_millis);
                self.look(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
                None
            }
        }
    }

    /// Puts to the client what the task asks for and it has not been asked yet.
    fn ask_for_task(&mut self, response: &Message) {
        let Some(Ok(task)) = response.payload().map(RawObject::parse) else {
            return;
        };
        let Some(following) = &mut self.following else {
            return;
        };
        let requests = task.get("inputRequests").ok().flatten().unwrap_or("{}");
        let Ok(requests) = RawObject::parse(requests) else {
            return self.look(PAUSE);
        };
        let new: Vec<_> = requests
            .members()
            .iter()
            .filter(|member| following.asked.insert(member.key().into_owned()))
            .map(|member| format!("{}:{}", encode_str(&member.key()), member.value()))
            .collect();
        if new.is_empty() {
            return self.look(PAUSE);
        }
        self.round = Some(Round::default());
        let new = format!("{{{}}}", new.join(","));
        let put = RawObject::parse(&new)
            .map_err(|error| error.to_string())
            .and_then(|requests| self.put_all(&requests));
        if let Err(why) = put {
            self.give_up(why);
        }
    }

    /// Gives the task the client's answers, JSON text.
    pub(in crate::mux) fn update_task(&mut self, responses: &str) {
        self.ask_task(
            method::TASKS_UPDATE,
            Duration::ZERO,
            &format!(",\"inputResponses\":{responses}"),
        );
    }

    /// Looks at the task after `pause`.
    fn look(&mut self, pause: Duration) {
        self.ask_task(method::TASKS_GET, pause, "");
    }

    /// Asks the backend about the task; the answer comes as that of the call.
    fn ask_task(&mut self, method: &'static str, pause: Duration, more: &str) {
        let Some(following) = &self.following else {
            return;
        };
        let connection = Arc::clone(&following.connection);
        let meta = match connection.era() {
            Era::Modern => {
                let caller = &self.caller;
                let meta = self.leg.bridge.request_meta(None, 0, caller);
                meta.ok()
                    .and_then(crate::mux::bridge::MetaChange::into_text)
            }
            Era::Legacy => None,
        };
        let meta = meta.map_or_else(String::new, |meta| format!(",\"_meta\":{meta}"));
        let params = format!("{{\"taskId\":{}{more}{meta}}}", encode_str(&following.id));
        let headers = headers_of(&connection, method, &following.id);
        let client = self.caller.client.clone();
        self.extend();
        self.leg.exchange = Exchange::new(async_stream::stream! {
            tokio::time::sleep(pause).await;
            let number = connection.link.next_id();
            let request = Message::request(&Id::from(number), method, &params);
            let mut answers = connection.link.request(number, &request, headers, Some(client));
            while let Some(item) = answers.next().await {
                yield item;
            }
        });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let connection = Arc::clone(&self.connection);
        let meta = match connection.era() {
            Era::Modern => format!(",\"_meta\":{}", meta::own_request(connection.revision)),
            Era::Legacy => String::new(),
        };
        let params = format!("{{\"taskId\":{}{meta}}}", encode_str(&self.id));
        let headers = headers_of(&connection, method::TASKS_CANCEL, &self.id);
        self.connection.aside(async move {
            let number = connection.link.next_id();
            let request = Message::request(&Id::from(number), method::TASKS_CANCEL, &params);
            let cancelled = connection.link.request(number, &request, headers, None);
            cancelled.response().await
        });
    }
}

/// The capabilities of a legacy client as a modern backend is shown them: mcpmux
/// follows tasks for it.
pub(in crate::mux) fn with_tasks(abilities: &str) -> String {
    let Ok(own) = RawObject::parse(abilities) else {
        return abilities.to_owned();
    };
    let extensions = own.get("extensions").ok().flatten().unwrap_or("{}");
    let Ok(extensions) = RawObject::parse(extensions) else {
        return abilities.to_owned();
    };
    let mut more = extensions.edit();
    if more.set(super::EXTENSION, "{}").is_err() {
        return abilities.to_owned();
    }
    let mut edit = own.edit();
    match edit.set("extensions", more.finish()) {
        Ok(()) => edit.finish(),
        Err(_) => abilities.to_owned(),
    }
}

/// A tool that a legacy server wants called as a task only.
pub(in crate::mux) fn needs_task(definition: &str) -> bool {
    let read = || {
        let tool = RawObject::parse(definition).ok()?;
        let execution = RawObject::parse(tool.get("execution").ok()??).ok()?;
        Some(execution.get_str("taskSupport").ok()?? == "required")
    };
    memchr::memmem::find(definition.as_bytes(), b"taskSupport").is_some() && read() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_added_to_what_a_client_can_do() {
        assert_eq!(
            with_tasks(r#"{"roots":{ }}"#),
            r#"{"roots":{ },"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
        );
        assert_eq!(
            with_tasks(r#"{"extensions":{"a":1}}"#),
            r#"{"extensions":{"a":1,"io.modelcontextprotocol/tasks":{}}}"#
        );
    }

    #[test]
    fn only_what_is_required_is_needed() {
        assert!(needs_task(
            r#"{"name":"t","execution":{"taskSupport":"required"}}"#
        ));
        assert!(!needs_task(
            r#"{"name":"t","execution":{"taskSupport":"optional"}}"#
        ));
        assert!(!needs_task(r#"{"name":"taskSupport"}"#));
    }
}
