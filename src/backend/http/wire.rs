//! One connection to a plain `http://` server, driven by whom it serves.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;

use crate::{
    bell::Bell,
    web::{Gather, Stream},
};

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// What is to be driven; none once it is closed.
    connection: Option<Connection<TokioIo<Gather<Stream>>, Full<Bytes>>>,
    bell: Bell,
}

impl Wire {
    /// A connection over `stream`.
    pub(super) async fn open(stream: Stream) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(Gather(stream))).await?;
        Ok(Self {
            sender,
            connection: Some(connection),
            bell: Bell::new(),
        })
    }

    /// Sends `request`, which is on its way once this returns, and waits for the head
    /// of its answer.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>> {
        let answer = self.sender.try_send_request(request);
        let connection = &mut self.connection;
        let bell = &mut self.bell;
        async move {
            let mut answer = pin!(answer);
            poll_fn(|cx| {
                bell.look(cx, |cx| {
                    drive(connection, cx);
                    // Only the connection, just driven, makes it ready.
                    answer
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                })
            })
            .await
        }
    }

    /// Whether it is open, as far as is known without asking the server.
    pub(super) fn is_open(&mut self) -> bool {
        let connection = &mut self.connection;
        let _: Poll<()> = self.bell.look(&Context::from_waker(Waker::noop()), |cx| {
            drive(connection, cx);
            Poll::Pending
        });
        self.connection.is_some()
    }

    /// The next piece of `body`, which this connection brings.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let connection = &mut self.connection;
        // Only the connection makes it ready, and is driven before it waits.
        let mut unheard = Context::from_waker(Waker::noop());
        let mut next = || Pin::new(&mut *body).poll_frame(&mut unheard);
        self.bell.look(cx, |cx| match next() {
            Poll::Pending => {
                drive(connection, cx);
                next()
            }
            frame @ Poll::Ready(_) => frame,
        })
    }

    /// Whether it can be used again, after an answer was read or given up.
    pub(super) fn is_reusable(&mut self) -> bool {
        let reusable = self.sender.is_ready() || self.is_open() && self.sender.is_ready();
        // Who was served last is not to be woken for it any more.
        self.bell.silence();
        reusable
    }
}

/// Reads and writes what can be; a connection that has ended is dropped, so
/// that what waits for it hears of it.
fn drive(
    connection: &mut Option<Connection<TokioIo<Gather<Stream>>, Full<Bytes>>>,
    cx: &mut Context<'_>,
) {
    if let Some(open) = connection
        && Pin::new(open).poll(cx).is_ready()
    {
        *connection = None;
    }
}
