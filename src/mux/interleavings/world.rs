//! A backend and a client with one call between them, and all that reached each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_core::Stream;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::yield_now,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{Backend, Exchange, Introduction},
    config::{ConnectRetry, PolicySettings},
    mux::{Caller, Mux, Voice},
    protocol::{Abilities, Era, Id, Message, Revision, meta},
};

/// What the client can be asked.
const ABLE: &str = r#"{"elicitation":{}}"#;

/// A question of the backend.
#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) taken_back: bool,
    /// What the backend got for it: the answer's label, or `None` for an error.
    pub(super) got: Vec<Option<String>>,
}

/// The whole of one call.
pub(super) struct World {
    pub(super) mux: Arc<Mux>,
    pub(super) caller: Caller,
    pub(super) voice: Arc<Voice>,
    pub(super) revision: Revision,
    pub(super) stream: Option<Exchange>,
    /// The id of the client's last request.
    pub(super) id: u64,
    pub(super) stdin: DuplexStream,
    pub(super) stdout: Option<DuplexStream>,
    pub(super) unread: Vec<u8>,
    /// The id of the call that is open at the backend, and its last one.
    pub(super) open: Option<u64>,
    pub(super) next: u64,
    /// What the backend has told in the course of the call, and the client heard.
    pub(super) told: Vec<u64>,
    pub(super) heard: Vec<u64>,
    pub(super) questions: BTreeMap<String, Question>,
    /// What a legacy client is being asked: its id, and the question's label.
    pub(super) asked: BTreeMap<u64, String>,
    /// What it was asked before: answered, or taken back.
    pub(super) settled: BTreeSet<u64>,
    /// What it answered.
    pub(super) answered: BTreeSet<String>,
    /// What a modern client is asked to come back with.
    pub(super) round: Option<Value>,
    /// What the backend asked in its round that is under way, by keys.
    pub(super) wants: HashMap<String, String>,
    /// The response that the backend gave at last; none if it died.
    pub(super) given: Option<Value>,
    pub(super) died: bool,
    pub(super) response: Option<Value>,
}

impl World {
    pub(super) fn new(client: Era, revision: Revision) -> Self {
        let (stdin, theirs) = duplex(1 << 20);
        let (stdout, ours) = duplex(1 << 20);
        let backend = Arc::new(Backend::piped(revision, theirs, ours));
        let retry = ConnectRetry {
            enabled: false,
            max_delay: Duration::ZERO,
            attempt_timeout: Duration::ZERO,
        };
        let voice = Arc::<Voice>::default();
        let caller = match client {
            Era::Modern => Caller::of(Revision::NEWEST_MODERN),
            Era::Legacy => {
                let able = Abilities::new(Some(ABLE));
                let introduction = Introduction::new(None, able, CancellationToken::new());
                Caller {
                    introduction: Some(Arc::new(introduction)),
                    voice: Some(Arc::clone(&voice)),
                    ..Caller::of(Revision::NEWEST_LEGACY)
                }
            }
        };
        let mut world = Self {
            mux: Arc::new(Mux::of(
                vec![backend],
                retry,
                Arc::default(),
                Arc::default(),
                &PolicySettings::default(),
                Arc::default(),
            )),
            caller,
            voice,
            revision,
            stream: None,
            id: 0,
            stdin,
            stdout: Some(stdout),
            unread: Vec::new(),
            open: None,
            next: 0,
            told: Vec::new(),
            heard: Vec::new(),
            questions: BTreeMap::new(),
            asked: BTreeMap::new(),
            settled: BTreeSet::new(),
            answered: BTreeSet::new(),
            round: None,
            wants: HashMap::new(),
            given: None,
            died: false,
            response: None,
        };
        world.request(&json!({}), None);
        world
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The client's request, again with what it has answered.
    pub(super) fn request(&mut self, responses: &Value, state: Option<&Value>) {
        self.id = 1000 + self.number();
        let mut params = json!({ "_meta": { "progressToken": format!("t{}", self.id) } });
        if self.caller.era() == Era::Modern {
            let abilities: Value = serde_json::from_str(ABLE).unwrap();
            params["_meta"][meta::CLIENT_CAPABILITIES] = abilities;
            params["_meta"][meta::LOG_LEVEL] = json!("debug");
        }
        if let Some(state) = state {
            params["inputResponses"] = responses.clone();
            params["requestState"] = state.clone();
        }
        let request = Message::request(&Id::from(self.id), "x/ask", &params.to_string());
        self.stream = Some(self.mux.relay(self.caller.clone(), request));
    }

    pub(super) async fn settle(&mut self) {
        for _ in 0..32 {
            yield_now().await;
        }
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = tokio::select! {
                biased;
                read = self.stdin.read(&mut buffer) => read.unwrap(),
                () = yield_now() => 0,
            };
            if read == 0 {
                break;
            }
            self.unread.extend_from_slice(&buffer[..read]);
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.backend_hears(&serde_json::from_slice(&line).unwrap());
        }
    }

    fn backend_hears(&mut self, message: &Value) {
        if message["method"] == "x/ask" {
            assert_eq!(self.open, None, "one call at a time");
            self.open = message["id"].as_u64().filter(|_| self.stdout.is_some());
            let wants = std::mem::take(&mut self.wants);
            let params = &message["params"];
            if self.revision.era() == Era::Legacy {
                assert_eq!(params.get("inputResponses"), None);
            } else if params.get("requestState").is_some() {
                let got = params["inputResponses"].as_object().unwrap();
                assert!(got.keys().all(|key| wants.contains_key(key)));
                for (key, label) in wants {
                    self.answer_comes(&label, got.get(&key));
                }
            }
        } else if message.get("method").is_none() {
            let label = message["id"].as_str().expect("an id of the backend");
            self.answer_comes(label, message.get("result"));
        } else {
            let method = &message["method"];
            panic!("the backend gets {method} though nobody cancels");
        }
    }

    fn answer_comes(&mut self, label: &str, result: Option<&Value>) {
        let got = result.map(|result| result["content"]["label"].as_str().unwrap().to_owned());
        let question = self.questions.get_mut(label).expect("a question");
        question.got.push(got);
    }

    pub(super) async fn say(&mut self, message: Value) {
        if let Some(stdout) = &mut self.stdout {
            let line = format!("{message}\n");
            stdout.write_all(line.as_bytes()).await.unwrap();
        }
    }

    /// The client takes all that there is for it.
    pub(super) fn take(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(stream) = &mut self.stream {
            let Poll::Ready(item) = Pin::new(stream).poll_next(&mut cx) else {
                return;
            };
            let item = item.expect("a response before the end");
            let message = item.expect("an answer in words");
            let message: Value = serde_json::from_str(message.text()).unwrap();
            self.client_hears(&message);
            if message.get("method").is_none() {
                let stream = self.stream.as_mut().unwrap();
                let after = Pin::new(stream).poll_next(&mut cx);
                assert!(matches!(after, Poll::Ready(None)), "nothing after it");
                self.stream = None;
            }
        }
    }

    fn client_hears(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            Some("notifications/progress") => {
                assert_eq!(params["progressToken"], format!("t{}", self.id));
                self.heard.push(params["progress"].as_u64().unwrap());
            }
            Some("notifications/message") => self.heard.push(params["data"].as_u64().unwrap()),
            Some("notifications/cancelled") => {
                let id = params["requestId"].as_u64().unwrap();
                // It may have answered already.
                let open = self.asked.remove(&id).is_some();
                assert!(open || self.settled.contains(&id), "it was asked this");
                self.settled.insert(id);
            }
            Some("elicitation/create") => {
                assert_eq!(self.caller.era(), Era::Legacy);
                let id = message["id"].as_u64().unwrap();
                let label = params["message"].as_str().unwrap().to_owned();
                assert!(!self.settled.contains(&id));
                assert_eq!(self.asked.insert(id, label), None, "an id is used once");
            }
            Some(other) => panic!("the client gets {other}"),
            None => {
                assert_eq!(message["id"], self.id);
                if message["result"]["resultType"] == "input_required" {
                    assert_eq!(self.caller.era(), Era::Modern);
                    self.round = Some(message["result"].clone());
                } else {
                    assert_eq!(self.response, None, "one response");
                    self.response = Some(message.clone());
                }
            }
        }
    }
}
