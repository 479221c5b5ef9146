//! A client of either era over HTTP. It writes messages as the test spells them
//! and gives back what came, undecoded.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Connection, Mux, Reply, at, elements, eventually, member, text};

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// `initialize` of this revision, then a session.
    Legacy(&'static str),
    /// Stateless requests of 2026-07-28.
    Modern,
}

/// A client of one era; safe to use from several threads, a connection a request.
pub struct Client {
    address: SocketAddr,
    era: Era,
    abilities: &'static str,
    session: Option<String>,
    initialized: String,
    next: AtomicU64,
}

/// All that a request brought.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether it came as an event stream.
    pub streamed: bool,
    /// The messages before the response, in order.
    pub before: Vec<String>,
    /// The response.
    pub response: String,
}

impl Client {
    /// An initialised client of the newest legacy revision.
    #[track_caller]
    pub fn legacy(mux: &Mux) -> Self {
        Self::new(mux, Era::Legacy("2025-11-25"))
    }

    /// A client of 2026-07-28.
    pub fn modern(mux: &Mux) -> Self {
        Self::new(mux, Era::Modern)
    }

    /// A client of this era, initialised where the era has that.
    #[track_caller]
    pub fn new(mux: &Mux, era: Era) -> Self {
        Self::able(mux, era, "{}")
    }

    /// A client of this era with these capabilities.
    #[track_caller]
    pub fn able(mux: &Mux, era: Era, abilities: &'static str) -> Self {
        Self::of(mux.address(), era, abilities)
    }

    /// A client of whatever listens at this address.
    #[track_caller]
    pub fn of(address: SocketAddr, era: Era, abilities: &'static str) -> Self {
        let mut client = Self {
            address,
            era,
            abilities,
            session: None,
            initialized: String::new(),
            next: AtomicU64::new(1),
        };
        if let Era::Legacy(version) = era {
            let reply = client.start(&initialize_able(version, abilities));
            assert_eq!(reply.status, 200, "initialize");
            client.session = reply.header("mcp-session-id").map(str::to_owned);
            client.initialized = Answer::read(reply).result();
            client.notify(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        }
        client
    }

    /// Waits until mcpmux lists a tool of this name. A legacy client that comes
    /// before that is told later of what it has missed since.
    #[track_caller]
    pub fn wait_for(mux: &Mux, tool: &str) {
        Self::modern(mux).tool(tool);
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        self.session
            .as_deref()
            .expect("a legacy client has a session")
    }

    /// The result of `initialize`.
    pub fn initialized(&self) -> &str {
        &self.initialized
    }

    /// The headers that belong to a message of this method and name.
    pub fn headers(&self, method: Option<&str>, name: Option<&str>) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
        ];
        match self.era {
            Era::Legacy(version) => {
                if let Some(session) = &self.session {
                    headers.push(("Mcp-Session-Id", session.clone()));
                    headers.push(("MCP-Protocol-Version", version.to_owned()));
                }
            }
            Era::Modern => {
                headers.push(("MCP-Protocol-Version", "2026-07-28".to_owned()));
                headers.extend(method.map(|method| ("Mcp-Method", method.to_owned())));
                headers.extend(name.map(|name| ("Mcp-Name", name.to_owned())));
            }
        }
        headers
    }

    /// Spells a request: `members` are those of `params` beside `_meta`.
    pub fn spell(&self, id: &str, method: &str, token: Option<&str>, members: &str) -> String {
        let mut meta = String::new();
        if self.era == Era::Modern {
            let abilities = self.abilities;
            meta += &format!(
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"test","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{abilities}"#
            );
        }
        if let Some(token) = token {
            let comma = if meta.is_empty() { "" } else { "," };
            meta += &format!(r#"{comma}"progressToken":{token}"#);
        }
        let meta = if meta.is_empty() {
            meta
        } else {
            format!(r#""_meta":{{{meta}}}"#)
        };
        let comma = if meta.is_empty() || members.is_empty() {
            ""
        } else {
            ","
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members}{comma}{meta}}}}}"#
        )
    }

    /// Posts this message with the headers that belong to it.
    #[track_caller]
    pub fn start(&self, message: &str) -> Reply {
        self.post(message).reply()
    }

    /// Posts this message and reads nothing.
    #[track_caller]
    pub fn post(&self, message: &str) -> Connection {
        let method = member(message, "method").map(|method| text(&method));
        let named_by = match method.as_deref() {
            Some("resources/read") => "uri",
            Some("tasks/get" | "tasks/update" | "tasks/cancel") => "taskId",
            _ => "name",
        };
        let name = member(message, "params")
            .filter(|params| params.starts_with('{'))
            .and_then(|params| member(&params, named_by))
            .and_then(|name| serde_json::from_str::<String>(&name).ok());
        let headers = self.headers(method.as_deref(), name.as_deref());
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut connection = Connection::open(self.address);
        connection
            .request("POST", "/mcp", &headers, message)
            .expect("mcpmux reads the request");
        connection
    }

    /// Posts this request and reads the whole answer.
    #[track_caller]
    pub fn send(&self, message: &str) -> Answer {
        Answer::read(self.start(message))
    }

    /// Posts this notification, which must be accepted.
    #[track_caller]
    pub fn notify(&self, message: &str) {
        let reply = self.start(message);
        let status = reply.status;
        let body = reply.text();
        assert_eq!(
            (status, body.as_str()),
            (202, ""),
            "the answer to {message}"
        );
    }

    /// Ends the session.
    #[track_caller]
    pub fn leave(&self) {
        let headers = self.headers(None, None);
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut connection = Connection::open(self.address);
        connection
            .request("DELETE", "/mcp", &headers, "")
            .expect("mcpmux reads the request");
        assert_eq!(connection.reply().status, 204);
    }

    /// A fresh id.
    pub fn id(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Sends a request with a fresh id.
    #[track_caller]
    pub fn request(&self, method: &str, members: &str) -> Answer {
        self.send(&self.spell(&self.id(), method, None, members))
    }

    /// Calls a tool; `arguments` are absent where there are none.
    #[track_caller]
    pub fn call(&self, tool: &str, arguments: Option<&str>) -> Answer {
        self.request("tools/call", &call(tool, arguments))
    }

    /// Calls a tool without arguments and asks for progress under this token.
    #[track_caller]
    pub fn call_with_token(&self, tool: &str, token: &str) -> Answer {
        self.send(&self.spell(&self.id(), "tools/call", Some(token), &call(tool, None)))
    }

    /// Sends a request and gives each request that comes in its course the
    /// result that `answer` has for it.
    #[track_caller]
    pub fn converse(&self, message: &str, answer: impl Fn(&str) -> String) -> Answer {
        let mut reply = self.start(message);
        if !reply.streams() {
            return Answer::read(reply);
        }
        let mut said = Answer {
            status: reply.status,
            streamed: true,
            before: Vec::new(),
            response: String::new(),
        };
        while let Some(event) = reply.event() {
            let asks = member(&event, "method").is_some();
            if asks && let Some(id) = member(&event, "id") {
                let result = answer(&event);
                self.notify(&format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
                ));
            }
            if asks {
                said.before.push(event);
            } else {
                assert_eq!(said.response, "", "one response, then {event}");
                said.response = event;
            }
        }
        said
    }

    /// The definitions of all tools.
    #[track_caller]
    pub fn tools(&self) -> Vec<String> {
        elements(&at(&self.request("tools/list", "").result(), &["tools"]))
    }

    /// The result of one of the lists, which is waited for until it holds `text`.
    #[track_caller]
    pub fn list(&self, method: &str, text: &str) -> String {
        eventually(&format!("{text} in {method}"), || {
            let result = self.request(method, "").result();
            result.contains(text).then_some(result)
        })
    }

    /// The names of all tools in order.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        self.tools()
            .iter()
            .map(|tool| text(&at(tool, &["name"])))
            .collect()
    }

    /// Waits until the tools have exactly these names.
    #[track_caller]
    pub fn await_names(&self, names: &[&str]) {
        eventually(&format!("tools {names:?}"), || {
            (self.names() == names).then_some(())
        });
    }

    /// The definition of one tool, which is waited for.
    #[track_caller]
    pub fn tool(&self, name: &str) -> String {
        let quoted = format!("{name:?}");
        eventually(&format!("tool {name}"), || {
            self.tools()
                .into_iter()
                .find(|tool| at(tool, &["name"]) == quoted)
        })
    }

    /// Opens the stream on which changes are told, and takes the
    /// acknowledgement where the era has one.
    #[track_caller]
    pub fn listen(&self) -> Reply {
        self.listen_to(r#""toolsListChanged":true"#)
    }

    /// As [`listen`](Self::listen); these members are what a modern client asks
    /// to be told.
    #[track_caller]
    pub fn listen_to(&self, filter: &str) -> Reply {
        if self.era == Era::Modern {
            let message = self.spell(
                &self.id(),
                "subscriptions/listen",
                None,
                &format!(r#""notifications":{{{filter}}}"#),
            );
            let mut reply = self.start(&message);
            assert!(
                reply.streams(),
                "subscriptions/listen brings a stream, not {}",
                reply.status
            );
            let first = reply.event().expect("an acknowledgement");
            assert_eq!(
                text(&at(&first, &["method"])),
                "notifications/subscriptions/acknowledged"
            );
            return reply;
        }
        self.stream(&[])
    }

    /// Opens a legacy session's stream with these further headers.
    #[track_caller]
    pub fn stream(&self, further: &[(&str, &str)]) -> Reply {
        let mut connection = Connection::open(self.address);
        let headers = self.headers(None, None);
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(further.iter().copied())
            .collect();
        connection
            .request("GET", "/mcp", &headers, "")
            .expect("mcpmux reads the request");
        let reply = connection.reply();
        assert!(
            reply.status == 200 && reply.streams(),
            "GET brings a stream, not {}",
            reply.status
        );
        reply
    }
}

impl Answer {
    /// Reads a reply to its end; nothing may follow the response.
    #[track_caller]
    pub fn read(mut reply: Reply) -> Self {
        let (status, streamed) = (reply.status, reply.streams());
        let mut before = Vec::new();
        if streamed {
            while let Some(event) = reply.event() {
                before.push(event);
            }
        } else {
            before.push(reply.text());
        }
        let response = before.pop().unwrap_or_default();
        if let Some(early) = before
            .iter()
            .find(|message| member(message, "method").is_none())
        {
            panic!("messages follow the response {early:.500}");
        }
        Self {
            status,
            streamed,
            before,
            response,
        }
    }

    /// The result as it is spelled.
    #[track_caller]
    pub fn result(&self) -> String {
        member(&self.response, "result")
            .unwrap_or_else(|| panic!("no result: {:.1000}", self.response))
    }

    /// The error's code and message.
    #[track_caller]
    pub fn error(&self) -> (i64, String) {
        let error = member(&self.response, "error")
            .unwrap_or_else(|| panic!("no error: {:.1000}", self.response));
        let code = at(&error, &["code"]);
        (
            code.parse()
                .unwrap_or_else(|_| panic!("an odd code {code}")),
            text(&at(&error, &["message"])),
        )
    }
}

/// An `initialize` request of a client without capabilities.
pub fn initialize(version: &str) -> String {
    initialize_able(version, "{}")
}

/// An `initialize` request of a client with these capabilities.
pub fn initialize_able(version: &str, abilities: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"init","method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{abilities},"clientInfo":{{"name":"test","version":"1"}}}}}}"#
    )
}

fn call(tool: &str, arguments: Option<&str>) -> String {
    let arguments = arguments
        .map(|arguments| format!(r#","arguments":{arguments}"#))
        .unwrap_or_default();
    format!(r#""name":"{tool}"{arguments}"#)
}
