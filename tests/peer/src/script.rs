//! What a peer does and what it reports: the words that the test harness and
//! the peer share. The peer's other files act on them.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// How a peer behaves, read from `script.json` in its directory when it starts
/// and replaceable while it runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Script {
    /// Done once before anything is read.
    pub start: Vec<Step>,
    /// What follows a message, looked up by the HTTP request's path, by `method
    /// qualifier` (a `requestState`, a tool's name, a page's cursor), then by `method`; a response by `response id`; HTTP requests without a message by
    /// their HTTP method; the end of stdin by `end`. The n-th such message runs the n-th list of steps, and
    /// the last list serves all further ones.
    pub on: HashMap<String, Vec<Vec<Step>>>,
}

/// One thing that a peer does. In texts `$ID` stands for the id of the request
/// being answered and `$TOKEN` for its progress token, both as they came, and
/// `$MARK` for the string in its argument `mark`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Sends this text as one message: a line, a JSON body or an SSE event.
    Send(String),
    /// Writes this text with no framing of messages around it.
    Bytes(String),
    /// Writes this text one byte at a time, with no framing around it.
    Drip(String),
    /// Writes one line of this many bytes that never becomes a message.
    LongLine(usize),
    /// Writes this many bytes of lines to stderr.
    FloodStderr(usize),
    /// Writes this line to stderr.
    Stderr(String),
    /// Waits this many milliseconds, or until the other side is gone.
    Wait(u64),
    /// Waits until the harness opens this gate, or a message of this key has come, or
    /// until the other side is gone.
    Await(String),
    /// Starts this many processes that ignore SIGTERM.
    Grandchildren(usize),
    /// Ends the process with this code.
    Exit(i32),
    /// Answers the HTTP request with an event stream, with these extra headers.
    Sse(Vec<(String, String)>),
    /// Puts these headers on the HTTP answer that follows.
    Headers(Vec<(String, String)>),
    /// Answers the HTTP request with exactly this.
    Respond {
        /// The status line's number.
        status: u16,
        /// Headers beside `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Passes on what the harness emits from now on, until the other side is gone.
    Relay,
    /// Sends this message to whoever relays, once somebody does.
    Emit(String),
    /// Sends this message again and again until the other side is gone.
    Endless(String),
    /// Closes the connection in the middle of whatever was under way.
    Close,
    /// Ends the connection with a TCP reset.
    Reset,
}

/// What a peer tells the harness, in the order in which it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A process of this peer runs.
    Start {
        /// Its id.
        pid: u32,
        /// Its arguments without the program.
        args: Vec<String>,
        /// Its working directory.
        cwd: String,
        /// Its whole environment.
        env: BTreeMap<String, String>,
    },
    /// The HTTP peer accepts connections here.
    Listening(String),
    /// A process that ignores SIGTERM was started, with this id.
    Grandchild(u32),
    /// A line came on stdin.
    Message(String),
    /// Stdin ended.
    EndOfInput,
    /// The n-th connection was accepted.
    Connected(usize),
    /// An HTTP request came.
    Request(Request),
    /// This key's steps pass on from now on what the harness emits.
    Relaying(String),
    /// All that happened before this [`Command::Sync`] came has been told.
    Synced(usize),
    /// The other side went away while this key's steps were under way.
    Gone(String),
}

/// An HTTP request as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// The HTTP method.
    pub method: String,
    /// The request target.
    pub path: String,
    /// The header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer coding.
    pub body: String,
}

impl Request {
    /// The first header field of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the harness tells a running peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Opens a gate for all that wait at it, now or later.
    Open(String),
    /// Sends this message to whoever [`Step::Relay`] serves; over stdio, when
    /// nobody does, as a line of its own.
    Emit(String),
    /// Replaces the script.
    Script(Script),
    /// Is answered by [`Event::Synced`] with the same number.
    Sync(usize),
    /// Ends the process with this code.
    Exit(i32),
}
