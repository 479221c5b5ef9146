//! A command as a service of systemd: in a control group of its own that ends
//! as a whole, its stderr in the journal under its own name.

use std::{
    collections::HashSet,
    env,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{io::AsyncWriteExt, task::JoinHandle, time::timeout};
use tracing::{debug, info, warn};

use super::{
    AFTER_KILL, AFTER_STDIN, AFTER_TERM, exec, guard,
    launch::{self, Ours},
    stderr,
};
use crate::{
    backend::{BackendError, Tail},
    config::{CommandSettings, Sandbox, SandboxLevel},
    systemd::{self, Unit, Units},
};

/// How long the program may take to read what it is to execute.
const TO_READ: Duration = Duration::from_secs(10);

/// A running service.
#[derive(Debug)]
pub(super) struct Service {
    backend: Arc<str>,
    unit: Unit,
    stderr: Option<JoinHandle<()>>,
}

impl Service {
    /// Has systemd start the command, or one client's `instance` of it; gives
    /// the ends of its stdin and stdout as well. A start that systemd has not
    /// begun by the time that it is `given_up` is called off.
    ///
    /// Not to be dropped before it is done: a unit could be left behind.
    pub(super) async fn launch(
        units: Arc<Units>,
        backend: Arc<str>,
        settings: CommandSettings,
        instance: Option<u64>,
        tail: &Arc<Tail>,
        given_up: impl Future<Output = ()>,
    ) -> Result<(Self, Ours), BackendError> {
        let looked = tokio::task::spawn_blocking(move || place(&settings).map(|at| (at, settings)));
        let (place, settings) = looked.await.map_err(|error| failed(&error))??;
        let (mut ours, theirs) = launch::pipes(!systemd::on_journal())?;
        let usual = Sandbox::at(SandboxLevel::Basic);
        let service = systemd::Service {
            description: format!("MCP server {backend} (mcpmux)"),
            identifier: &backend,
            program: place.itself,
            argv: vec!["mcpmux".to_owned(), exec::VERB.to_owned()],
            cwd: &place.cwd,
            stdin: theirs.stdin,
            stdout: theirs.stdout,
            stderr: theirs.stderr,
            patience: AFTER_TERM,
            limits: settings.limits,
            sandbox: settings.sandbox.as_ref().unwrap_or(&usual),
        };
        tail.begin();
        let unit = units.start(&backend, instance, &service, given_up).await;
        // What systemd was given is its alone now.
        drop(service);
        let unit = unit.map_err(|error| {
            BackendError::Launch(format!("cannot launch {:?}: {error}", settings.argv[0]))
        })?;
        debug!(%backend, unit = unit.name(), "launched {}", settings.argv[0]);
        let stderr = ours.stderr.take();
        let stderr = stderr.map(|stderr| {
            tokio::spawn(stderr::log_lines(
                Arc::clone(&backend),
                stderr,
                Arc::clone(tail),
            ))
        });
        let mut service = Self {
            backend,
            unit,
            stderr,
        };
        let bound = units.own().is_some();
        let told = {
            let frame = framed(&settings, bound);
            timeout(TO_READ, ours.stdin.write_all(&frame)).await
        };
        match told {
            Ok(Ok(())) => {}
            outcome => {
                let why = match outcome {
                    Ok(Err(error)) => error.to_string(),
                    _ => "it does not read what it is to execute".to_owned(),
                };
                drop(ours);
                service.unit.kill(Signal::KILL).await;
                service.unit.gone_within(AFTER_KILL).await;
                return Err(failed(&why));
            }
        }
        service.tell_of_limits(&settings).await;
        Ok((service, ours))
    }

    /// The unit's name.
    pub(super) fn name(&self) -> &str {
        self.unit.name()
    }

    /// Waits for the main process to end, and says how it did.
    pub(super) async fn exited(&mut self) -> String {
        self.unit.exited().await
    }

    /// Ends the whole control group. Its stdin has been closed by the caller:
    /// waits, then SIGTERM, then SIGKILL.
    ///
    /// By signals, not by stopping the unit: while mcpmux itself is being
    /// stopped, systemd has the unit wait for mcpmux, and mcpmux waits here.
    pub(super) async fn end(mut self) {
        if !self.unit.gone_within(AFTER_STDIN).await {
            self.unit.kill(Signal::TERM).await;
            if !self.unit.gone_within(AFTER_TERM).await {
                info!(backend = %self.backend, "did not end after SIGTERM, sending SIGKILL");
                self.unit.kill(Signal::KILL).await;
                if !self.unit.gone_within(AFTER_KILL).await {
                    warn!(backend = %self.backend, "processes are left after SIGKILL");
                }
            }
        }
        if let Some(stderr) = self.stderr.take() {
            let abort = stderr.abort_handle();
            if timeout(Duration::from_millis(100), stderr).await.is_err() {
                abort.abort();
            }
        }
    }

    /// Says once which limits do not hold.
    async fn tell_of_limits(&self, settings: &CommandSettings) {
        if settings.limits.is_empty() {
            return;
        }
        let missing = self.unit.without_effect(settings.limits).await;
        if !missing.is_empty() && first_time(&self.backend) {
            warn!(
                backend = %self.backend,
                "no effect of limits.{}: systemd has not been given the controller for it \
                 (see Delegate= in systemd.resource-control(5))",
                missing.join(", limits.")
            );
        }
    }
}

/// Whether this backend's limits have not been spoken of.
pub(super) fn first_time(backend: &str) -> bool {
    static TOLD: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.get_or_insert_default().insert(backend.to_owned())
}

/// Where this program lies, and where the command is to run.
struct Place {
    itself: PathBuf,
    cwd: PathBuf,
}

/// Finds both, and whether the command is there at all. Reads directories.
fn place(settings: &CommandSettings) -> Result<Place, BackendError> {
    launch::look(settings)?;
    let cwd = settings.cwd.as_deref().unwrap_or(Path::new("."));
    Ok(Place {
        itself: launch::itself().map_err(|error| failed(&error))?,
        cwd: std::path::absolute(cwd)
            .or_else(|_| env::current_dir())
            .map_err(|error| failed(&error))?,
    })
}

/// What the command gets to execute. One that does not end with mcpmux by
/// systemd's care (`bound`) carries the guard's mark.
fn framed(settings: &CommandSettings, bound: bool) -> zeroize::Zeroizing<Vec<u8>> {
    let program = launch::program(&settings.argv[0]);
    let arguments = settings.argv[1..].iter().map(OsStr::new);
    let argv: Vec<&OsStr> = [program.as_os_str()].into_iter().chain(arguments).collect();
    let mut inherited = launch::passed_on(settings.inherit_env);
    if !bound && let Some((name, value)) = guard::mark() {
        inherited.push((name.into(), value));
    }
    let inherited = inherited.iter().map(|(name, value)| (&**name, &**value));
    let own = settings.env.iter();
    let own = own.map(|(name, value)| {
        (
            OsStr::new(name),
            OsStr::from_bytes(value.expose().as_bytes()),
        )
    });
    let env: Vec<_> = inherited.chain(own).collect();
    exec::frame(&argv, &env)
}

fn failed(why: &impl ToString) -> BackendError {
    BackendError::Launch(format!("cannot launch it: {}", why.to_string()))
}
