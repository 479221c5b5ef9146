//! The clients' side: streamable HTTP over TCP and unix sockets, and stdio.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

mod accept;
mod aside;
mod batch;
mod body;
mod call_stream;
mod call_streams;
mod callback;
mod connection;
mod endpoint;
mod get;
pub(crate) mod keeping;
mod kept;
mod legacy;
mod modern;
mod origin;
mod outbox;
mod presence;
mod record;
mod regret;
mod render;
mod ring;
mod session;
mod sessions;
pub mod stdio;

use crate::{
    access::{Access, Peer},
    config::Listen,
    credential::Logins,
    mux::Mux,
};
use endpoint::Endpoint;
pub use keeping::Keeping;
pub use presence::Presence;

/// The most connections served at once; more wait in the kernel's queue. As many
/// sessions as there can be may each have a stream open beside their calls.
const MAX_CONNECTIONS: usize = 20_000;

/// The pause after an `accept` that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that clients connect to.
#[derive(Debug)]
pub enum Socket {
    /// TCP, guarded by `Host` and `Origin`.
    Tcp(TcpListener),
    /// A unix socket, guarded by its file's mode.
    Unix(UnixListener),
}

/// Serves clients on `sockets` until `stop`, then finishes the calls in flight;
/// those that take longer than `drain` are dropped. Browsers that come back from a
/// login are told to `logins`, `access` says who may come in, sessions are kept by `keeping` for the next run,
/// and `presence` knows of every connection.
#[allow(clippy::too_many_arguments)]
pub async fn serve(
    mux: Arc<Mux>,
    logins: Arc<Logins>,
    access: Arc<Access>,
    listen: &Listen,
    sockets: Vec<Socket>,
    keeping: Option<Keeping>,
    presence: Arc<Presence>,
    stop: CancellationToken,
    drain: Duration,
) {
    let endpoint = Arc::new(Endpoint::new(mux, logins, access, listen));
    let serving = serve_with(&endpoint, sockets, &presence, stop, drain);
    let Some(keeping) = keeping else {
        return serving.await;
    };
    // Who waits to be accepted may go on with a session.
    keeping.recall(&endpoint).await;
    tokio::select! {
        () = serving => {}
        () = keeping.keep(&endpoint) => {}
    }
    keeping.save(&endpoint).await;
}

async fn serve_with(
    endpoint: &Arc<Endpoint>,
    sockets: Vec<Socket>,
    presence: &Arc<Presence>,
    stop: CancellationToken,
    drain: Duration,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = presence.connections();
    let draining = CancellationToken::new();
    let aborted = CancellationToken::new();
    let accepting = TaskTracker::new();
    for socket in sockets {
        let (endpoint, places, connections) = (
            Arc::clone(endpoint),
            Arc::clone(&places),
            connections.clone(),
        );
        let (stop, draining, aborted) = (stop.clone(), draining.clone(), aborted.clone());
        let presence = Arc::clone(presence);
        accepting.spawn(async move {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                // A connection that is accepted is served, so the choice to
                // stop comes first.
                let accepted = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    accepted = accept(&socket, &endpoint.access) => accepted,
                };
                presence.came();
                let (endpoint, draining, aborted) =
                    (Arc::clone(&endpoint), draining.clone(), aborted.clone());
                match accepted {
                    Ok(Accepted::Tcp(stream, peer)) => connections.spawn(async move {
                        let _place = place;
                        aborted
                            .run_until_cancelled(connection::serve(
                                endpoint, stream, peer, draining,
                            ))
                            .await;
                    }),
                    Ok(Accepted::Unix(stream, peer)) => connections.spawn(async move {
                        let _place = place;
                        aborted
                            .run_until_cancelled(connection::serve(
                                endpoint, stream, peer, draining,
                            ))
                            .await;
                    }),
                    Err(error) => {
                        if !is_passing(&error) {
                            warn!("cannot accept a connection: {error}");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                        continue;
                    }
                };
            }
        });
    }
    accepting.close();
    accepting.wait().await;
    draining.cancel();
    endpoint.mux.begin_stop();
    connections.close();
    if tokio::time::timeout(drain, connections.wait())
        .await
        .is_err()
    {
        info!(
            "{} connections still have calls in flight after {} s, they are dropped",
            connections.len(),
            drain.as_secs()
        );
        aborted.cancel();
        connections.wait().await;
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream, Peer),
    Unix(tokio::net::UnixStream, Peer),
}

async fn accept(socket: &Socket, access: &Access) -> io::Result<Accepted> {
    match socket {
        Socket::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let peer = access.tcp(stream.local_addr()?.ip());
            Ok(Accepted::Tcp(stream, peer))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = access.unix(stream.peer_cred()?.uid());
            Ok(Accepted::Unix(stream, peer))
        }
    }
}

/// Whether the error is of the one connection that was to be accepted.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
