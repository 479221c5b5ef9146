//! A small HTTP server in threads, so that an answer can be held for as long as a
//! test likes, or be none at all.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::Value;

use crate::support::PATIENCE;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// The path.
    pub(crate) path: String,
    /// The parameters of the query, and those of the body where that is a form.
    pub(crate) fields: BTreeMap<String, String>,
    /// The header fields, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The number of the status line.
    pub(crate) status: u16,
    /// The header fields.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// This text.
    Text(String),
    /// This text again and again, for as long as somebody reads.
    Endless(String),
    /// None, nor a head: the connection is closed.
    Nothing,
}

impl Answer {
    /// JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// A text of this type.
    pub(crate) fn text(status: u16, kind: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: Body::Text(body.to_owned()),
        }
    }

    /// A redirect.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::text(302, "text/plain", "").header("Location", location)
    }

    /// A connection that is closed without a word.
    pub(crate) fn nothing() -> Self {
        Self {
            status: 0,
            headers: Vec::new(),
            body: Body::Nothing,
        }
    }

    /// The same with a header field.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server on a free loopback port. Dropped, it stops listening.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request as `answer` says, in a thread of its own.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let over = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(answer);
        let ended = Arc::clone(&over);
        let listening = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let answer = Arc::clone(&answer);
                // Who goes away in the middle gets no answer.
                thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self {
            address,
            over,
            listening: Some(listening),
        }
    }

    /// Its address as an origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if TcpStream::connect(self.address).is_ok()
            && let Some(listening) = self.listening.take()
        {
            let _ = listening.join();
        }
    }
}

/// Answers the one request of a connection.
fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut stream = BufReader::new(stream);
    let request = Request::read(&mut stream)?;
    let Answer {
        status,
        headers,
        body,
    } = answer(&request);
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let stream = stream.get_mut();
    match body {
        Body::Nothing => {}
        Body::Text(text) => {
            let length = text.len();
            write!(stream, "{head}Content-Length: {length}\r\n\r\n{text}").ok()?;
        }
        Body::Endless(text) => {
            write!(stream, "{head}\r\n").ok()?;
            loop {
                stream.write_all(text.as_bytes()).ok()?;
            }
        }
    }
    Some(())
}

impl Request {
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|l| l.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut fields = parse(query);
        if headers
            .get("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
        {
            fields.append(&mut parse(&body));
        }
        Some(Self {
            method,
            path: path.to_owned(),
            fields,
            headers,
            body,
        })
    }

    /// A parameter of the query or the form; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

fn parse(form: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}
