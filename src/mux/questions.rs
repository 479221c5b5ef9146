//! What a backend asks a client in the course of a call: put to a legacy client
//! as a request of its own, kept for a modern one's next round.

use std::{future::poll_fn, sync::Arc};

use serde_json::json;
use tokio::{runtime::Handle, time::sleep_until};

use super::{relay::Relay, voice::Question};
use crate::{
    backend::BackendError,
    protocol::{
        Era, Id, Message, RawObject, RpcError,
        error::{INTERNAL_ERROR, METHOD_NOT_FOUND, MISSING_CAPABILITY},
        meta, method,
        raw::elements,
    },
};

/// The most questions that one call may have open at once.
const MAX: usize = 64;

/// A question that a legacy client is being asked.
pub(super) struct Asked {
    pub(super) question: Question,
    /// What it is asked.
    pub(super) method: String,
    /// Who wants to know.
    pub(super) purpose: Purpose,
}

/// What becomes of an answer.
pub(super) enum Purpose {
    /// It is the backend's own request, with this id.
    Backend(Id),
    /// It is one of a modern backend's `inputRequests`, under this key.
    Round(String),
}

impl Relay {
    /// Takes in a request of the backend: for the client, if it can be asked.
    pub(super) fn ask(&mut self, request: &Message) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        if let Err(why) = self.pose(request, &id) {
            let method = request.method().unwrap_or_default();
            let error = RpcError::new(
                METHOD_NOT_FOUND,
                format!("Method not found: {method}: {why}"),
            );
            self.leg.answer(Message::failure(Some(&id), &error));
        }
    }

    fn pose(&mut self, request: &Message, id: &Id) -> Result<(), &'static str> {
        if !self.abilities().cover(request) {
            return Err("the client of this call has not declared that it can do this");
        }
        if self.asked.len() + self.unasked.len() >= MAX {
            return Err("this call has too many requests open");
        }
        if self.caller.era() == Era::Modern {
            // None is used again for what came after another one was taken back.
            let key = format!("{}-{}", self.rounds, self.posed);
            self.posed += 1;
            self.unasked.push((key, request.clone()));
            return Ok(());
        }
        self.put(request, Purpose::Backend(id.clone()))
    }

    /// Puts a request to the legacy client, under an id of its own.
    pub(super) fn put(&mut self, request: &Message, purpose: Purpose) -> Result<(), &'static str> {
        let voice = self
            .caller
            .voice
            .as_ref()
            .ok_or("the answer to this call's client is no stream, or part of a batch")?;
        let question = voice
            .ask()
            .ok_or("the client is being asked too much already")?;
        let id = question.id();
        let asked = request.rewritten(Some(&id), None);
        if let Some((token, payload)) = with_token(request, &id) {
            question.reports(Arc::clone(self.leg.connection()), token);
            self.out.push_back(asked.rewritten(None, Some(&payload)));
        } else {
            self.out.push_back(asked);
        }
        if let (Some(visit), Some(client)) = (elicitation(request), &self.caller.introduction) {
            self.flight.addressees.note(&visit, client);
        }
        self.asked.push(Asked {
            question,
            method: request.method().unwrap_or_default().to_owned(),
            purpose,
        });
        self.wait_for_client();
        Ok(())
    }

    /// The backend no longer wants the answer to what it asked.
    pub(super) fn take_back(&mut self, cancelled: &Message) {
        let taken_back = || {
            let params = RawObject::parse(cancelled.payload()?).ok()?;
            Id::from_json(params.get("requestId").ok()??)
        };
        let Some(id) = taken_back() else { return };
        let is_it = |asked: &Asked| matches!(&asked.purpose, Purpose::Backend(own) if *own == id);
        if let Some(index) = self.asked.iter().position(is_it) {
            let asked = self.asked.swap_remove(index);
            let own = asked.question.id();
            let params = cancelled
                .payload()
                .and_then(|params| RawObject::parse(params).ok())
                .and_then(|params| {
                    let mut edit = params.edit();
                    edit.set("requestId", own.as_str().to_owned()).ok()?;
                    Some(edit.finish())
                });
            self.out
                .push_back(cancelled.rewritten(None, params.as_deref()));
        }
        self.unasked
            .retain(|(_, request)| request.id() != Some(&id));
    }

    /// Nobody will be asked what is open: the client is told so, and who wanted
    /// to know. Where the backend is the client's own, another of its calls may
    /// have asked; there the answer is still waited for.
    pub(super) fn withdraw_questions(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            if let Purpose::Backend(id) = &asked.purpose {
                if self.leg.is_own() {
                    self.keep_asking(asked.question, id.clone());
                    continue;
                }
                self.leg.answer(over(id));
            }
            let params = format!(
                "{{\"requestId\":{},\"reason\":\"the call is over\"}}",
                asked.question.id().as_str()
            );
            self.out
                .push_back(Message::notification(method::CANCELLED, &params));
        }
        for (_, request) in std::mem::take(&mut self.unasked) {
            if let Some(id) = request.id() {
                self.leg.answer(over(id));
            }
        }
    }

    /// Waits for the client's answer to the backend's request `id` beyond the
    /// end of this call.
    fn keep_asking(&self, mut question: Question, id: Id) {
        let (Ok(runtime), Some(client)) = (Handle::try_current(), &self.caller.introduction) else {
            return;
        };
        let (connection, gone) = (Arc::clone(self.leg.connection()), client.gone.clone());
        let limit = self.limit();
        runtime.spawn(async move {
            let answer = tokio::select! {
                answer = poll_fn(|cx| question.poll_answer(cx)) => answer,
                () = gone.cancelled() => return,
                _ = connection.link.lost() => return,
                () = sleep_until(limit) => None,
            };
            let answer = answer.map(|answer| answer.rewritten(Some(&id), None));
            let _ = connection
                .link
                .send(&answer.unwrap_or_else(|| over(&id)))
                .await;
        });
    }

    /// The backend's error says that the user must visit URLs before the call
    /// can succeed (2025-11-25, `client/elicitation`, URL Elicitation Required):
    /// a modern client is asked in a round, then the call is made again.
    pub(super) fn ask_to_visit(&mut self, response: &Message) {
        // What it asked before, it asks again when it is called again.
        self.withdraw_questions();
        for (number, params) in to_visit(response).iter().enumerate() {
            let question = Message::request(&Id::from(0), method::ELICIT, params);
            if !self.abilities().cover(&question) {
                let wanted = json!({ "requiredCapabilities": { "elicitation": { "url": {} } } });
                let error = RpcError::new(
                    MISSING_CAPABILITY,
                    "the call needs the user to visit a URL, which this client cannot ask for",
                );
                self.unasked.clear();
                return self.end(&Message::failure(None, &error.with_data(wanted)));
            }
            self.unasked.push((format!("url-{number}"), question));
        }
        if self.unasked.is_empty() {
            return self.give_up("it wants a URL visited, and names none".to_owned());
        }
        self.again = true;
    }

    /// The call cannot be carried on because `why`.
    pub(super) fn give_up(&mut self, why: String) {
        let error = BackendError::Protocol(why).to_rpc(self.backend());
        self.end(&Message::failure(None, &error));
    }
}

/// What a backend gets for a request that nobody will answer.
fn over(id: &Id) -> Message {
    let error = RpcError::new(
        INTERNAL_ERROR,
        "the call in whose course this was asked is over",
    );
    Message::failure(Some(id), &error)
}

/// The parameters of the elicitations in a `URLElicitationRequiredError`.
fn to_visit(response: &Message) -> Vec<String> {
    let read = || {
        let error = RawObject::parse(response.payload()?).ok()?;
        let data = RawObject::parse(error.get("data").ok()??).ok()?;
        let all = elements(data.get("elicitations").ok()??)?;
        Some(all.into_iter().take(MAX).map(str::to_owned).collect())
    };
    read().unwrap_or_default()
}

/// The progress token of a backend's request, and the parameters with `id` in
/// its place; `None` if it wants no progress.
fn with_token(request: &Message, id: &Id) -> Option<(String, String)> {
    let params = RawObject::parse(request.payload()?).ok()?;
    let own = RawObject::parse(params.get("_meta").ok()??).ok()?;
    let token = own.get(meta::PROGRESS_TOKEN).ok()??.to_owned();
    let mut changed = own.edit();
    changed.set(meta::PROGRESS_TOKEN, id.as_str()).ok()?;
    let mut edit = params.edit();
    edit.set("_meta", changed.finish()).ok()?;
    Some((token, edit.finish()))
}

/// The id of a URL elicitation, of whose end the backend may tell.
fn elicitation(request: &Message) -> Option<String> {
    let params = RawObject::parse(request.payload()?).ok()?;
    Some(params.get_str("elicitationId").ok()??.into_owned())
}
