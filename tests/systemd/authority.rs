//! The least that a login takes on the other side: a server that asks for a
//! token, and the authorization server that gives one to whoever comes.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// The token that it gives, in small letters.
pub(crate) const TOKEN: &str = "token-of-no-importance-1f6b";

/// A server that asks for a token, and the authorization server that gives one.
pub(crate) struct Server {
    pub(crate) at: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let own = at.clone();
        // It ends with the machine.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                thread::spawn(move || serve(&own, stream));
            }
        });
        Self { at }
    }

    pub(crate) fn backend(&self, name: &str) -> String {
        format!(
            "  - name: {name}\n    transport: http\n    endpoint: {}/mcp\n    auth: {{ type: oauth }}\n",
            self.at
        )
    }
}

/// Answers one request.
fn serve(at: &str, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or_default() == 0 {
        return;
    }
    let (mut length, mut has_token) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 || line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        has_token |= lower.trim_end() == format!("authorization: bearer {TOKEN}");
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match path {
        "/.well-known/oauth-protected-resource" | "/.well-known/oauth-protected-resource/mcp" => (
            "200 OK",
            json!({ "resource": format!("{at}/mcp"), "authorization_servers": [at] }),
        ),
        "/.well-known/oauth-authorization-server" => (
            "200 OK",
            json!({
                "issuer": at,
                "authorization_endpoint": format!("{at}/authorize"),
                "token_endpoint": format!("{at}/token"),
                "registration_endpoint": format!("{at}/register"),
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }),
        ),
        "/register" => {
            let mut client: Value = serde_json::from_slice(&body).unwrap();
            client["client_id"] = "c".into();
            ("201 Created", client)
        }
        "/token" => (
            "200 OK",
            json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600 }),
        ),
        "/mcp" if has_token => ("503 Service Unavailable", json!({})),
        "/mcp" => ("401 Unauthorized", json!({})),
        _ => ("404 Not Found", json!({})),
    };
    let body = body.to_string();
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         WWW-Authenticate: Bearer resource_metadata=\"{at}/.well-known/oauth-protected-resource\"\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
}

/// What one request is answered.
pub(crate) fn get(host: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The query of an address, of which only colons and slashes are decoded.
pub(crate) fn parameters(address: &str) -> HashMap<String, String> {
    let query = address.split_once('?').unwrap().1;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            let value = value.replace("%3A", ":").replace("%2F", "/");
            (name.to_owned(), value)
        })
        .collect()
}
