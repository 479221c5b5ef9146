//! Puts the parts together: backends, listeners and systemd, from start to
//! drain.

use std::{fmt::Write, io, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    access::Access,
    backend::command::descriptors,
    config::{Config, Environment, ListenTransport},
    control::{self, Reload, Served},
    credential::Logins,
    limits::Limits,
    listener::{self, Keeping, Presence, Pulse, Workers, keeping::SESSIONS, stdio},
    mux::{Memory, Mux},
    store::{self, Store},
    systemd::{Notifier, Taken},
};
pub use reload::Read;
use reload::Reloading;
use signals::{Caught, Signals};
use sockets::{address, adopt, announce, bind, browsers_reach, endpoint_of};

mod files;
mod reload;
mod signals;
mod sockets;
mod telling;

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

/// Serves clients as `config` says until SIGTERM or SIGINT, then finishes what is
/// in flight and ends every backend. On SIGHUP, and when it is asked to, it goes
/// over to what `read` gives.
///
/// `access` says who may come in. `taken` is what systemd handed over; with any socket among it,
/// `listen.address` and `listen.socket` are not bound, and mcpmux also ends when
/// no client was there for `listen.idle_exit`. Returns when everything has ended.
pub async fn run(
    config: &Config,
    access: Access,
    read: Read,
    taken: Taken,
    notifier: Arc<Notifier>,
) -> Result<(), DaemonError> {
    let signals = Signals::new().map_err(DaemonError::Start)?;
    descriptors::raise();
    let logins = Logins::new(config);
    logins.open_store();
    let house = House {
        started: Instant::now(),
        config,
        access: Arc::new(access),
        read,
        memory: Arc::new(recollect(config).await),
        limits: Arc::new(count(config).await),
        logins,
        notifier,
        signals,
        stop: CancellationToken::new(),
    };
    let by_systemd = !taken.sockets.is_empty();
    match config.listen.transport {
        ListenTransport::Stdio => {
            if by_systemd {
                warn!(
                    "systemd handed over sockets, but listen.transport is stdio: they are not served"
                );
            }
            house.warn_of_idle_exit(false);
            house.serve_stdio().await
        }
        ListenTransport::Http => {
            house.warn_of_idle_exit(by_systemd);
            house.serve_http(taken).await
        }
    }
}

/// What serving takes, whatever the transport.
struct House<'a> {
    started: Instant,
    config: &'a Config,
    access: Arc<Access>,
    read: Read,
    memory: Arc<Memory>,
    limits: Arc<Limits>,
    logins: Arc<Logins>,
    notifier: Arc<Notifier>,
    signals: Signals,
    stop: CancellationToken,
}

impl House<'_> {
    /// Starts the backends.
    fn mux(&self) -> Arc<Mux> {
        Mux::start_with(
            self.config,
            &self.logins,
            &self.memory,
            Arc::clone(&self.limits),
            Arc::clone(self.access.audit()),
        )
    }

    async fn serve_stdio(self) -> Result<(), DaemonError> {
        let mux = self.mux();
        let serving = stdio::serve(
            Arc::clone(&mux),
            Arc::clone(&self.access),
            tokio::io::stdin(),
            tokio::io::stdout(),
            self.config.listen.max_body,
            self.stop.clone(),
            DRAIN,
        );
        let place = vec!["stdin and stdout".to_owned()];
        let pulse = Arc::default();
        let outcome = self
            .attend(
                &mux,
                place,
                Arc::default(),
                pulse,
                serving,
                std::future::pending(),
            )
            .await;
        outcome.unwrap_or(Ok(())).map_err(DaemonError::Stdin)
    }

    async fn serve_http(self, taken: Taken) -> Result<(), DaemonError> {
        let Taken {
            sockets: handed,
            left,
        } = taken;
        let listen = &self.config.listen;
        let by_systemd = !handed.is_empty();
        let (sockets, bound) = if by_systemd {
            (adopt(handed)?, None)
        } else {
            bind(self.config).await?
        };
        let mut addresses = Vec::new();
        for socket in &sockets {
            let address = address(socket, &listen.path, self.access.is_secure());
            announce(socket, &address, self.config.access.insecure);
            addresses.push(address);
        }
        // A redirect goes to a loopback address without TLS (RFC 8252, section 7.3).
        if let Some(address) = browsers_reach(&sockets).filter(|_| !self.access.is_secure()) {
            self.logins.served_at(address);
        }
        // Nobody comes back to a port that is another one each time.
        let lasts = by_systemd || listen.address.port() != 0;
        let keeping = endpoint_of(&sockets).filter(|_| lasts).map(|endpoint| {
            let store = sessions(&endpoint, Arc::clone(&self.notifier));
            Keeping::new(store, left)
        });
        let (presence, pulse) = (Arc::<Presence>::default(), Arc::<Pulse>::default());
        let workers = Arc::<Workers>::default();
        let mux = self.mux();
        let serving = listener::serve(
            Arc::clone(&mux),
            Arc::clone(&self.logins),
            Arc::clone(&self.access),
            listen,
            sockets,
            keeping,
            Arc::clone(&presence),
            Arc::clone(&pulse),
            Arc::clone(&workers),
            self.stop.clone(),
            DRAIN,
        );
        let (busy_mux, logins) = (Arc::clone(&mux), Arc::clone(&self.logins));
        let idle_exit = listen.idle_exit.filter(|_| by_systemd);
        let clients = Arc::clone(&presence);
        let idle = async move {
            match idle_exit {
                Some(time) => {
                    let busy = || busy_mux.is_busy() || logins.is_busy();
                    presence.left_for(time, busy).await;
                }
                None => std::future::pending().await,
            }
        };
        self.attend(&mux, addresses, clients, pulse, serving, idle)
            .await;
        workers.end().await;
        drop(bound);
        info!("stopped");
        Ok(())
    }

    /// Says that `listen.idle_exit` has no effect, unless what starts mcpmux
    /// again is `there`.
    fn warn_of_idle_exit(&self, there: bool) {
        if self.config.listen.idle_exit.is_some() && !there {
            warn!(
                "listen.idle_exit has no effect: without a socket of systemd's (mcpmux.socket) \
                 nothing would start mcpmux again"
            );
        }
    }

    /// Drives `serving` to its end, with all that goes on beside it, then ends
    /// the backends. As [`until_stopped`].
    async fn attend<T>(
        mut self,
        mux: &Arc<Mux>,
        addresses: Vec<String>,
        presence: Arc<Presence>,
        pulse: Arc<Pulse>,
        serving: impl Future<Output = T>,
        idle: impl Future<Output = ()>,
    ) -> Option<T> {
        let (reload, asked) = Reload::new();
        let trouble = watch::Sender::new(String::new());
        let control = control::start(Served {
            reload: reload.clone(),
            mux: Arc::clone(mux),
            logins: Arc::clone(&self.logins),
            sockets: addresses,
            presence,
            started: self.started,
            config: self
                .config
                .path
                .as_ref()
                .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        });
        let notifier = Arc::clone(&self.notifier);
        let told = tokio::spawn(telling::tell(
            Arc::clone(mux),
            trouble.subscribe(),
            pulse,
            notifier,
        ));
        let reloading = Reloading {
            access: Arc::clone(&self.access),
            read: Arc::clone(&self.read),
            running: self.config.clone(),
            mux: Arc::clone(mux),
            logins: Arc::clone(&self.logins),
            memory: Arc::clone(&self.memory),
            limits: Arc::clone(&self.limits),
            notifier: Arc::clone(&self.notifier),
            trouble,
            reload: reload.clone(),
            stop: self.stop.clone(),
        };
        let reloading = tokio::spawn(reloading.run(asked));
        let kept = tokio::spawn(keep(Arc::clone(&self.memory), Arc::clone(mux)));
        let limits = Arc::clone(&self.limits);
        let counted = tokio::spawn(async move { limits.keep().await });
        let (signals, stop) = (&mut self.signals, &self.stop);
        let notifier = &self.notifier;
        let outcome = until_stopped(serving, idle, signals, mux, &reload, stop, notifier).await;
        told.abort();
        reloading.abort();
        let _ = reloading.await;
        kept.abort();
        counted.abort();
        control.stop().await;
        self.memory.save(mux).await;
        mux.stop().await;
        self.limits.save().await;
        let audit = Arc::clone(mux.audit());
        let _ = tokio::task::spawn_blocking(move || audit.flush()).await;
        outcome
    }
}

/// What earlier runs knew of the backends.
async fn recollect(config: &Config) -> Memory {
    let config = config.clone();
    let loaded =
        tokio::task::spawn_blocking(move || Memory::load(&config, &Environment::process()));
    loaded.await.unwrap_or_default()
}

/// How far limits are used up since the day began.
async fn count(config: &Config) -> Limits {
    let config = config.clone();
    let loaded =
        tokio::task::spawn_blocking(move || Limits::load(&config, &Environment::process()));
    loaded.await.unwrap_or_default()
}

async fn keep(memory: Arc<Memory>, mux: Arc<Mux>) {
    memory.keep(&mux).await;
}

/// Where the sessions of the mcpmux at `endpoint` are kept.
fn sessions(endpoint: &str, notifier: Arc<Notifier>) -> Store {
    let mut name = String::from("sessions-");
    for byte in &Sha256::digest(endpoint)[..8] {
        let _ = write!(name, "{byte:02x}");
    }
    let file = store::runtime(&Environment::process()).map(|directory| directory.join(name));
    Store::new(SESSIONS, file).with(notifier)
}

/// Drives `serving` to its end, which also comes when it is `idle`; `None` if a
/// second signal cut it short.
async fn until_stopped<T>(
    serving: impl Future<Output = T>,
    idle: impl Future<Output = ()>,
    signals: &mut Signals,
    mux: &Mux,
    reload: &Reload,
    stop: &CancellationToken,
    notifier: &Notifier,
) -> Option<T> {
    tokio::pin!(serving, idle);
    loop {
        let signal = tokio::select! {
            done = &mut serving => return Some(done),
            signal = signals.next() => signal,
            () = &mut idle, if !stop.is_cancelled() => {
                info!("no client for the time of listen.idle_exit: the next one starts mcpmux again");
                notifier.stopping("idle, the next connection starts mcpmux again");
                stop.cancel();
                continue;
            }
        };
        match signal {
            Caught::Retry => {
                info!("SIGUSR1: trying every unavailable backend now");
                mux.retry_now();
            }
            Caught::Reload => reload.ask(),
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
