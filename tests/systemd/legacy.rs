//! A client of the legacy era, which has a session, with a new connection for
//! every request; and the server behind, which writes down what it was asked.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::{
    client::{Answer, PATIENCE, converse, parse},
    installation::{Setup, shell},
};

const REVISION: &str = "2025-11-25";
const ADDRESS: (&str, u16) = ("127.0.0.1", 8080);

/// The resource that the server has.
pub(crate) const RESOURCE: &str = "x:y";

/// A client with a session.
pub(crate) struct Legacy {
    session: String,
    next: AtomicU64,
}

/// A session's stream.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Legacy {
    /// One that has begun a session.
    pub(crate) fn begin() -> Self {
        let params = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let reply = post("", &message).unwrap();
        let head = reply.split("\r\n\r\n").next().unwrap();
        let session = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            (name.eq_ignore_ascii_case("mcp-session-id")).then(|| value.to_owned())
        });
        Self {
            session: session.expect("a session"),
            next: AtomicU64::new(1),
        }
    }

    /// The session's id.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Sends a request.
    pub(crate) fn request(&self, method: &str, params: &Value) -> io::Result<Answer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let headers = format!(
            "Mcp-Session-Id: {}\r\nMCP-Protocol-Version: {REVISION}\r\n",
            self.session
        );
        let reply = post(&headers, &message)?;
        parse(&reply).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("cut off: {reply:?}"))
        })
    }

    /// Has the server write `text` down, and returns what it answers.
    pub(crate) fn note(&self, text: &str) -> io::Result<Answer> {
        let params = json!({ "name": "notes__note", "arguments": { "text": text } });
        self.request("tools/call", &params)
    }

    /// Checks that the session goes on.
    #[track_caller]
    pub(crate) fn assert_known(&self) {
        let answer = self.note("known").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.message["result"]["content"][0]["text"], "known");
    }

    /// Subscribes to the server's resource.
    #[track_caller]
    pub(crate) fn subscribe(&self) {
        let answer = self.request("resources/subscribe", &json!({ "uri": RESOURCE }));
        assert_eq!(answer.unwrap().message["result"], json!({}));
    }

    /// Opens the session's stream.
    #[track_caller]
    pub(crate) fn stream(&self) -> Stream {
        let mut stream = TcpStream::connect(ADDRESS).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
             Mcp-Session-Id: {}\r\nMCP-Protocol-Version: {REVISION}\r\n\r\n",
            self.session
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let status = stream.line().unwrap();
        assert!(status.contains(" 200 "), "{status}");
        // The head's end.
        while !stream.line().unwrap().is_empty() {}
        stream
    }
}

impl Stream {
    /// The next message; none at the stream's end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line()?;
            let data = line.strip_prefix("data:").map(str::trim);
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Waits until the stream is told that the server's resource may have changed.
    #[track_caller]
    pub(crate) fn assert_updated(&mut self) {
        let message = self.next().expect("an update");
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"]["uri"], RESOURCE);
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or_default();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

fn post(headers: &str, message: &Value) -> io::Result<String> {
    let body = message.to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(stream, &request)
}

/// The backend `notes`: it writes down each text, subscription and descriptor.
pub(crate) fn notes() -> String {
    let script = r#"
import json, os, sys
folder = os.path.expanduser("~/scratch/")
notes = open(folder + "notes", "a", buffering=1)
with open(folder + "descriptors", "a") as out:
    for fd in os.listdir("/proc/self/fd"):
        try: out.write(os.readlink("/proc/self/fd/" + fd) + "\n")
        except OSError: pass
tool = {"name": "note", "inputSchema": {"type": "object"}}
results = {
    "initialize": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "notes", "version": "1"},
                   "capabilities": {"tools": {}, "resources": {"subscribe": True}}},
    "tools/list": {"tools": [tool]},
    "resources/list": {"resources": [{"uri": "x:y", "name": "y"}]},
    "resources/templates/list": {"resourceTemplates": []},
    "resources/subscribe": {},
    "resources/unsubscribe": {},
}
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if id is None: continue
    answer = {"jsonrpc": "2.0", "id": id}
    if method == "tools/call":
        text = message["params"]["arguments"]["text"]
        notes.write(text + "\n")
        answer["result"] = {"content": [{"type": "text", "text": text}]}
    elif method in results:
        if method == "resources/subscribe": notes.write(method + "\n")
        answer["result"] = results[method]
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
"#;
    let file = "\"$HOME/scratch/server.py\"";
    let write = format!("cat > {file} <<'END'{script}END\n");
    shell("notes", &format!("{write}exec python3 {file}"))
}

impl Setup<'_> {
    /// Makes room for what the backend [`notes`] writes down.
    pub(crate) fn with_notes(self) -> Self {
        for file in ["notes", "descriptors", "server.py"] {
            self.write(&format!("scratch/{file}"), "");
        }
        self
    }

    /// The lines that it has written down.
    pub(crate) fn noted(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(&format!("scratch/{file}"))).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
