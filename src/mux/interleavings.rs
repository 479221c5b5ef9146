//! One call in every combination of eras, with whatever its backend and its
//! client do in whatever order: what is told arrives in order, what is asked is
//! answered or taken back, and there is one response, the last of all.

mod world;

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::json;

use crate::protocol::{Era, Id, Message, Revision};
use world::{Question, World};

/// What happens next; a number chooses among what there is.
#[derive(Debug, Clone)]
enum Act {
    /// The backend reports progress, or logs.
    Tell(bool),
    /// A legacy backend asks; a modern one ends its round with so many questions.
    Ask(usize),
    /// The backend takes back what it asked.
    TakeBack(usize),
    /// The backend says what belongs to no call.
    Stray(u8),
    /// The backend responds, with a result or an error.
    End(bool),
    /// The backend is gone.
    Die,
    /// What has come so far is read by mcpmux, or not yet.
    Settle,
    /// The client takes what there is for it.
    Take,
    /// A legacy client answers what it is being asked.
    Answer(usize),
    /// A legacy client answers what it is not being asked.
    AnswerStray,
    /// A modern client comes back, with the answers that the bits choose.
    Retry(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => any::<bool>().prop_map(Act::Tell),
        4 => (0..4_usize).prop_map(Act::Ask),
        2 => any::<usize>().prop_map(Act::TakeBack),
        1 => any::<u8>().prop_map(Act::Stray),
        1 => any::<bool>().prop_map(Act::End),
        1 => Just(Act::Die),
        4 => Just(Act::Settle),
        4 => Just(Act::Take),
        4 => any::<usize>().prop_map(Act::Answer),
        1 => Just(Act::AnswerStray),
        4 => any::<u8>().prop_map(Act::Retry),
    ];
    prop::collection::vec(act, 0..40)
}

impl World {
    async fn ask(&mut self, count: usize) {
        let Some(call) = self.open else { return };
        // A round without a question would be made again after a pause.
        let driven = self.caller.era() == Era::Legacy && self.revision.era() == Era::Modern;
        let count = count.max(usize::from(driven));
        let labels: Vec<_> = (0..count).map(|_| format!("q{}", self.number())).collect();
        for label in &labels {
            self.questions.insert(label.clone(), Question::default());
        }
        if self.revision.era() == Era::Legacy {
            for label in &labels {
                let asks = json!({ "jsonrpc": "2.0", "id": label, "method": "elicitation/create",
                    "params": { "message": label } });
                self.say(asks).await;
            }
            return;
        }
        let keyed = labels.iter().map(|label| (format!("k{label}"), label));
        self.wants = keyed
            .clone()
            .map(|(key, label)| (key, label.clone()))
            .collect();
        let asks: serde_json::Map<_, _> = keyed
            .map(|(key, label)| {
                let params = json!({ "message": label });
                (
                    key,
                    json!({ "method": "elicitation/create", "params": params }),
                )
            })
            .collect();
        let result =
            json!({ "resultType": "input_required", "inputRequests": asks, "requestState": "s" });
        self.open = None;
        self.say(json!({ "jsonrpc": "2.0", "id": call, "result": result }))
            .await;
    }

    async fn end(&mut self, well: bool) {
        let Some(call) = self.open.take() else { return };
        let mut response = json!({ "jsonrpc": "2.0", "id": call });
        if well {
            response["result"] = json!({ "resultType": "complete", "n": call });
        } else {
            response["error"] = json!({ "code": -7, "message": "no" });
        }
        self.given = Some(response.clone());
        self.say(response).await;
    }

    fn answer(&mut self, choice: usize) {
        let Some(&id) = self.asked.keys().nth(choice % self.asked.len().max(1)) else {
            return;
        };
        let label = self.asked.remove(&id).unwrap();
        self.settled.insert(id);
        let result = json!({ "action": "accept", "content": { "label": label } });
        if self
            .voice
            .answer(Message::success(&Id::from(id), &result.to_string()))
        {
            self.answered.insert(label);
        }
    }

    fn retry(&mut self, bits: u8) {
        let Some(round) = self.round.take() else {
            return;
        };
        let mut responses = json!({});
        let asks = round["inputRequests"].as_object().unwrap();
        for (index, (key, asked)) in asks.iter().enumerate() {
            // A modern backend gets what its client chose; here, all.
            if bits >> (index % 8) & 1 == 1 || self.revision.era() == Era::Modern {
                let label = &asked["params"]["message"];
                self.answered.insert(label.as_str().unwrap().to_owned());
                responses[key] = json!({ "action": "accept", "content": { "label": label } });
            }
        }
        self.request(&responses, Some(&round["requestState"]));
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Tell(progress) => {
                let Some(call) = self.open else { return };
                let number = self.number();
                self.told.push(number);
                let (method, params) = if progress {
                    (
                        "progress",
                        json!({ "progressToken": call, "progress": number }),
                    )
                } else {
                    ("message", json!({ "level": "error", "data": number }))
                };
                let method = format!("notifications/{method}");
                self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
                    .await;
            }
            Act::Ask(count) => self.ask(count).await,
            Act::TakeBack(choice) => {
                let open = self
                    .questions
                    .iter_mut()
                    .filter(|(_, question)| !question.taken_back);
                let mut open: VecDeque<_> = open.collect();
                let at = choice % open.len().max(1);
                let Some((label, question)) = open.remove(at) else {
                    return;
                };
                question.taken_back = self.revision.era() == Era::Legacy;
                let params = json!({ "requestId": label });
                let method = "notifications/cancelled";
                self.say(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
                    .await;
            }
            Act::Stray(kind) => {
                let params = json!({ "progressToken": 999, "progress": 1, "requestId": "none" });
                let stray = match kind % 3 {
                    0 => json!({ "method": "notifications/progress", "params": params }),
                    1 => json!({ "method": "notifications/cancelled", "params": params }),
                    _ => json!({ "id": 999, "result": {} }),
                };
                let mut message = json!({ "jsonrpc": "2.0" });
                message
                    .as_object_mut()
                    .unwrap()
                    .extend(stray.as_object().unwrap().clone());
                self.say(message).await;
            }
            Act::End(well) => self.end(well).await,
            Act::Die => {
                self.died |= self.given.is_none();
                self.open = None;
                self.stdout = None;
            }
            Act::Settle => self.settle().await,
            Act::Take => self.take(),
            Act::Answer(choice) => self.answer(choice),
            Act::AnswerStray => {
                let stray = Message::success(&Id::from(99_999), "{}");
                assert!(!self.voice.answer(stray), "nobody asked");
            }
            Act::Retry(bits) => self.retry(bits),
        }
    }

    /// Everybody does what is still to be done.
    async fn finish(&mut self) {
        for _ in 0..200 {
            self.settle().await;
            self.take();
            if self.response.is_some() {
                break;
            }
            while !self.asked.is_empty() {
                self.answer(0);
            }
            self.retry(u8::MAX);
            let waited_for = self.questions.values().any(|question| {
                self.revision.era() == Era::Legacy
                    && !question.taken_back
                    && question.got.is_empty()
            });
            if !waited_for {
                self.end(true).await;
            }
        }
        self.settle().await;
    }

    fn judge(&self) {
        let response = self.response.as_ref().expect("a response");
        if let Some(given) = &self.given {
            assert_eq!(response["result"]["n"], given["result"]["n"]);
            assert_eq!(response["error"], given["error"]);
        } else {
            assert!(self.died && response["error"].is_object(), "{response}");
        }
        assert_eq!(self.heard, self.told, "all that was told, in order");
        assert_eq!(self.asked.len(), 0, "no question stays with the client");
        for (label, question) in &self.questions {
            assert!(question.got.len() <= 1, "one answer to {label}");
            if let Some(Some(got)) = question.got.first() {
                assert_eq!(got, label, "its own answer");
                assert!(self.answered.contains(label));
            }
            if self.stdout.is_none() || question.taken_back {
                continue;
            }
            let [got] = &question.got[..] else {
                panic!("nobody answers {label}");
            };
            if self.answered.contains(label) {
                assert_eq!(got.as_ref(), Some(label), "the answer gets there");
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_a_call_it_ends_well(client in any::<bool>(), backend in any::<bool>(), acts in acts()) {
        let client = if client { Era::Modern } else { Era::Legacy };
        let revision = if backend { Revision::NEWEST_MODERN } else { Revision::NEWEST_LEGACY };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new(client, revision);
            for act in acts {
                world.act(act).await;
            }
            world.finish().await;
            world.judge();
        });
    }
}
