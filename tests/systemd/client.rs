//! A client of mcpmux that opens a new connection for every call, so that what
//! happens to connections shows.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

const REVISION: &str = "2026-07-28";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where mcpmux listens.
#[derive(Debug, Clone)]
pub(crate) enum Client {
    Tcp(u16),
    Unix(PathBuf),
}

/// What came back: the HTTP status, and the JSON-RPC message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) message: Value,
}

impl Client {
    /// At the port of the shipped socket unit.
    pub(crate) fn shipped() -> Self {
        Self::Tcp(8080)
    }

    /// Calls a tool over a connection of its own.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> io::Result<Answer> {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {
                "name": tool, "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": REVISION,
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        })
        .to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: {REVISION}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = match self {
            Self::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                converse(stream, &request)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                converse(stream, &request)
            }
        }?;
        parse(&reply).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("cut off: {reply:?}"))
        })
    }

    /// Has a demo server echo a text and returns what came back.
    pub(crate) fn echo(&self, backend: &str, text: &str) -> Result<String, String> {
        let answer = self
            .call(&format!("{backend}__echo"), &json!({ "message": text }))
            .map_err(|error| error.to_string())?;
        answer.message["result"]["content"][0]["text"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{answer:?}"))
    }

    /// Checks that a demo server answers.
    #[track_caller]
    pub(crate) fn assert_echo(&self, backend: &str) {
        assert_eq!(self.echo(backend, "hello").as_deref(), Ok("hello"));
    }
}

pub(crate) fn converse(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

/// None if the reply is not complete.
pub(crate) fn parse(reply: &str) -> Option<Answer> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = if head.contains("transfer-encoding: chunked") {
        whole(body)?
    } else {
        body.to_owned()
    };
    let json = if head.contains("text/event-stream") {
        body.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .next_back()?
    } else {
        &body
    };
    Some(Answer {
        status,
        message: serde_json::from_str(json).ok()?,
    })
}

/// A chunked body in one piece (RFC 9112, section 7.1).
fn whole(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        chunks = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}
