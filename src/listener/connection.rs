//! One client connection over HTTP/1.1: served, and let go without losing a
//! request when mcpmux stops.

use std::{convert::Infallible, future::poll_fn, sync::Arc, time::Duration};

use http::{HeaderValue, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{endpoint::Endpoint, patience};
use crate::{access::Peer, alarm, bell::Bell, web::Gather};

/// How long a connection stays open for a request that may already be on its
/// way when mcpmux stops.
const GRACE: Duration = Duration::from_millis(250);

/// How connections come to an end when mcpmux does.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaving {
    /// What is in flight is finished, and nothing else begun.
    pub(super) draining: CancellationToken,
    /// Calls that are still in flight are to be looked at once more: they are given up.
    pub(super) given_up: CancellationToken,
    /// Nor is that waited for; only ever after the others.
    pub(super) aborted: CancellationToken,
}

impl Leaving {
    /// What `work` gives, unless nothing is waited for any more.
    pub(super) async fn unless_aborted<W: Future>(&self, work: W) -> Option<W::Output> {
        self.aborted.run_until_cancelled(work).await
    }
}

/// Serves `stream`, whose other end is `peer`, until it ends, or `leaving` ends it.
pub(super) fn serve<S>(
    endpoint: Arc<Endpoint>,
    stream: S,
    peer: Peer,
    leaving: Leaving,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    alarm::shared(run(endpoint, stream, peer, leaving))
}

async fn run<S>(endpoint: Arc<Endpoint>, stream: S, peer: Peer, leaving: Leaving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Its own: each look at it takes a lock.
    let draining = &leaving.draining.child_token();
    let (endpoint, peer) = (&*endpoint, &Arc::new(peer));
    let (stream, timer) = patience::on(stream);
    let service = service_fn(|mut request| async move {
        let mut response = endpoint.answer(peer, &mut request).await;
        if draining.is_cancelled() {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(patience::IDLE)
        .serve_connection(TokioIo::new(Gather(stream)), service);
    let drained = async {
        draining.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(connection, drained);
    // A request's body wakes the connection that it is driven by.
    let (mut bell, mut drain_bell) = (Bell::new(), Bell::new());
    let done = tokio::select! {
        biased;
        done = poll_fn(|cx| bell.look(cx, |cx| connection.as_mut().poll(cx))) => done,
        () = poll_fn(|cx| drain_bell.look(cx, |cx| drained.as_mut().poll(cx))) => {
            connection.as_mut().graceful_shutdown();
            // Looked at only now: each wake-up of a connection costs its look.
            let finished = async {
                tokio::select! {
                    biased;
                    done = connection.as_mut() => done,
                    () = leaving.given_up.cancelled() => connection.await,
                }
            };
            match leaving.unless_aborted(finished).await {
                Some(done) => done,
                None => return,
            }
        }
    };
    if let Err(error) = done {
        debug!("a connection ended: {error}");
    }
}
