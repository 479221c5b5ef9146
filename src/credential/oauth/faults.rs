//! For the tests of this room: a server on loopback that answers as the test
//! says, wrongly in every way that it can be wrong, and remembers what it was
//! asked. It goes when it is dropped.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Method and path with query.
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// What comes back.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Json(u16, Value),
    Page(u16),
    /// Another, with a header more.
    With(&'static str, &'static str, Box<Self>),
    Redirect(u16, String),
    /// A body that never ends.
    Endless,
    /// A body of this length, and it says so.
    Large(usize),
    /// A body that comes a byte at a time.
    Drip,
    /// No answer at all.
    Silent,
}

impl Answer {
    /// The same with this header.
    pub(super) fn with(self, name: &'static str, value: &'static str) -> Self {
        Self::With(name, value, Box::new(self))
    }

    /// This document, where `BASE` is the server's address.
    pub(super) fn filled(document: &Value, base: &str) -> Self {
        let text = document.to_string().replace("BASE", base);
        Self::Json(200, serde_json::from_str(&text).expect("JSON"))
    }
}

/// The server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) base: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Server {
    /// A server that answers each request, of which the first argument is what
    /// its own address is, by `answer`.
    pub(super) async fn start(
        answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let mut serving = JoinSet::new();
        serving.spawn({
            let (base, asked) = (base.clone(), asked.clone());
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    let (base, asked, answer) = (base.clone(), asked.clone(), answer.clone());
                    let service = service_fn(move |request| {
                        let (base, asked, answer) = (base.clone(), asked.clone(), answer.clone());
                        async move {
                            let request = read(request).await;
                            let answer = answer(&base, &request);
                            asked
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(request);
                            Ok::<_, Infallible>(render(answer).await)
                        }
                    });
                    connections.spawn(async move {
                        let served = http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                        // Who asked may go away at any time.
                        drop(served);
                    });
                }
            }
        });
        Self {
            base,
            asked,
            _serving: serving,
        }
    }

    /// A server that has these documents, by path and query, and nothing else.
    /// In what they hold, `BASE` is its address.
    pub(super) async fn with(documents: &[(&str, Value)]) -> Self {
        let documents: Vec<(String, Value)> = documents
            .iter()
            .map(|(path, document)| (format!("GET {path}"), document.clone()))
            .collect();
        Self::start(move |base, asked| {
            let found = documents.iter().find(|(line, _)| *line == asked.line);
            found.map_or(Answer::Page(404), |(_, document)| {
                Answer::filled(document, base)
            })
        })
        .await
    }

    pub(super) fn url(&self, path: &str) -> Url {
        format!("{}{path}", self.base).parse().expect("a URL")
    }

    /// Everything that it was asked.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The same, method and path only.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Asked {
        line: format!("{} {}", head.method, head.uri),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).expect("text"),
    }
}

async fn render(answer: Answer) -> Response<Body> {
    let response = |status: u16| Response::builder().status(status);
    let whole = |text: String| http_body_util::Full::new(Bytes::from(text)).boxed_unsync();
    let rendered = match answer {
        Answer::With(name, value, answer) => {
            let mut response = Box::pin(render(*answer)).await;
            response
                .headers_mut()
                .append(name, http::HeaderValue::from_static(value));
            Ok(response)
        }
        Answer::Json(status, document) => response(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(whole(document.to_string())),
        Answer::Page(status) => response(status)
            .header(header::CONTENT_TYPE, "text/html")
            .body(whole("<!doctype html><p>Hello".to_owned())),
        Answer::Redirect(status, to) => response(status)
            .header(header::LOCATION, to)
            .body(whole(String::new())),
        Answer::Large(length) => response(200).body(whole(" ".repeat(length))),
        Answer::Endless => response(200).body(endless(16 << 10, Duration::ZERO)),
        Answer::Drip => response(200).body(endless(1, Duration::from_millis(5))),
        Answer::Silent => std::future::pending().await,
    };
    rendered.expect("a response")
}

fn endless(size: usize, every: Duration) -> Body {
    let frames = async_stream::stream! {
        loop {
            tokio::time::sleep(every).await;
            yield Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; size])));
        }
    };
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
