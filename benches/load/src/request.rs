//! The requests of a measured client: which call is made, what its bytes are
//! in either era, and whether a reply to it is right.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    backend::{Era, answer::PROGRESS},
    wire::Reply,
};

/// What a client asks for, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `tools/call` of `echo` with a text of so many bytes, which comes back.
    Echo(usize),
    /// `tools/list`, which must give so many tools.
    List(usize),
    /// `tools/call` of `echo` that reports progress so many times before its
    /// response.
    Progress(usize),
    /// `tools/call` of a tool that there is not for this client, which must give an
    /// error.
    Nothing,
}

/// Where requests go and in which words.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The server's address.
    pub address: SocketAddr,
    /// The path of its MCP endpoint.
    pub path: String,
    /// The name under which it offers the tool `echo`.
    pub tool: String,
    /// The API key that requests carry.
    pub key: Option<String>,
}

impl Endpoint {
    /// The header that shows the key, if there is one.
    fn authorization(&self) -> String {
        self.key.as_ref().map_or_else(String::new, |key| {
            format!("Authorization: Bearer {key}\r\n")
        })
    }
}

/// The progress token of measured requests.
const TOKEN: &str = "bench";

/// The ids of measured requests start here: all have the same number of
/// digits, so that requests and replies differ in nothing but the id.
const FIRST_ID: u32 = 10_000_000;

/// A request that differs from the next of its kind only in its id.
#[derive(Debug)]
pub struct Repeated {
    bytes: Vec<u8>,
    id_at: usize,
    id: u32,
}

impl Call {
    /// This call as an HTTP request to `endpoint`, ready to be repeated.
    pub fn request(self, endpoint: &Endpoint, era: Era, session: Option<&str>) -> Repeated {
        let (method, mut params) = match self {
            Self::Echo(size) => (
                "tools/call",
                json!({ "name": endpoint.tool, "arguments": { "text": "x".repeat(size) } }),
            ),
            Self::List(_) => ("tools/list", json!({})),
            Self::Nothing => (
                "tools/call",
                json!({ "name": endpoint.tool, "arguments": {} }),
            ),
            Self::Progress(count) => {
                let text = format!("{PROGRESS} {count}");
                let arguments = json!({ "text": text });
                (
                    "tools/call",
                    json!({ "name": endpoint.tool, "arguments": arguments }),
                )
            }
        };
        if era == Era::Modern {
            params["_meta"] = modern_meta();
        }
        if let Self::Progress(_) = self {
            params["_meta"]["progressToken"] = json!(TOKEN);
        }
        let name = (!matches!(self, Self::List(_))).then_some(endpoint.tool.as_str());
        // Built by hand to know where the id is.
        let opening = r#"{"jsonrpc":"2.0","id":"#;
        let body = format!(r#"{opening}{FIRST_ID},"method":"{method}","params":{params}}}"#);
        let bytes = post(endpoint, era, session, method, name, &body);
        let id_at = bytes.len() - body.len() + opening.len();
        Repeated {
            bytes,
            id_at,
            id: FIRST_ID,
        }
    }

    /// How many messages the answer has.
    pub fn messages(self) -> usize {
        match self {
            Self::Echo(_) | Self::List(_) | Self::Nothing => 1,
            Self::Progress(count) => count + 1,
        }
    }

    /// Whether `reply` is a right answer to this call; if not, why not.
    pub fn check(self, reply: &Reply) -> Result<(), String> {
        if reply.status != 200 {
            return Err(format!("status {}: {}", reply.status, excerpt(&reply.body)));
        }
        let message = message(reply)?;
        let right = match self {
            Self::Echo(size) => message["result"]["content"][0]["text"]
                .as_str()
                .is_some_and(|text| text.len() == size),
            Self::List(count) => message["result"]["tools"]
                .as_array()
                .is_some_and(|tools| tools.len() == count),
            Self::Nothing => message["error"]["code"].is_i64(),
            Self::Progress(count) => {
                let own = format!(r#""progressToken":"{TOKEN}""#);
                let reports = String::from_utf8_lossy(&reply.body).matches(&own).count();
                reports == count && message["result"]["content"].is_array()
            }
        };
        if right {
            Ok(())
        } else {
            Err(format!("not the expected answer: {}", excerpt(&reply.body)))
        }
    }
}

impl Repeated {
    /// The id that it has now.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The request, with a new id.
    pub fn renew(&mut self) -> &[u8] {
        self.id += 1;
        let digits = self.id.to_string();
        self.bytes[self.id_at..self.id_at + digits.len()].copy_from_slice(digits.as_bytes());
        &self.bytes
    }
}

/// `initialize`, which begins a legacy session (`basic/lifecycle`).
pub fn initialize(endpoint: &Endpoint) -> Vec<u8> {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": Era::Legacy.version(),
            "capabilities": {},
            "clientInfo": { "name": "mcpmux-load", "version": "0" },
        },
    });
    post(
        endpoint,
        Era::Legacy,
        None,
        "initialize",
        None,
        &body.to_string(),
    )
}

/// `notifications/initialized`, which ends the legacy handshake.
pub fn initialized(endpoint: &Endpoint, session: Option<&str>) -> Vec<u8> {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    post(
        endpoint,
        Era::Legacy,
        session,
        "notifications/initialized",
        None,
        body,
    )
}

/// `GET`, which opens the stream of a legacy session.
pub fn stream(endpoint: &Endpoint, session: &str) -> Vec<u8> {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: {}\r\n{}\r\n",
        endpoint.path,
        endpoint.address,
        Era::Legacy.version(),
        endpoint.authorization()
    )
    .into_bytes()
}

/// A call of the tool `echo` with this text, in a legacy session.
pub fn echo(endpoint: &Endpoint, session: Option<&str>, text: &str) -> Vec<u8> {
    let body = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": endpoint.tool, "arguments": { "text": text } },
    });
    post(
        endpoint,
        Era::Legacy,
        session,
        "tools/call",
        Some(&endpoint.tool),
        &body.to_string(),
    )
}

/// `notifications/cancelled` for the request `id`.
pub fn cancelled(endpoint: &Endpoint, session: &str, id: u32) -> Vec<u8> {
    let method = "notifications/cancelled";
    let body = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": id } });
    let body = body.to_string();
    post(endpoint, Era::Legacy, Some(session), method, None, &body)
}

/// `subscriptions/listen` of a modern client to changes of tools.
pub fn listen(endpoint: &Endpoint) -> Vec<u8> {
    let method = "subscriptions/listen";
    let params = json!({ "notifications": { "toolsListChanged": true }, "_meta": modern_meta() });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    post(endpoint, Era::Modern, None, method, None, &body.to_string())
}

/// `DELETE`, which ends a legacy session.
pub fn farewell(endpoint: &Endpoint, session: &str) -> Vec<u8> {
    format!(
        "DELETE {} HTTP/1.1\r\nHost: {}\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: {}\r\n{}\r\n",
        endpoint.path,
        endpoint.address,
        Era::Legacy.version(),
        endpoint.authorization()
    )
    .into_bytes()
}

/// The JSON-RPC message in `reply`: its body, or the last event of its stream.
pub fn message(reply: &Reply) -> Result<Value, String> {
    let text = std::str::from_utf8(&reply.body).map_err(|_| "the reply is not UTF-8".to_owned())?;
    let json = if reply.events {
        text.lines()
            .rev()
            .find_map(|line| line.strip_prefix("data:"))
            .unwrap_or_default()
    } else {
        text
    };
    serde_json::from_str(json)
        .map_err(|_| format!("the reply is not JSON: {}", excerpt(&reply.body)))
}

fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": Era::Modern.version(),
        "io.modelcontextprotocol/clientInfo": { "name": "mcpmux-load", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn post(
    endpoint: &Endpoint,
    era: Era,
    session: Option<&str>,
    method: &str,
    name: Option<&str>,
    body: &str,
) -> Vec<u8> {
    let mut head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {}\r\nContent-Length: {}\r\n",
        endpoint.path,
        endpoint.address,
        era.version(),
        body.len()
    );
    let mut header = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
    if let Some(session) = session {
        header("Mcp-Session-Id", session);
    }
    if era == Era::Modern {
        header("Mcp-Method", method);
        if let Some(name) = name {
            header("Mcp-Name", name);
        }
    }
    head.push_str(&endpoint.authorization());
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_requests_differ_in_their_id_only() {
        let endpoint = Endpoint {
            address: ([127, 0, 0, 1], 80).into(),
            path: "/mcp".to_owned(),
            tool: "echo".to_owned(),
            key: None,
        };
        let mut request = Call::Echo(64).request(&endpoint, Era::Modern, None);
        let first = request.renew().to_vec();
        let second = request.renew().to_vec();
        let differing: Vec<_> = (0..first.len())
            .filter(|&at| first[at] != second[at])
            .collect();
        assert_eq!((first.len(), differing.len()), (second.len(), 1));
        assert!(second.windows(9).any(|part| part == b"10000002,"));
    }
}
