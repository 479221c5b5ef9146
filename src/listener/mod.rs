//! The clients' side: streamable HTTP over TCP and unix sockets, and stdio.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

mod accept;
mod aside;
mod batch;
mod body;
mod call_stream;
mod call_streams;
mod callback;
mod cancelled;
mod connection;
mod endpoint;
mod get;
mod guarded;
pub(crate) mod keeping;
mod kept;
mod legacy;
mod modern;
mod origin;
mod outbox;
mod patience;
mod presence;
mod pulse;
mod record;
mod refusal;
mod render;
mod ring;
mod session;
mod sessions;
pub mod stdio;
mod workers;

use crate::{access::Access, config::Listen, credential::Logins, mux::Mux};
use connection::Leaving;
use endpoint::Endpoint;
pub use keeping::Keeping;
pub use presence::{Clients, Presence};
pub use pulse::Pulse;
use refusal::Refusal;
pub use workers::Workers;

/// The most connections served at once; more wait in the kernel's queue. As many
/// sessions as there can be may each have a stream open beside their calls.
const MAX_CONNECTIONS: usize = 20_000;

/// How long the answers to calls that are given up may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The pause after an `accept` that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that clients connect to.
#[derive(Debug)]
pub enum Socket {
    /// TCP, guarded by whose the other end is, `Host` and `Origin`.
    Tcp(TcpListener),
    /// A unix socket, guarded by its file's mode and whose the other end is.
    Unix(UnixListener),
}

/// Serves clients on `sockets` until `stop`, then finishes the calls in flight;
/// those that take longer than `drain` are answered with an error. Browsers that come back from a
/// login are told to `logins`, `access` says who may come in, sessions are kept by `keeping` for the next run,
/// `presence` knows of every connection, `pulse` is felt by every socket's loop, and
/// connections are served on `workers`.
#[allow(clippy::too_many_arguments)]
pub async fn serve(
    mux: Arc<Mux>,
    logins: Arc<Logins>,
    access: Arc<Access>,
    listen: &Listen,
    sockets: Vec<Socket>,
    keeping: Option<Keeping>,
    presence: Arc<Presence>,
    pulse: Arc<Pulse>,
    workers: Arc<Workers>,
    stop: CancellationToken,
    drain: Duration,
) {
    let endpoint = Arc::new(Endpoint::new(mux, logins, access, listen));
    presence.at(&endpoint);
    let serving = serve_with(&endpoint, sockets, &presence, &pulse, &workers, stop, drain);
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
    pulse: &Pulse,
    workers: &Arc<Workers>,
    stop: CancellationToken,
    drain: Duration,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = presence.connections();
    let leaving = Leaving::default();
    let refusal = Refusal::default();
    let accepting = TaskTracker::new();
    for socket in sockets {
        let (endpoint, places, connections) = (
            Arc::clone(endpoint),
            Arc::clone(&places),
            connections.clone(),
        );
        let (stop, leaving) = (stop.clone(), leaving.clone());
        let (presence, workers) = (Arc::clone(presence), Arc::clone(workers));
        let refusal = refusal.clone();
        let mut felt = pulse.felt();
        accepting.spawn(async move {
            loop {
                let next = async {
                    let place = Arc::clone(&places).acquire_owned().await.ok();
                    (accept(&socket).await, place)
                };
                // A connection that is accepted is served, so the choice to
                // stop comes first.
                let (accepted, place) = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    Some(own) = felt.recv() => (own.into_std().map(Accepted::Unix), None),
                    next = next => {
                        presence.came();
                        next
                    }
                };
                let (endpoint, leaving) = (Arc::clone(&endpoint), leaving.clone());
                let refusal = refusal.clone();
                match accepted {
                    Ok(accepted) => {
                        let own = place.is_none();
                        let desk = if own {
                            workers.next_desk()
                        } else {
                            workers.desk()
                        };
                        let runtime = desk.runtime.clone();
                        let served = async move {
                            let _at = desk;
                            if let Err(error) =
                                admit(endpoint, accepted, refusal, place, leaving).await
                            {
                                debug!("a connection cannot be served: {error}");
                            }
                        };
                        // mcpmux itself is no client.
                        if own {
                            runtime.spawn(served);
                        } else {
                            connections.spawn_on(served, &runtime);
                        }
                    }
                    Err(error) => {
                        if !is_passing(&error) {
                            warn!("cannot accept a connection: {error}");
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        });
    }
    accepting.close();
    accepting.wait().await;
    leaving.draining.cancel();
    endpoint.mux.begin_stop();
    connections.close();
    if tokio::time::timeout(drain, connections.wait())
        .await
        .is_err()
    {
        info!(
            "{} connections still have calls in flight after {} s, which are answered with an error",
            connections.len(),
            drain.as_secs()
        );
        endpoint.mux.give_up();
        leaving.given_up.cancel();
        // Who does not read has no answer.
        let _ = tokio::time::timeout(LAST_WORDS, connections.wait()).await;
        leaving.aborted.cancel();
        connections.wait().await;
    }
}

/// A connection on its way to the thread that serves it.
enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Serves an accepted connection, which has a `place`, if it may come in.
async fn admit(
    endpoint: Arc<Endpoint>,
    accepted: Accepted,
    refusal: Refusal,
    place: Option<OwnedSemaphorePermit>,
    leaving: Leaving,
) -> io::Result<()> {
    match accepted {
        Accepted::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            match endpoint.access.tcp(&stream).await {
                Ok(peer) if endpoint.access.is_secure() => {
                    let secured = endpoint.access.secure(stream, peer);
                    // Boxed: others have no use for the room.
                    let secured = Box::pin(leaving.unless_aborted(secured)).await;
                    if let Some(Some((stream, peer))) = secured {
                        Box::pin(connection::serve(endpoint, stream, peer, leaving)).await;
                    }
                }
                // It would not understand.
                Err(_) if endpoint.access.is_secure() => {}
                Ok(peer) => connection::serve(endpoint, stream, peer, leaving).await,
                Err(refused) => {
                    drop(place);
                    leaving.unless_aborted(refusal.tell(stream, refused)).await;
                }
            }
        }
        Accepted::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            match endpoint.access.unix(&stream).await {
                Ok(peer) => connection::serve(endpoint, stream, peer, leaving).await,
                Err(refused) => {
                    drop(place);
                    leaving.unless_aborted(refusal.tell(stream, refused)).await;
                }
            }
        }
    }
    Ok(())
}

async fn accept(socket: &Socket) -> io::Result<Accepted> {
    match socket {
        Socket::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream.into_std()?))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            Ok(Accepted::Unix(stream.into_std()?))
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
