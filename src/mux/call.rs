//! The way of a request from a client to a relay: whom it is for, or the call
//! that it goes on with, and what the client gets in its course.

use std::{collections::VecDeque, future::poll_fn, pin::pin, sync::Arc};

use super::{
    Caller, Mux,
    clock::Clock,
    leg::Sending,
    params,
    parking::came_back,
    relay::{Relay, Step},
    serving::given_up,
    target::TURNS,
    visits::stripped,
};
use crate::{
    audit::Entry,
    backend::Exchange,
    protocol::{Era, Id, Level, Message, RpcError, error::UNAVAILABLE},
};

impl Mux {
    /// Relays a request to whom it is for.
    pub(super) fn relay(self: &Arc<Self>, caller: Caller, request: Message) -> Exchange {
        let mux = Arc::clone(self);
        let caller = Arc::new(caller);
        Exchange::new(async_stream::stream! {
            let Some(id) = request.id().cloned() else { return };
            let (name, role) = (caller.principal.name(), caller.principal.role());
            let mut entry = mux.audit.begin(name, role, &request);
            let begun = {
                let mut begun = pin!(mux.begin(&caller, &request, &id));
                poll_fn(|cx| mux.poll_until_given_up(begun.as_mut(), cx)).await
            };
            let mut relay = match begun.unwrap_or_else(|| Err(given_up(&id))) {
                Ok(relay) => relay,
                Err(refusal) => {
                    let refusal = mux.or_visit(&caller, &request, refusal);
                    record(entry, &refusal);
                    yield Ok(refusal);
                    return;
                }
            };
            relay.charge(&relay.request);
            if let (Some(entry), Some(target)) = (&mut entry, relay.targets.front()) {
                entry.goes_to(target.backend.name(), target.subject.name());
            }
            loop {
                let step = {
                    let mut step = pin!(relay.step());
                    poll_fn(|cx| mux.poll_until_given_up(step.as_mut(), cx)).await
                };
                match step.unwrap_or_else(|| Step::End(given_up(&id))) {
                    Step::Say(message) => {
                        relay.charge(&message);
                        if let Some(entry) = &mut entry {
                            entry.said(&message);
                        }
                        yield Ok(message);
                    }
                    Step::End(message) => {
                        let message = mux.or_visit(&caller, &request, message);
                        relay.charge(&message);
                        record(entry, &message);
                        yield Ok(message);
                        return;
                    }
                    Step::Park => {
                        let message = mux.parking.park(relay);
                        record(entry, &message);
                        yield Ok(message);
                        return;
                    }
                }
            }
        })
    }

    /// Sends the request, or goes on with one that waited for its client's
    /// answers. Error: the response that says why not.
    async fn begin(
        &self,
        caller: &Arc<Caller>,
        request: &Message,
        id: &Id,
    ) -> Result<Box<Relay>, Message> {
        let refused = |error: RpcError| Message::failure(Some(id), &error);
        let flight = self
            .commons
            .take_off()
            .ok_or_else(|| refused(RpcError::new(UNAVAILABLE, "too many calls in flight")))?;
        let came_back = caller.era() == Era::Modern && came_back(request);
        let params = params::of(request).map_err(refused)?;
        let token = params::token(&params).map_err(refused)?;
        if caller.era() == Era::Modern
            && let Some(mut parked) =
                self.parking
                    .take(caller.principal.owner(), request, &params)?
        {
            parked
                .go_on(Arc::clone(caller), request, &params, token)
                .map_err(refused)?;
            return Ok(parked);
        }
        let mut costs = Vec::new();
        if let Some(own) = self.limits.caller(caller.principal.name()) {
            costs.push(own.call().map_err(|error| refused(error.into()))?);
        }
        let as_before;
        let (request, params) = if came_back {
            Box::pin(self.wait_for_login(request)).await;
            as_before = stripped(request);
            (&as_before, params::of(&as_before).map_err(refused)?)
        } else {
            (request, params)
        };
        let level = match caller.era() {
            Era::Legacy => caller.level,
            Era::Modern => Level::wanted(&params),
        };
        let sending = Sending {
            instances: &self.commons.instances,
            caller,
            request,
            params: &params,
            level,
            inputs: None,
        };
        let mut turns = 0;
        let (targets, clock, leg) = loop {
            let targets = self.targets(caller, request, &params).await;
            let targets = targets.map_err(refused)?;
            let Some(target) = targets.front() else {
                return Err(refused(RpcError::method_not_found(
                    request.method().unwrap_or_default(),
                )));
            };
            if turns == 0
                && let Some(its) = self.limits.backend(target.backend.name())
            {
                let call = its.request().and_then(|()| its.call());
                costs.push(call.map_err(|error| refused(error.into()))?);
            }
            let clock = {
                let settings = target.backend.settings();
                Clock::start(settings.timeout, settings.max_timeout)
            };
            match sending.to(target, clock.begun, clock.timeout).await {
                Ok(leg) => break (targets, clock, leg),
                // The catalog has another one by now, or none.
                Err(_) if target.backend.is_retired() && turns < TURNS => turns += 1,
                Err(error) => return Err(refused(error)),
            }
        };
        Ok(Box::new(Relay {
            level,
            token,
            targets,
            leg,
            clock,
            may_relist: true,
            asked: Vec::new(),
            unasked: Vec::new(),
            posed: 0,
            again: false,
            round: None,
            rounds: 0,
            following: None,
            out: VecDeque::new(),
            last: None,
            id: id.clone(),
            request: request.clone(),
            caller: Arc::clone(caller),
            costs,
            flight,
        }))
    }
}

/// Closes the record of a call.
fn record(entry: Option<Entry<'_>>, response: &Message) {
    if let Some(entry) = entry {
        entry.ended(response);
    }
}
