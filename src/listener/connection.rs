//! One client connection over HTTP/1.1: served, and let go without losing a
//! request when mcpmux stops.

use std::{convert::Infallible, future::poll_fn, sync::Arc, time::Duration};

use http::{HeaderValue, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::endpoint::Endpoint;
use crate::{access::Peer, bell::Bell};

/// How long a connection may take to send a request's head, or be idle.
const IDLE: Duration = Duration::from_secs(75);

/// How long a connection stays open for a request that may already be on its
/// way when mcpmux stops.
const GRACE: Duration = Duration::from_millis(250);

/// Serves `stream`, whose other end is `peer`, until it ends; after `draining`, only what is in flight.
pub(super) async fn serve<S>(
    endpoint: Arc<Endpoint>,
    stream: S,
    peer: Peer,
    draining: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let leaving = draining.clone();
    let peer = Arc::new(peer);
    let service = service_fn(move |request| {
        let endpoint = Arc::clone(&endpoint);
        let (peer, leaving) = (Arc::clone(&peer), leaving.clone());
        async move {
            let mut response = endpoint.answer(&peer, request).await;
            if leaving.is_cancelled() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let drained = async {
        draining.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    // A request's body wakes the connection that it is driven by.
    let bell = Bell::new();
    let done = tokio::select! {
        biased;
        done = poll_fn(|cx| bell.look(cx, |cx| connection.as_mut().poll(cx))) => done,
        () = drained => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        debug!("a connection ended: {error}");
    }
}
