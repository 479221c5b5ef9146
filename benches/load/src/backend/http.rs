//! The benchmark's backend over streamable HTTP, both eras, at any path.
//!
//! The path says how it answers: `/sse` as an event stream, `/kept` with a
//! list of tools serialised beforehand, `/few/…` with a short list (so that
//! one process can stand for many backends), any other as a plain JSON body. A
//! call with progress is an event stream anywhere.
//! `GET /stats` gives the counts of [`Stats`].

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::answer::{Answer, Answers, Listing};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// What the server has seen since it started.
#[derive(Debug, Default)]
pub struct Stats {
    connections: AtomicU64,
    requests: AtomicU64,
    sessions: AtomicU64,
}

impl Stats {
    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Requests answered, `GET /stats` not among them.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    fn to_json(&self) -> String {
        format!(
            r#"{{"connections":{},"requests":{},"sessions":{}}}"#,
            self.connections(),
            self.requests(),
            self.sessions.load(Relaxed)
        )
    }
}

/// Serves `listener` for ever, a task a connection; with `sessions`, each
/// `initialize` is answered with a session of its own.
pub async fn serve(
    listener: TcpListener,
    answers: Arc<Answers>,
    sessions: bool,
    stats: Arc<Stats>,
) -> io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        stats.connections.fetch_add(1, Relaxed);
        let (answers, stats) = (Arc::clone(&answers), Arc::clone(&stats));
        let service = service_fn(move |request| {
            let (answers, stats) = (Arc::clone(&answers), Arc::clone(&stats));
            async move { respond(request, &answers, sessions, &stats).await }
        });
        // A connection that breaks is its client's affair.
        tokio::spawn(async move {
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    answers: &Answers,
    sessions: bool,
    stats: &Stats,
) -> Result<Response<Reply>, hyper::Error> {
    let path = request.uri().path();
    if request.method() == Method::GET && path == "/stats" {
        return Ok(reply(StatusCode::OK, JSON, Reply::whole(stats.to_json())));
    }
    stats.requests.fetch_add(1, Relaxed);
    match *request.method() {
        Method::POST => {}
        // The end of a session, of which nothing is kept here.
        Method::DELETE => return Ok(empty(StatusCode::NO_CONTENT)),
        // No stream of notifications is offered.
        _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let events = path == "/sse";
    let listing = match path {
        "/kept" => Listing::Kept,
        path if path.starts_with("/few/") => Listing::Few,
        _ => Listing::Full,
    };
    let body = request.into_body().collect().await?.to_bytes();
    Ok(match answers.answer(&body, listing) {
        Answer::Nothing => empty(StatusCode::ACCEPTED),
        Answer::Refusal(code, body) => reply(
            StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST),
            JSON,
            Reply::whole(body),
        ),
        Answer::Response(body) => success(body, events),
        Answer::Course(messages) => course(messages),
        Answer::Welcome(body) => {
            let mut welcome = success(body, events);
            if sessions {
                let number = stats.sessions.fetch_add(1, Relaxed);
                welcome
                    .headers_mut()
                    .insert(SESSION, HeaderValue::from(number));
            }
            welcome
        }
    })
}

fn success(body: Vec<u8>, events: bool) -> Response<Reply> {
    if !events {
        return reply(StatusCode::OK, JSON, Reply::whole(body));
    }
    let body = Reply {
        rest: Some(event(&body)),
        more: Vec::new().into_iter(),
        pause: false,
        sized: false,
    };
    reply(StatusCode::OK, EVENTS, body)
}

/// Messages as events that go out one by one, for which nginx must not wait.
fn course(messages: Vec<Vec<u8>>) -> Response<Reply> {
    let mut more = messages.into_iter();
    let body = Reply {
        rest: more.next().map(|first| event(&first)),
        more,
        pause: false,
        sized: false,
    };
    let mut response = reply(StatusCode::OK, EVENTS, body);
    response
        .headers_mut()
        .insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ", message, b"\n\n"]
        .concat()
        .into()
}

fn reply(status: StatusCode, kind: HeaderValue, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn empty(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply {
        rest: None,
        more: Vec::new().into_iter(),
        pause: false,
        sized: true,
    });
    *response.status_mut() = status;
    response
}

/// A body in one piece, or events; an event stream's length is not told
/// beforehand.
#[derive(Debug)]
struct Reply {
    rest: Option<Bytes>,
    /// The messages of the events after it.
    more: vec::IntoIter<Vec<u8>>,
    /// What was given out is to be sent before there is more.
    pause: bool,
    sized: bool,
}

impl Reply {
    fn whole(body: impl Into<Bytes>) -> Self {
        Self {
            rest: Some(body.into()),
            more: Vec::new().into_iter(),
            pause: false,
            sized: true,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let rest = self.rest.take();
        self.rest = self.more.next().map(|message| event(&message));
        self.pause = self.rest.is_some();
        Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.sized {
            SizeHint::with_exact(self.rest.as_ref().map_or(0, |rest| rest.len() as u64))
        } else {
            SizeHint::default()
        }
    }
}
