//! The daemon's side of the control socket: who is let in, and which request is
//! answered by whom.

use std::{env, io, path::PathBuf, sync::Arc, time::Duration};

use rustix::process::geteuid;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use super::{
    auth,
    backends::{self, Served},
    location, logs,
    message::{Answer, Hello, MAX_REQUEST, PATIENCE, PROTOCOL, Request},
    reload,
    socket::{self, Bound, SocketError},
    tools,
};

/// The most connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 32;

/// How long a request may be under way: longer than any login.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The pause after an `accept` that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The control socket of this process, while it is served.
#[derive(Debug)]
pub struct Control {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Control {
    /// Closes it and lets go of who is connected. The file is gone then.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

/// Serves the control socket in the background, where there is a place for it.
///
/// mcpmux goes on without one if there is none, or if another one serves it; the
/// log says so.
pub fn start(served: Served) -> Control {
    let stop = CancellationToken::new();
    let until = stop.clone();
    let serving = tokio::spawn(async move {
        let Some(path) = location::own(&|name| env::var_os(name)) else {
            info!("no control socket: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set");
            return;
        };
        match open(path).await {
            Ok((listener, bound)) => {
                serve(listener, Arc::new(served), until).await;
                let _ = spawn_blocking(move || drop(bound)).await;
            }
            Err(error @ SocketError::Served(_)) => {
                warn!(
                    "no control socket: {error}; `mcpmux status`, `reload` and the like speak to that one"
                );
            }
            Err(error) => warn!("no control socket: {error}"),
        }
    });
    Control { stop, serving }
}

async fn open(path: PathBuf) -> Result<(UnixListener, Bound), SocketError> {
    let failed = |source| SocketError::Make {
        path: path.clone(),
        source,
    };
    let made = {
        let path = path.clone();
        spawn_blocking(move || socket::make(&path)).await
    };
    let (descriptor, bound) = made.map_err(|error| failed(error.into()))??;
    let listener = UnixListener::from_std(descriptor.into()).map_err(failed)?;
    debug!("control socket {}", path.display());
    Ok((listener, bound))
}

async fn serve(listener: UnixListener, served: Arc<Served>, until: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = until.cancelled() => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!("cannot accept a control connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (served, until) = (Arc::clone(&served), until.clone());
        connections.spawn(async move {
            let _place = place;
            let ended = until.run_until_cancelled(connection(stream, &served)).await;
            if let Some(Err(error)) = ended {
                debug!("a control connection ended: {error}");
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// One connection: one request and its answers.
async fn connection(stream: UnixStream, served: &Served) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let (reader, writer) = stream.into_split();
    let mut replies = Replies(writer);
    if peer != geteuid().as_raw() && peer != 0 {
        warn!("refused a control connection of user {peer}");
        let reason = "the running mcpmux is another user's".to_owned();
        return replies.send(&Answer::Refused { reason }).await;
    }
    let mut reader = BufReader::new(reader);
    let Ok(line) = timeout(PATIENCE, line(&mut reader)).await else {
        return Ok(());
    };
    let request = match line? {
        Line::Whole(line) => Request::of_line(&line),
        Line::Long => Err(format!("a request has at most {MAX_REQUEST} bytes")),
        // Half a request is none.
        Line::End => return Ok(()),
    };
    replies
        .send(&Answer::Hello(Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: served.config.clone(),
        }))
        .await?;
    match request {
        Err(reason) => replies.send(&Answer::Refused { reason }).await,
        Ok(request) => tokio::select! {
            answered = timeout(LIMIT, answer(request, served, &mut replies)) => {
                answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            // Whether they close their side or say more than they may.
            _ = reader.read_u8() => Ok(()),
        },
    }
}

/// Which request is answered by whom.
async fn answer(request: Request, served: &Served, replies: &mut Replies) -> io::Result<()> {
    let logins = &served.logins;
    match request {
        Request::Status => backends::status(served, replies).await,
        Request::Backend { deed, backend } => backends::act(served, deed, &backend, replies).await,
        Request::Reload => reload::reload(served, replies).await,
        Request::Log {
            backend,
            most,
            seen,
        } => logs::log(served, &backend, most, seen, replies).await,
        Request::ToolsDiff { backend } => tools::diff(served, backend.as_deref(), replies).await,
        Request::ToolsApprove { backend, tool } => {
            tools::approve(served, &backend, tool.as_deref(), replies).await
        }
        Request::AuthStatus => auth::status(logins, replies).await,
        Request::AuthLogin { backend, wish } => auth::login(logins, &backend, wish, replies).await,
        Request::AuthPaste { backend, url } => auth::paste(logins, &backend, &url, replies).await,
        Request::AuthLogout { backend } => auth::logout(logins, &backend, replies).await,
    }
}

/// What was read of a line.
enum Line {
    /// All of it; it may hold a secret.
    Whole(Zeroizing<Vec<u8>>),
    /// More than a line may have.
    Long,
    /// The end came before the newline.
    End,
}

async fn line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Line> {
    // One allocation, which is wiped: a buffer that grew would leave copies.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_REQUEST + 1));
    let bound = MAX_REQUEST as u64 + 1;
    reader.take(bound).read_until(b'\n', &mut line).await?;
    Ok(if line.last() == Some(&b'\n') {
        Line::Whole(line)
    } else if line.len() > MAX_REQUEST {
        Line::Long
    } else {
        Line::End
    })
}

/// The way back to who asked.
pub(super) struct Replies(OwnedWriteHalf);

impl Replies {
    /// Sends one answer; an error if it is not taken soon.
    pub(super) async fn send(&mut self, answer: &(impl Serialize + Sync)) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        timeout(PATIENCE, self.0.write_all(&line))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
