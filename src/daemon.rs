//! Puts the parts together: backends, listeners and systemd, from start to
//! drain.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    backend::command::descriptors,
    config::{Config, ListenTransport},
    control::{self, Served},
    credential::Logins,
    listener::{self, Socket, stdio},
    mux::Mux,
    systemd::{Handed, Listener, Notifier, watchdog_interval},
};

/// How long calls in flight may take to finish once mcpmux is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why mcpmux could not serve.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}{hint}")]
    Bind {
        /// Where it was to listen.
        address: String,
        /// What to do.
        hint: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A signal or socket could not be set up.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// The client behind stdin cannot be read.
    #[error("cannot read stdin: {0}")]
    Stdin(#[source] io::Error),
}

impl DaemonError {
    /// Whether the system does not permit what was asked.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Serves clients as `config` says until SIGTERM, SIGINT or SIGHUP, then
/// finishes what is in flight and ends every backend.
///
/// `handed` are sockets of systemd's; with any, `listen.address` and
/// `listen.socket` are not bound. Returns when everything has ended.
pub async fn run(
    config: &Config,
    handed: Vec<Handed>,
    notifier: Arc<Notifier>,
) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(DaemonError::Start)?;
    descriptors::raise();
    let logins = Logins::new(config);
    logins.open_store();
    let started = Instant::now();
    let path = config
        .path
        .as_ref()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let served = |mux: &Arc<Mux>, sockets| Served {
        mux: Arc::clone(mux),
        logins: Arc::clone(&logins),
        config: path.clone(),
        sockets,
        started,
    };
    let stop = CancellationToken::new();
    match config.listen.transport {
        ListenTransport::Stdio => {
            if !handed.is_empty() {
                warn!(
                    "systemd handed over sockets, but listen.transport is stdio: they are not served"
                );
            }
            let mux = Mux::start(config, &logins);
            let control = control::start(served(&mux, vec!["stdin and stdout".to_owned()]));
            let told = tokio::spawn(tell(Arc::clone(&mux), Arc::clone(&notifier)));
            let serving = stdio::serve(
                Arc::clone(&mux),
                tokio::io::stdin(),
                tokio::io::stdout(),
                config.listen.max_body,
                stop.clone(),
                DRAIN,
            );
            let outcome = until_stopped(serving, &mut signals, &mux, &stop, &notifier).await;
            told.abort();
            control.stop().await;
            mux.stop().await;
            outcome.unwrap_or(Ok(())).map_err(DaemonError::Stdin)
        }
        ListenTransport::Http => {
            let (sockets, bound) = if handed.is_empty() {
                bind(config).await?
            } else {
                (adopt(handed)?, None)
            };
            let mut addresses = Vec::new();
            for socket in &sockets {
                let address = address(socket, &config.listen.path);
                announce(socket, &address);
                addresses.push(address);
            }
            if let Some(address) = browsers_reach(&sockets) {
                logins.served_at(address);
            }
            let mux = Mux::start(config, &logins);
            let control = control::start(served(&mux, addresses));
            let serving = listener::serve(
                Arc::clone(&mux),
                Arc::clone(&logins),
                &config.listen,
                sockets,
                stop.clone(),
                DRAIN,
            );
            let told = tokio::spawn(tell(Arc::clone(&mux), Arc::clone(&notifier)));
            until_stopped(serving, &mut signals, &mux, &stop, &notifier).await;
            told.abort();
            drop(bound);
            control.stop().await;
            mux.stop().await;
            info!("stopped");
            Ok(())
        }
    }
}

/// Drives `serving` to its end; `None` if a second signal cut it short.
async fn until_stopped<T>(
    serving: impl Future<Output = T>,
    signals: &mut Signals,
    mux: &Mux,
    stop: &CancellationToken,
    notifier: &Notifier,
) -> Option<T> {
    tokio::pin!(serving);
    loop {
        let signal = tokio::select! {
            done = &mut serving => return Some(done),
            signal = signals.next() => signal,
        };
        match signal {
            Caught::Retry => {
                info!("SIGUSR1: trying every unavailable backend now");
                mux.retry_now();
            }
            Caught::Stop(name) if stop.is_cancelled() => {
                info!("{name} again: not waiting for calls in flight");
                return None;
            }
            Caught::Stop(name) => {
                info!("{name}: finishing the calls in flight");
                notifier.stopping("stopping, finishing the calls in flight");
                stop.cancel();
            }
        }
    }
}

/// Tells systemd that mcpmux serves, how it is, and that it is alive.
async fn tell(mux: Arc<Mux>, notifier: Arc<Notifier>) {
    let mut activity = mux.activity();
    notifier.ready(&mux.summary());
    let alive = async {
        match watchdog_interval() {
            Some(interval) => notifier.watchdog(interval).await,
            None => std::future::pending().await,
        }
    };
    let status = async {
        while activity.changed().await.is_ok() {
            notifier.status(&mux.summary());
        }
    };
    tokio::join!(alive, status);
}

/// A signal that means something to mcpmux.
enum Caught {
    Stop(&'static str),
    Retry,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    retry: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            retry: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Caught::Stop("SIGINT"),
            _ = self.hangup.recv() => Caught::Stop("SIGHUP"),
            _ = self.retry.recv() => Caught::Retry,
        }
    }
}

/// The sockets of systemd, for this runtime.
fn adopt(handed: Vec<Handed>) -> Result<Vec<Socket>, DaemonError> {
    let adopted = handed.into_iter().map(|socket| match socket.listener {
        Listener::Tcp(tcp) => TcpListener::from_std(tcp).map(Socket::Tcp),
        Listener::Unix(unix) => UnixListener::from_std(unix).map(Socket::Unix),
    });
    adopted
        .collect::<io::Result<_>>()
        .map_err(DaemonError::Start)
}

/// Binds what the configuration names.
async fn bind(config: &Config) -> Result<(Vec<Socket>, Option<BoundPath>), DaemonError> {
    let address = config.listen.address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| DaemonError::Bind {
            address: address.to_string(),
            hint: hint(&source),
            source,
        })?;
    let mut sockets = vec![Socket::Tcp(listener)];
    let mut bound = None;
    if let Some(path) = &config.listen.socket {
        let unix = bind_unix(path).await.map_err(|source| DaemonError::Bind {
            address: path.display().to_string(),
            hint: hint(&source),
            source,
        })?;
        sockets.push(Socket::Unix(unix));
        bound = Some(BoundPath(path.clone()));
    }
    Ok((sockets, bound))
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (is another mcpmux running? see systemctl --user status mcpmux.socket mcpmux.service)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need a privilege; choose another one)"
        }
        _ => "",
    }
}

/// A unix socket that only its owner reaches. One that a dead process left
/// behind is replaced, one that is served is not.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file of that name is there",
            ));
        }
        Err(_) => {}
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket's file, removed at the end.
struct BoundPath(PathBuf);

impl Drop for BoundPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a browser on this machine reaches mcpmux itself: on a loopback address,
/// where it listens on one or on all.
fn browsers_reach(sockets: &[Socket]) -> Option<SocketAddr> {
    let addresses = sockets.iter().filter_map(|socket| match socket {
        Socket::Tcp(listener) => listener.local_addr().ok().map(|address| {
            let loopback: IpAddr = match address.ip() {
                IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            SocketAddr::new(loopback, address.port())
        }),
        Socket::Unix(_) => None,
    });
    addresses.min_by_key(|address| !address.ip().is_loopback())
}

fn announce(socket: &Socket, address: &str) {
    info!("listening on {address}");
    if let Socket::Tcp(listener) = socket
        && let Ok(address) = listener.local_addr()
        && !address.ip().is_loopback()
    {
        warn_of_open_door(address);
    }
}

/// Where clients reach `socket`.
fn address(socket: &Socket, path: &str) -> String {
    match socket {
        Socket::Tcp(listener) => listener.local_addr().map_or_else(
            |_| "a TCP socket without an address".to_owned(),
            |address| format!("http://{address}{path}"),
        ),
        Socket::Unix(listener) => {
            let address = listener.local_addr().ok();
            let path = address.as_ref().and_then(|address| address.as_pathname());
            let path = path.unwrap_or(Path::new("(unnamed)"));
            format!("unix socket {}", path.display())
        }
    }
}

fn warn_of_open_door(address: SocketAddr) {
    warn!(
        "{address} is reachable from other machines, and clients are not asked who they are: \
         everyone who can reach it can call every backend's tools with the credentials that mcpmux holds. \
         Bind 127.0.0.1 unless something in front of it authenticates clients"
    );
}
