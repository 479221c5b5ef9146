//! A client's request on its way to a backend and back: what the backend tells
//! and asks in its course, in the client's words and era, and at last its
//! response, which nothing follows.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use futures_core::Stream;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info};

use super::{
    Caller,
    clock::Clock,
    flight::Flight,
    leg::{Inputs, Leg, Sending},
    params,
    questions::{Asked, Purpose},
    rounds::Round,
    target::Target,
    tasks::Following,
};
use crate::{
    alarm,
    backend::{BackendError, Item},
    limits::Call,
    protocol::{
        Abilities, Era, Id, Kind, Level, Message, RawObject, RpcError,
        error::{
            self, HEADER_MISMATCH, INVALID_PARAMS, RESOURCE_NOT_FOUND, UNAVAILABLE,
            URL_ELICITATION_REQUIRED,
        },
        meta, method,
    },
};

/// A request that is being relayed.
pub(super) struct Relay {
    pub(super) caller: Arc<Caller>,
    pub(super) request: Message,
    pub(super) id: Id,
    /// The client's progress token, JSON text.
    pub(super) token: Option<String>,
    /// The lowest level of log messages that the client wants.
    pub(super) level: Option<Level>,
    /// Who may answer; the first one is being asked.
    pub(super) targets: VecDeque<Target>,
    pub(super) leg: Leg,
    pub(super) clock: Clock,
    pub(super) may_relist: bool,
    /// What the legacy client is being asked.
    pub(super) asked: Vec<Asked>,
    /// What the modern client is to be asked.
    pub(super) unasked: Vec<(String, Message)>,
    /// How many questions were kept for a modern client so far.
    pub(super) posed: u32,
    /// The call is over; with the answers it is to be made again.
    pub(super) again: bool,
    pub(super) round: Option<Round>,
    pub(super) rounds: u32,
    /// The task whose end the client waits for.
    pub(super) following: Option<Following>,
    /// Messages for the client that go out before anything else.
    pub(super) out: VecDeque<Message>,
    /// The response, once there is one.
    pub(super) last: Option<Message>,
    /// What it uses up of the limits of its caller and its backend.
    pub(super) costs: Vec<Call>,
    pub(super) flight: Flight,
}

/// The next thing that a client gets.
pub(super) enum Step {
    /// Something in the course of the request.
    Say(Message),
    /// The response.
    End(Message),
    /// The client must be asked, and this is to wait until it has answered.
    Park,
}

/// What a relay waits for.
enum Event {
    Heard(Option<Item>),
    Answered(usize, Option<Message>),
}

impl Relay {
    /// Waits for the next thing that the client gets.
    pub(super) async fn step(&mut self) -> Step {
        loop {
            if let Some(message) = self.out.pop_front() {
                return Step::Say(message);
            }
            if let Some(response) = self.last.take() {
                return Step::End(response);
            }
            if self.again {
                return Step::Park;
            }
            let event = if self.unasked.is_empty() {
                alarm::within(self.clock.deadline, poll_fn(|cx| self.poll_event(cx))).await
            } else {
                // All that the backend asks at once is asked at once.
                match poll_fn(|cx| Poll::Ready(self.poll_event(cx))).await {
                    Poll::Ready(event) => Some(event),
                    Poll::Pending => return Step::Park,
                }
            };
            match event {
                Some(Event::Heard(Some(Ok(message)))) => self.heard(message).await,
                Some(Event::Heard(Some(Err(error)))) => self.fail(&error),
                Some(Event::Heard(None)) => self.fail(&BackendError::NoResponse),
                // Boxed, like all that few calls need: each has room for what it may wait for.
                Some(Event::Answered(index, answer)) => {
                    Box::pin(self.answered(index, answer)).await;
                }
                None => self.fail(&self.clock.passed()),
            }
        }
    }

    fn poll_event(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Event> {
        for (index, asked) in self.asked.iter_mut().enumerate() {
            if let Poll::Ready(answer) = asked.question.poll_answer(cx) {
                return Poll::Ready(Event::Answered(index, answer));
            }
        }
        // Between two rounds nothing is under way at the backend.
        if self.round.is_some() {
            return Poll::Pending;
        }
        Pin::new(&mut self.leg.exchange)
            .poll_next(cx)
            .map(Event::Heard)
    }

    /// Takes in a message of the backend.
    async fn heard(&mut self, message: Message) {
        self.leg.connection().health.answered();
        match message.kind() {
            Kind::Response { .. } => self.responded(message).await,
            Kind::Request { .. } => self.ask(&message),
            Kind::Notification { method } => match method.as_str() {
                method::PROGRESS => {
                    self.clock.extend();
                    if let Some(message) = self.progress(&message) {
                        self.out.push_back(message);
                    }
                }
                method::LOG_MESSAGE if !self.wants(&message) => {}
                method::CANCELLED => self.take_back(&message),
                _ => self.out.push_back(message),
            },
        }
    }

    /// Takes in the response of the backend.
    async fn responded(&mut self, response: Message) {
        let code = error::code_of(&response);
        if self.following.is_some() {
            if let Some(last) = self.followed(&response) {
                self.finish(last);
            }
            return;
        }
        if code == Some(HEADER_MISMATCH) && std::mem::take(&mut self.may_relist) {
            // The backend wants other headers than its list asked for.
            if Box::pin(self.relist()).await {
                return;
            }
        }
        if matches!(code, Some(RESOURCE_NOT_FOUND | INVALID_PARAMS)) && self.targets.len() > 1 {
            // Of several that might have it, this one does not.
            self.targets.pop_front();
            return match Box::pin(self.send(None)).await {
                Ok(()) => {}
                Err(error) => self.end(&Message::failure(None, &error)),
            };
        }
        if code == Some(URL_ELICITATION_REQUIRED) && self.leg.bridge.leaves_modern() {
            return self.ask_to_visit(&response);
        }
        if self.leg.bridge.leaves_legacy() && Box::pin(self.begin_round(&response)).await {
            return;
        }
        if self.begin_following(&response) {
            return;
        }
        if let Some(target) = self.targets.front() {
            let client = self.caller.introduction.as_ref();
            if let Some(id) = self
                .flight
                .tasks
                .note(&response, &target.backend, &self.caller)
            {
                self.leg.connection().keep();
                if let Some(client) = client {
                    self.flight.addressees.note(&id, client);
                }
            }
        }
        self.finish(response);
    }

    /// The backend's last word, for the client.
    fn finish(&mut self, response: Message) {
        let response = self.leg.bridge.response(self.backend(), response);
        self.end(&response);
    }

    /// Asks the backend for its tools anew and, if that shows another one, calls
    /// it again; `false` if not.
    async fn relist(&mut self) -> bool {
        let Some(target) = self.targets.front_mut() else {
            return false;
        };
        let Some(tool) = target.tool.clone() else {
            return false;
        };
        let relisted = target.backend.relisted(&tool.name);
        match timeout_at(self.clock.deadline, relisted).await {
            Ok(Some(now)) if now != tool => target.tool = Some(now),
            _ => return false,
        }
        self.send(None).await.is_ok()
    }

    /// Sends the request (again) to the target that is asked now.
    pub(super) async fn send(&mut self, inputs: Option<&Inputs>) -> Result<(), RpcError> {
        let Some(target) = self.targets.front() else {
            return Err(RpcError::new(UNAVAILABLE, "nobody is left to ask"));
        };
        let params = params::of(&self.request)?;
        // It waits for a place like any other; with its own it would wait for itself.
        self.leg.leave();
        let sending = Sending {
            instances: &self.flight.instances,
            caller: &self.caller,
            request: &self.request,
            params: &params,
            level: self.level,
            inputs,
        };
        self.leg = sending
            .to(target, Instant::now(), self.clock.timeout)
            .await?;
        self.clock.extend();
        Ok(())
    }

    /// Goes on for `request`, with which the client came back.
    pub(super) fn resume(
        &mut self,
        caller: Arc<Caller>,
        request: &Message,
        token: Option<String>,
        level: Option<Level>,
    ) {
        if let Some(id) = request.id() {
            self.id = id.clone();
        }
        self.request = request.clone();
        self.caller = caller;
        self.token = token;
        self.level = level;
        self.clock.extend();
    }

    /// The response, for the client; after it there is nothing more to be asked.
    pub(super) fn end(&mut self, response: &Message) {
        let failed = matches!(response.kind(), Kind::Response { failed: true, .. });
        self.over(failed, None);
        self.withdraw_questions();
        self.round = None;
        self.last = Some(response.rewritten(Some(&self.id), None));
    }

    fn fail(&mut self, error: &BackendError) {
        self.leg.under_way.failed(error);
        self.over(true, Some(error));
        self.withdraw_questions();
        self.round = None;
        let error = error.to_rpc(self.backend());
        self.last = Some(Message::failure(Some(&self.id), &error));
    }

    /// What the client can be asked.
    pub(super) fn abilities(&self) -> Abilities {
        if let Some(introduction) = &self.caller.introduction {
            return introduction.abilities.clone();
        }
        params::introduction(&self.request).1
    }

    /// It is alive: its time begins anew.
    pub(super) fn extend(&mut self) {
        self.clock.extend();
    }

    /// A person may take the time that the longest call may take.
    pub(super) fn wait_for_client(&mut self) {
        self.clock.deadline = self.clock.limit;
    }

    /// How long it may take in all.
    pub(super) fn limit(&self) -> Instant {
        self.clock.limit
    }

    /// The name of the backend that is being asked.
    pub(super) fn backend(&self) -> &str {
        let target = self.targets.front();
        target.map_or("", |target| target.backend.name())
    }

    /// Its caller and its backend are charged for a message.
    pub(super) fn charge(&self, message: &Message) {
        for call in &self.costs {
            call.moved(message.bytes().len());
        }
    }

    /// What that backend knows as what is asked for, where it has a name.
    pub(super) fn subject(&self) -> Option<&str> {
        self.targets.front()?.subject.name()
    }

    /// A progress notification with the client's own token; `None` if it asked
    /// for none.
    fn progress(&self, message: &Message) -> Option<Message> {
        let token = self.token.as_deref()?;
        let params = RawObject::parse(message.payload()?).ok()?;
        let mut edit = params.edit();
        edit.set(meta::PROGRESS_TOKEN, token).ok()?;
        Some(message.rewritten(None, Some(&edit.finish())))
    }

    /// Whether the client wants a log message. A legacy one that named no level
    /// leaves the choice to the server, or where others have made that, to mcpmux.
    fn wants(&self, log: &Message) -> bool {
        let level = Level::of(log);
        match self.level {
            Some(wanted) => level.is_none_or(|level| level >= wanted),
            None if self.caller.era() == Era::Modern => false,
            None => self.leg.connection().chose_level() || level >= Some(Level::Info),
        }
    }

    /// Takes in the client's answer to what it was asked.
    async fn answered(&mut self, index: usize, answer: Option<Message>) {
        let asked = self.asked.swap_remove(index);
        self.clock.extend();
        let Some(answer) = answer else { return };
        match asked.purpose {
            Purpose::Backend(id) => self.leg.answer(answer.rewritten(Some(&id), None)),
            Purpose::Round(key) => self.round_answered(&key, &asked.method, &answer).await,
        }
    }

    /// Counts the call for the backend that was asked, and logs it.
    fn over(&self, failed: bool, error: Option<&BackendError>) {
        let time = self.clock.begun.elapsed();
        if let Some(target) = self.targets.front() {
            target.backend.tally().called(time, failed);
        }
        let backend = self.backend();
        let method = self.request.method().unwrap_or_default();
        let subject = self.subject();
        let ms = time.as_millis();
        match error {
            None => debug!(backend, method, tool = subject, ms, "called"),
            Some(error) => info!(
                backend,
                method,
                tool = subject,
                ms,
                "call {} failed: {}",
                self.id.as_str(),
                error.brief()
            ),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.withdraw_questions();
    }
}
