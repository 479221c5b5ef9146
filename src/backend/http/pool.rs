//! Connections to one plain `http://` server, kept and used again. A request
//! drives its connection itself: no task and no channel between threads stands
//! in between.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    net::TcpStream,
    runtime::{Handle, Id},
};
use tower_service::Service;

use super::client::{Failure, IDLE, MAX_IDLE, failure};

/// How often connections without use are looked after.
const SWEEP: Duration = Duration::from_secs(5);

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    server: Uri,
    connector: HttpConnector,
    idle: Mutex<Vec<Idle>>,
    sweeping: AtomicBool,
}

/// A connection without use.
#[derive(Debug)]
struct Idle {
    wire: Box<Wire>,
    since: Instant,
}

/// One connection.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// What is to be driven; none once it is closed.
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    /// Where its socket is watched: elsewhere each use would wake two threads.
    runtime: Id,
}

/// The body of an answer, which brings its connection along and gives it back
/// at its end.
#[derive(Debug)]
pub(super) struct Streamed {
    incoming: Option<Incoming>,
    wire: Option<Box<Wire>>,
    pool: Arc<Pool>,
}

impl Pool {
    /// Connects to nothing yet; `server` has scheme and authority.
    pub(super) fn new(server: Uri, connector: HttpConnector) -> Arc<Self> {
        Arc::new(Self {
            server,
            connector,
            idle: Mutex::default(),
            sweeping: AtomicBool::new(false),
        })
    }

    /// Sends `request`, which names its target in origin form and its host in
    /// a header. One that a kept connection turns out to be too old for is
    /// sent again on another, if nothing of it was sent.
    pub(super) async fn request(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Streamed>, Failure> {
        let runtime = Handle::current().id();
        loop {
            let kept = self.take(runtime);
            let was_kept = kept.is_some();
            let mut wire = match kept {
                Some(wire) => wire,
                None => self.connect(runtime).await?,
            };
            let mut error = match wire.send(request).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| Streamed {
                        incoming: Some(incoming),
                        wire: Some(wire),
                        pool: Arc::clone(self),
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

    async fn connect(&self, runtime: Id) -> Result<Box<Wire>, Failure> {
        let unreached = |error: &(dyn std::error::Error + 'static)| Failure {
            error: failure(error, true),
            unreached: true,
        };
        let mut connector = self.connector.clone();
        let stream = connector.call(self.server.clone()).await;
        let stream = stream.map_err(|error| unreached(&error))?;
        let shaken = http1::handshake(stream).await;
        let (sender, connection) = shaken.map_err(|error| unreached(&error))?;
        Ok(Box::new(Wire {
            sender,
            connection: Some(connection),
            runtime,
        }))
    }

    /// The connection of `runtime` that was used last.
    fn take(&self, runtime: Id) -> Option<Box<Wire>> {
        let mut idle = self.idle();
        let newest = idle
            .iter()
            .rposition(|idle| idle.wire.runtime == runtime && idle.since.elapsed() < IDLE)?;
        Some(idle.remove(newest).wire)
    }

    /// Keeps a connection if it is ready for another request.
    fn put(self: &Arc<Self>, wire: Box<Wire>) {
        if !wire.sender.is_ready() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            let since = Instant::now();
            idle.push(Idle { wire, since });
        }
        drop(idle);
        if !self.sweeping.load(Ordering::Relaxed)
            && let Ok(runtime) = Handle::try_current()
            && !self.sweeping.swap(true, Ordering::Relaxed)
        {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the connections that the server has closed or that are unused for
/// too long, until none is left.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        let gone: Vec<_> = idle
            .extract_if(.., |idle| {
                idle.since.elapsed() >= IDLE || !idle.wire.is_open()
            })
            .collect();
        let left = !idle.is_empty();
        if !left {
            pool.sweeping.store(false, Ordering::Relaxed);
        }
        drop(idle);
        drop(gone);
        if !left {
            return;
        }
    }
}

impl Wire {
    /// Sends `request` and waits for the head of its answer.
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            drive(connection, cx);
            // Only the connection, just driven, makes it ready.
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Whether it is open, as far as is known without asking the server.
    fn is_open(&mut self) -> bool {
        drive(
            &mut self.connection,
            &mut Context::from_waker(Waker::noop()),
        );
        self.connection.is_some()
    }
}

/// Reads and writes what can be; a connection that has ended is dropped, so
/// that what waits for it hears of it.
fn drive(
    connection: &mut Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    cx: &mut Context<'_>,
) {
    if let Some(open) = connection
        && Pin::new(open).poll(cx).is_ready()
    {
        *connection = None;
    }
}

impl Streamed {
    /// Gives the connection back, if all of the body has come.
    fn release(&mut self) {
        self.incoming = None;
        if let Some(mut wire) = self.wire.take() {
            if !wire.sender.is_ready() {
                wire.is_open();
            }
            self.pool.put(wire);
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
        let mut driven = false;
        loop {
            let Some(incoming) = &mut this.incoming else {
                return Poll::Ready(None);
            };
            // Only the connection, driven below, makes it ready.
            let mut unheard = Context::from_waker(Waker::noop());
            let frame = match Pin::new(&mut *incoming).poll_frame(&mut unheard) {
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    if let Some(wire) = &mut this.wire {
                        drive(&mut wire.connection, cx);
                    }
                    driven = true;
                    continue;
                }
                Poll::Ready(frame) => frame,
            };
            if !matches!(frame, Some(Ok(_))) || incoming.is_end_stream() {
                this.release();
            }
            return Poll::Ready(frame);
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.release();
    }
}
