//! Rounds with a modern backend on behalf of a legacy client (2026-07-28,
//! `basic/patterns/mrtr`): what the backend's `input_required` asks for is put
//! to the client in requests, and the call is sent again with the answers.

use std::{borrow::Cow, time::Duration};

use super::{leg::Inputs, questions::Purpose, relay::Relay};
use crate::protocol::{Id, Kind, Message, RawObject, method, raw::encode_str};

/// The most rounds that one call may take.
const MAX: u32 = 32;

/// The pause before a call is sent again without any new input; doubled with
/// each further one.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is wrong with an `input_required` that asks for nothing that is known.
const UNREADABLE: &str = "its inputRequests cannot be read";

/// A round that waits for answers of the client.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Those it has given, by key.
    answers: Vec<(String, String)>,
    /// How many it still owes.
    missing: usize,
    /// The server's `requestState`, JSON text.
    state: Option<String>,
}

impl Relay {
    /// Begins a round if that is what the response asks for; `false` if it is
    /// the last one.
    pub(super) async fn begin_round(&mut self, response: &Message) -> bool {
        if !matches!(response.kind(), Kind::Response { failed: false, .. }) {
            return false;
        }
        let Some(Ok(result)) = response.payload().map(RawObject::parse) else {
            return false;
        };
        if !matches!(result.get_str("resultType"), Ok(Some(kind)) if kind == "input_required") {
            return false;
        }
        self.leg.leave();
        self.rounds += 1;
        if self.rounds > MAX {
            self.give_up(format!("it asked for input in more than {MAX} rounds"));
            return true;
        }
        self.round = Some(Round {
            state: result.get("requestState").ok().flatten().map(str::to_owned),
            ..Round::default()
        });
        let requests = result.get("inputRequests").ok().flatten().unwrap_or("{}");
        let put = RawObject::parse(requests)
            .map_err(|_| UNREADABLE.to_owned())
            .and_then(|requests| self.put_all(&requests));
        if let Err(why) = put {
            self.give_up(why);
        } else if self.round.as_ref().is_some_and(|round| round.missing == 0) {
            // Nobody is asked: it only wants to be called again.
            tokio::time::sleep(pause(self.rounds)).await;
            self.end_round().await;
        }
        true
    }

    /// Puts every one of these `inputRequests` to the client.
    pub(super) fn put_all(&mut self, requests: &RawObject<'_>) -> Result<(), String> {
        for member in requests.members() {
            let request = RawObject::parse(member.value()).map_err(|_| UNREADABLE)?;
            let wanted = request.get_str("method").ok().flatten().ok_or(UNREADABLE)?;
            if !matches!(
                wanted.as_ref(),
                method::ELICIT | method::SAMPLE | method::ROOTS_LIST
            ) {
                return Err(format!(
                    "it asks the client for {wanted:?}, which it must not"
                ));
            }
            let params = request.get("params").ok().flatten().unwrap_or("{}");
            let message = Message::request(&Id::from(0), &wanted, &with_elicitation_id(params));
            if !self.abilities().cover(&message) {
                return Err(format!(
                    "it asks the client for {wanted:?}, which that cannot do"
                ));
            }
            let key = member.key().into_owned();
            self.put(&message, Purpose::Round(key))
                .map_err(|why| format!("it asks the client for {wanted:?}: {why}"))?;
            if let Some(round) = &mut self.round {
                round.missing += 1;
            }
        }
        Ok(())
    }

    /// Takes in an answer of the client; with the last one the call is sent again.
    pub(super) async fn round_answered(&mut self, key: &str, asked: &str, answer: &Message) {
        let result = match answer.kind() {
            Kind::Response { failed: false, .. } => answer.payload().unwrap_or("{}").to_owned(),
            // A round has no form for an error; what a person declines has.
            _ if asked == method::ELICIT => r#"{"action":"cancel"}"#.to_owned(),
            _ => {
                let why = answer.payload().unwrap_or_default();
                return self.give_up(format!("the client refused {asked:?}: {why}"));
            }
        };
        let Some(round) = &mut self.round else { return };
        round.answers.push((key.to_owned(), result));
        round.missing -= 1;
        if round.missing == 0 {
            self.end_round().await;
        }
    }

    /// Sends the call again with the answers.
    async fn end_round(&mut self) {
        let Some(round) = self.round.take() else {
            return;
        };
        let inputs = round.inputs();
        if self.following.is_some() {
            return self.update_task(&inputs.responses);
        }
        if let Err(error) = self.send(Some(&inputs)).await {
            self.end(&Message::failure(None, &error));
        }
    }
}

impl Round {
    fn inputs(self) -> Inputs {
        let answers: Vec<_> = self
            .answers
            .iter()
            .map(|(key, answer)| format!("{}:{answer}", encode_str(key)))
            .collect();
        Inputs {
            responses: format!("{{{}}}", answers.join(",")),
            state: self.state,
        }
    }
}

fn pause(rounds: u32) -> Duration {
    PAUSE.saturating_mul(1 << rounds.min(10)).min(LONGEST_PAUSE)
}

/// A URL elicitation of the modern era has no id; one of 2025-11-25 needs one.
fn with_elicitation_id(params: &str) -> Cow<'_, str> {
    let Ok(object) = RawObject::parse(params) else {
        return params.into();
    };
    let is_url = matches!(object.get_str("mode"), Ok(Some(mode)) if mode == "url");
    if !is_url || !matches!(object.get("elicitationId"), Ok(None)) {
        return params.into();
    }
    let mut edit = object.edit();
    let _ = edit.set(
        "elicitationId",
        format!("\"mcpmux-{:016x}\"", fastrand::u64(..)),
    );
    edit.finish().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_elicitation_gets_an_id_and_all_else_stays() {
        assert_eq!(
            with_elicitation_id(r#"{"mode":"form"}"#),
            r#"{"mode":"form"}"#
        );
        let url = with_elicitation_id(r#"{"mode":"url", "url":"https://a"}"#);
        assert!(
            url.starts_with(r#"{"mode":"url", "url":"https://a","elicitationId":"mcpmux-"#),
            "{url}"
        );
    }

    #[test]
    fn answers_are_sent_under_the_keys_they_were_asked_under() {
        let round = Round {
            answers: vec![
                ("a\"b".into(), r#"{"x":1.0}"#.into()),
                ("c".into(), "{}".into()),
            ],
            missing: 0,
            state: Some(r#""s""#.into()),
        };
        let inputs = round.inputs();
        assert_eq!(inputs.responses, r#"{"a\"b":{"x":1.0},"c":{}}"#);
        assert_eq!(inputs.state.as_deref(), Some(r#""s""#));
    }
}
