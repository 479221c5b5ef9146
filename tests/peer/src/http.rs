//! The peer as a streamable HTTP server: HTTP/1.1 by hand, one thread a
//! connection, so that a script can break every rule.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::net::{RecvFlags, recv, sockopt::set_socket_linger};

use crate::{
    exchange::{Carrier, Cue, perform},
    script::{Event, Request, Step},
    stage::Stage,
};

/// Serves on `address` until the harness ends.
pub fn serve(stage: &Arc<Stage>, address: &str) {
    let listener = TcpListener::bind(address).expect("the address is free");
    stage.obey(|_| {});
    stage.tell(&Event::Listening(
        listener.local_addr().unwrap().to_string(),
    ));
    for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
        let stage = Arc::clone(stage);
        thread::spawn(move || {
            stage.tell(&Event::Connected(number + 1));
            // A connection that breaks is the end of it; the test sees what it needs.
            _ = converse(&stage, number + 1, &stream);
        });
    }
}

fn converse(stage: &Stage, connection: usize, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader, connection)? {
        stage.tell(&Event::Request(request.clone()));
        let mut cue = Cue::of(&request.body).unwrap_or_else(|| Cue {
            keys: vec![request.method.clone()],
            ..Cue::default()
        });
        cue.keys.insert(0, request.path.clone());
        let (key, steps) = stage.steps(&cue.keys).unwrap_or_else(|| {
            let status = match (request.method.as_str(), cue.request) {
                ("POST", true) => 404,
                ("POST", false) => 202,
                _ => 405,
            };
            let body = match status {
                404 => r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32601,"message":"Method not found"}}"#
                    .replace("$ID", &cue.id),
                _ => String::new(),
            };
            let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
            (cue.keys[1].clone(), vec![Step::Respond { status, headers, body }])
        });
        let mut answer = Answer {
            stream,
            headers: Vec::new(),
            state: State::Open,
        };
        perform(stage, &key, &cue, steps, &mut answer);
        if !answer.finish() {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead, connection: usize) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        connection,
        method,
        path,
        headers,
        body: String::new(),
    };
    let mut body = Vec::new();
    if request.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request
            .header("content-length")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        reader.by_ref().take(length).read_to_end(&mut body)?;
    }
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

enum State {
    Open,
    Events,
    Done,
    Broken,
}

/// The answer to one request as far as it got.
struct Answer<'a> {
    stream: &'a TcpStream,
    headers: Vec<(String, String)>,
    state: State,
}

impl Answer<'_> {
    /// Ends what is open; false when the connection cannot carry another request.
    fn finish(&mut self) -> bool {
        match self.state {
            State::Open => self.respond(202, Vec::new(), ""),
            State::Events => self.write(b"0\r\n\r\n"),
            State::Done | State::Broken => {}
        }
        !matches!(self.state, State::Broken)
    }

    fn respond(&mut self, status: u16, mut headers: Vec<(String, String)>, body: &str) {
        headers.append(&mut self.headers);
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
        self.state = State::Done;
        self.write(&[head(status, &headers).as_bytes(), body.as_bytes()].concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).is_err() {
            self.state = State::Broken;
        }
    }

    fn chunk(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        self.write(&[size.as_bytes(), bytes, b"\r\n"].concat());
    }
}

fn head(status: u16, headers: &[(String, String)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

impl Carrier for Answer<'_> {
    fn send(&mut self, message: &str) {
        match self.state {
            State::Events => {
                let data: String = message
                    .split('\n')
                    .map(|line| format!("data: {line}\n"))
                    .collect();
                self.chunk(format!("event: message\n{data}\n").as_bytes());
            }
            State::Open => {
                self.respond(
                    200,
                    vec![("Content-Type".to_owned(), "application/json".to_owned())],
                    message,
                );
            }
            State::Done => panic!("one JSON body holds one message: {message}"),
            State::Broken => {}
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.state {
            State::Events => self.chunk(bytes),
            _ => self.write(bytes),
        }
    }

    fn gone(&self) -> bool {
        if matches!(self.state, State::Broken) {
            return true;
        }
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(self.stream, &mut [0_u8; 1][..], flags) {
            Ok((_, read)) => read == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }

    fn special(&mut self, step: Step) {
        match step {
            Step::Headers(mut headers) => self.headers.append(&mut headers),
            Step::Respond {
                status,
                headers,
                body,
            } => self.respond(status, headers, &body),
            Step::Sse(mut headers) => {
                headers.append(&mut self.headers);
                headers.push(("Content-Type".to_owned(), "text/event-stream".to_owned()));
                headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
                self.state = State::Events;
                self.write(head(200, &headers).as_bytes());
            }
            Step::Close | Step::Reset => {
                if matches!(step, Step::Reset) {
                    _ = set_socket_linger(self.stream, Some(Duration::ZERO));
                }
                self.state = State::Broken;
            }
            other => panic!("{other:?} means nothing over HTTP"),
        }
    }
}
