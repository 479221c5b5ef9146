//! Connections to one plain `http://` server, kept and used again. A request
//! drives its connection itself: no task and no channel between threads stands
//! in between.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use super::{
    client::{Failure, IDLE, MAX_IDLE, failure},
    wire::Wire,
};
use crate::{
    thread,
    web::{Dial, apart},
};

/// How often connections without use are looked after.
const SWEEP: Duration = Duration::from_secs(5);

/// How often one is, before it was without use for too long.
const MOST_SWEEPS: u64 = IDLE.as_secs() / SWEEP.as_secs();

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    server: Uri,
    dial: Dial,
    shelves: [Arc<Shelf>; thread::LANES],
}

/// Where the connections of one thread, or of a few, wait to be used again; by itself in
/// memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shelf {
    idle: Mutex<Vec<Idle>>,
    sweeping: AtomicBool,
}

/// A connection without use.
#[derive(Debug)]
struct Idle {
    wire: Box<Wire>,
    /// The thread that watches its socket: used elsewhere it would wake two.
    thread: usize,
    /// How often it was looked after since it was used.
    sweeps: u64,
}

/// The body of an answer, which brings its connection along and gives it back
/// at its end.
#[derive(Debug)]
pub(super) struct Streamed {
    incoming: Option<Incoming>,
    wire: Option<Box<Wire>>,
    thread: usize,
    shelf: Arc<Shelf>,
}

impl Pool {
    /// Connects to nothing yet; `server` has scheme and authority.
    pub(super) fn new(server: Uri, dial: Dial) -> Arc<Self> {
        Arc::new(Self {
            server,
            dial,
            shelves: Default::default(),
        })
    }

    /// Sends `request`, which names its target in origin form and its host in
    /// a header. One that a kept connection turns out to be too old for is
    /// sent again on another, if nothing of it was sent.
    pub(super) async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Streamed>, Failure> {
        let thread = thread::number();
        let here = &self.shelves[thread::lane(self.shelves.len())];
        loop {
            let kept = here.take(thread);
            let was_kept = kept.is_some();
            let mut wire = match kept {
                Some(wire) => wire,
                None => Box::pin(self.connect()).await?,
            };
            let mut error = match wire.send(request).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| Streamed {
                        incoming: Some(incoming),
                        wire: Some(wire),
                        thread,
                        shelf: Arc::clone(here),
                    }));
                }
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if was_kept => request = unsent,
                _ => {
                    return Err(Failure {
                        error: failure(&error.into_error(), false),
                        unreached: false,
                    });
                }
            }
        }
    }

    async fn connect(&self) -> Result<Box<Wire>, Failure> {
        let unreached = |error: &(dyn std::error::Error + 'static)| Failure {
            error: failure(error, true),
            unreached: true,
        };
        let stream = self.dial.connect(&self.server).await;
        let stream = stream.map_err(|error| unreached(&*error))?;
        let wire = Wire::open(stream).await;
        Ok(Box::new(wire.map_err(|error| unreached(&error))?))
    }
}

impl Shelf {
    /// The connection of `thread` that was used last.
    fn take(&self, thread: usize) -> Option<Box<Wire>> {
        let mut idle = self.idle();
        let newest = idle.iter().rposition(|idle| idle.thread == thread)?;
        Some(idle.remove(newest).wire)
    }

    /// Keeps a connection if it is ready for another request.
    fn put(self: &Arc<Self>, mut wire: Box<Wire>, thread: usize) {
        if !wire.is_reusable() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                wire,
                thread,
                sweeps: 0,
            });
        }
        drop(idle);
        if !self.sweeping.load(Ordering::Relaxed)
            && let Ok(runtime) = Handle::try_current()
            && !self.sweeping.swap(true, Ordering::Relaxed)
        {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what the server has closed or nobody has used for too long;
    /// `true` if nothing is left, so that nobody needs to look again.
    fn close_stale(&self) -> bool {
        let mut idle = self.idle();
        let is_stale = |idle: &mut Idle| {
            idle.sweeps += 1;
            idle.sweeps > MOST_SWEEPS || !idle.wire.is_open()
        };
        let stale: Vec<_> = idle.extract_if(.., is_stale).collect();
        let none_left = idle.is_empty();
        if none_left {
            self.sweeping.store(false, Ordering::Relaxed);
        }
        drop(idle);
        drop(stale);
        none_left
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after the connections without use until none is left.
async fn sweep(shelf: Weak<Shelf>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if shelf.upgrade().is_none_or(|shelf| shelf.close_stale()) {
            return;
        }
    }
}

impl Streamed {
    /// Gives the connection back, if all of the body has come.
    fn release(&mut self) {
        self.incoming = None;
        if let Some(wire) = self.wire.take() {
            self.shelf.put(wire, self.thread);
        }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let (Some(incoming), Some(wire)) = (&mut this.incoming, &mut this.wire) else {
            return Poll::Ready(None);
        };
        let frame = ready!(wire.poll_frame(incoming, cx));
        let frame = frame.map(|frame| frame.map(|frame| frame.map_data(apart)));
        if !matches!(frame, Some(Ok(_))) || incoming.is_end_stream() {
            this.release();
        }
        Poll::Ready(frame)
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use http::header;
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::connect::HttpConnector;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    async fn server() -> (TcpListener, Arc<Pool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let pool = Pool::new(uri.parse().unwrap(), Dial::Tcp(HttpConnector::new()));
        (listener, pool)
    }

    fn shelf(pool: &Pool) -> &Arc<Shelf> {
        &pool.shelves[thread::lane(thread::LANES)]
    }

    async fn answer(stream: &mut TcpStream, with: &[u8]) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(with).await.unwrap();
    }

    async fn ask(pool: &Arc<Pool>) -> Result<Bytes, Failure> {
        let mut request = Request::new(Full::default());
        request
            .headers_mut()
            .insert(header::HOST, header::HeaderValue::from_static("h"));
        let response = pool.request(request).await?;
        Ok(response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_is_read() {
        let (listener, pool) = server().await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..3 {
                answer(&mut stream, ANSWER).await;
            }
            stream
        };
        let asking = async {
            for _ in 0..3 {
                assert_eq!(ask(&pool).await.unwrap(), "ok");
                assert_eq!(shelf(&pool).idle().len(), 1);
            }
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn a_kept_connection_that_the_server_closed_is_no_failure() {
        let (listener, pool) = server().await;
        for _ in 0..2 {
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                answer(&mut stream, ANSWER).await;
                stream.shutdown().await.unwrap();
            };
            let (asked, ()) = tokio::join!(ask(&pool), serving);
            assert_eq!(asked.unwrap(), "ok");
            // Lets the runtime see what has come for the kept connection.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_wanted_to_its_end_takes_its_connection_along() {
        let (listener, pool) = server().await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
            )
            .await;
            stream.read(&mut [0]).await
        };
        let asking = async {
            let response = pool.request(Request::new(Full::default())).await.unwrap();
            let mut body = response.into_body();
            assert!(body.frame().await.unwrap().unwrap().is_data());
            drop(body);
            assert!(shelf(&pool).idle().is_empty());
        };
        let (end, ()) = tokio::join!(serving, asking);
        assert!(matches!(end, Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn a_connection_without_use_is_closed_when_the_server_closes_it() {
        let (listener, pool) = server().await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(&mut stream, ANSWER).await;
            stream
        };
        let (asked, mut stream) = tokio::join!(ask(&pool), serving);
        asked.unwrap();
        assert!(!shelf(&pool).close_stale());
        stream.shutdown().await.unwrap();
        // Lets the runtime see it.
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(shelf(&pool).close_stale());
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_without_use_is_closed_after_a_time() {
        let (listener, pool) = server().await;
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                answer(&mut stream, ANSWER).await;
            }
            stream
        };
        let asking = async {
            for _ in 0..2 {
                ask(&pool).await.unwrap();
                for _ in 0..MOST_SWEEPS {
                    assert!(!shelf(&pool).close_stale());
                }
            }
            assert!(shelf(&pool).close_stale());
        };
        let (mut stream, ()) = tokio::join!(serving, asking);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}
