//! One message and what follows it: the steps of the script, whatever carries
//! them.

use std::{
    collections::HashMap,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    script::{Event, Step},
    stage::Stage,
};

/// Where the steps of an exchange take effect.
pub trait Carrier {
    /// Sends one message.
    fn send(&mut self, message: &str);
    /// Writes bytes that are no message.
    fn bytes(&mut self, bytes: &[u8]);
    /// Whether the other side is gone.
    fn gone(&self) -> bool;
    /// Does a step that only this carrier knows.
    fn special(&mut self, step: Step);
}

/// What has to be known of a message to choose and run its steps.
#[derive(Debug, Default)]
pub struct Cue {
    /// Where to look in the script, most specific first.
    pub keys: Vec<String>,
    /// The request's id as it came; `null` where it has none.
    pub id: String,
    /// The request's progress token as it came; `null` where it has none.
    pub token: String,
    /// The string in the argument `mark`; empty where there is none.
    pub mark: String,
    /// Whether the message asks for an answer.
    pub request: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    method: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    name: Option<String>,
    cursor: Option<String>,
    #[serde(borrow, rename = "requestState")]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    token: Option<&'a RawValue>,
}

impl Cue {
    /// Reads what it takes from a message; `None` when it is none.
    pub fn of(message: &str) -> Option<Self> {
        let envelope: Envelope<'_> = serde_json::from_str(message).ok()?;
        let raw = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
        let method = envelope.method.unwrap_or_else(|| "response".to_owned());
        let mut keys = Vec::new();
        let mut token = None;
        let mut mark = None;
        if let Some(params) = envelope.params {
            let state = params.state.and_then(|state| text(state.get()));
            keys.extend(state.map(|state| format!("{method} {state}")));
            mark = params.arguments.and_then(|arguments| {
                let arguments: HashMap<String, &RawValue> =
                    serde_json::from_str(arguments.get()).ok()?;
                text(arguments.get("mark")?.get())
            });
            keys.extend(
                params
                    .name
                    .or(params.cursor)
                    .map(|qualifier| format!("{method} {qualifier}")),
            );
            token = params.meta.and_then(|meta| meta.token);
        }
        let request = envelope.id.is_some() && method != "response";
        if method == "response" {
            keys.push(format!("response {}", raw(envelope.id)));
        }
        keys.push(method);
        Some(Self {
            keys,
            id: raw(envelope.id),
            token: raw(token),
            mark: mark.unwrap_or_default(),
            request,
        })
    }

    fn fill(&self, text: &str) -> String {
        text.replace("$ID", &self.id)
            .replace("$TOKEN", &self.token)
            .replace("$MARK", &self.mark)
    }
}

/// A JSON string's value; `None` if it is none.
fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Runs the steps of `key` in order and stops when the other side is gone.
pub fn perform(stage: &Stage, key: &str, cue: &Cue, steps: Vec<Step>, carrier: &mut impl Carrier) {
    for step in steps {
        match step {
            Step::Send(text) => carrier.send(&cue.fill(&text)),
            Step::Bytes(text) => carrier.bytes(cue.fill(&text).as_bytes()),
            Step::Drip(text) => {
                for byte in cue.fill(&text).as_bytes() {
                    carrier.bytes(&[*byte]);
                }
            }
            Step::LongLine(count) => {
                carrier.bytes(&vec![b'x'; count]);
                carrier.bytes(b"\n");
            }
            Step::FloodStderr(count) => flood(count),
            Step::Stderr(text) => eprintln!("{text}"),
            Step::Wait(time) => _ = stage.linger(Duration::from_millis(time), || carrier.gone()),
            Step::Await(gate) => _ = stage.pass(&cue.fill(&gate), || carrier.gone()),
            Step::Grandchildren(count) => (0..count).for_each(|_| stubborn(stage)),
            Step::Exit(code) => std::process::exit(code),
            Step::Relay => {
                // The carrier is asked and used in turn, never at once.
                let carrier = std::cell::RefCell::new(&mut *carrier);
                stage.relay(
                    key,
                    || carrier.borrow().gone(),
                    |text| carrier.borrow_mut().send(&cue.fill(text)),
                );
            }
            Step::Emit(text) => stage.emit(cue.fill(&text), || carrier.gone()),
            Step::Endless(text) => {
                while !carrier.gone() {
                    carrier.send(&cue.fill(&text));
                    stage.linger(Duration::from_millis(5), || carrier.gone());
                }
            }
            Step::Close | Step::Reset => return carrier.special(step),
            special => carrier.special(special),
        }
        if carrier.gone() {
            stage.tell(&Event::Gone(key.to_owned()));
            return;
        }
    }
}

fn flood(count: usize) {
    let line = [&[b'n'; 1023][..], b"\n"].concat();
    let mut stderr = std::io::stderr().lock();
    for _ in 0..count.div_ceil(line.len()) {
        if stderr.write_all(&line).is_err() {
            return;
        }
    }
}

/// Starts a process that ignores SIGTERM and holds neither pipe of ours. It
/// names the peer's directory in its environment, by which it can be found.
fn stubborn(stage: &Stage) {
    // Left alone on purpose: whoever ends the peer has to end it too.
    #[allow(clippy::zombie_processes)]
    let child = Command::new("sh")
        .args(["-c", "trap '' TERM; exec sleep 60"])
        .env("PEER_DIR", &stage.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be started");
    stage.tell(&Event::Grandchild(child.id()));
}
