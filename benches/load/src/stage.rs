//! The stage: everything that takes part in a run, started when it is first
//! needed and ended with the run.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use tempfile::TempDir;

use crate::{
    binaries::Binaries,
    daemon::{Backends, Daemon, Launcher},
    faults::Faults,
    nginx,
    process::Process,
    request::Endpoint,
    scenario::{Scenario, TOOLS},
    target::{Target, Upstream},
    usage,
};

/// Where a client of a scenario goes, and who is watched meanwhile.
#[derive(Debug, Clone)]
pub struct Place {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The proxy's processes; none where there is no proxy.
    pub pids: Vec<u32>,
    /// Tools of broken backends, which are called now and then meanwhile.
    pub broken: Vec<String>,
}

/// A proxy's resident memory, in MiB.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Resident {
    /// Which proxy.
    pub target: Target,
    /// Once it was ready.
    pub idle: f64,
    /// At the end of the run.
    pub after_load: f64,
}

/// Who is on the stage. Fields are dropped in this order: proxies before the
/// backend, and the directory last.
#[derive(Debug)]
pub struct Stage {
    daemons: HashMap<Backends, (Daemon, f64)>,
    proxies: HashMap<Target, (Process, SocketAddr, Vec<u32>, f64)>,
    launcher: Launcher,
    faults: Option<Faults>,
    binaries: Binaries,
    _backend: Process,
    dir: TempDir,
}

impl Stage {
    /// Starts the HTTP backend; all else comes when it is needed.
    pub fn open(binaries: Binaries) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("mcpmux-load-").tempdir()?;
        let mut command = Command::new(&binaries.backend);
        command.args(["--sessions", "--tools", &TOOLS.to_string()]);
        let (backend, http) = Process::serve("backend", &mut command, dir.path())?;
        let launcher = Launcher {
            mcpmux: binaries.mcpmux.clone(),
            backend: binaries.backend.clone(),
            http,
            broken: Vec::new(),
            dir: dir.path().to_owned(),
        };
        let (daemons, proxies) = Default::default();
        Ok(Self {
            daemons,
            proxies,
            launcher,
            faults: None,
            binaries,
            _backend: backend,
            dir,
        })
    }

    /// What starts further instances of mcpmux.
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Where the stage keeps its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether `target` can take part on this machine.
    pub fn has(&self, target: Target) -> bool {
        match target {
            Target::Nginx => self.binaries.nginx.is_some(),
            target if target.is_mcpmux() => self.binaries.mcpmux.is_file(),
            _ => true,
        }
    }

    /// Where a client of `scenario` goes to be measured through `target`.
    pub async fn place(&mut self, scenario: &Scenario, target: Target) -> anyhow::Result<Place> {
        let direct = |address, path: &str| Endpoint {
            address,
            path: path.to_owned(),
            tool: "echo".to_owned(),
            key: None,
        };
        let Upstream { path, .. } = scenario.upstream;
        Ok(match target {
            Target::Direct => Place {
                endpoint: direct(self.launcher.http, path),
                pids: Vec::new(),
                broken: Vec::new(),
            },
            Target::Kept => Place {
                endpoint: direct(self.launcher.http, "/kept"),
                pids: Vec::new(),
                broken: Vec::new(),
            },
            Target::Nginx | Target::Hyper => {
                let (address, pids) = self.proxy(target)?;
                Place {
                    endpoint: direct(address, path),
                    pids,
                    broken: Vec::new(),
                }
            }
            Target::Mcpmux => self.daemon(Backends::Http(scenario.upstream)).await?,
            Target::Stdio => self.daemon(Backends::Stdio).await?,
            Target::Fifty => self.daemon(Backends::Many).await?,
            Target::Good | Target::GoodStdio | Target::Half | Target::HalfStdio => {
                self.company(target).await?
            }
            Target::Doors => self.daemon(Backends::Doors).await?,
            Target::Hidden => self.doors(Backends::HIDDEN).await?,
            Target::Absent => self.doors(Backends::ABSENT).await?,
        })
    }

    /// What the proxies have resident now, and had when they were idle.
    pub fn resident(&self) -> anyhow::Result<Vec<Resident>> {
        let mut all = Vec::new();
        for (&target, (_, _, pids, idle)) in &self.proxies {
            all.push(Resident {
                target,
                idle: *idle,
                after_load: mebibytes(pids)?,
            });
        }
        for (backends, (daemon, idle)) in &self.daemons {
            let target = match backends {
                Backends::Http(upstream) if *upstream == crate::scenario::LEGACY => Target::Mcpmux,
                Backends::Http(_) => continue,
                Backends::Stdio => Target::Stdio,
                Backends::Many => Target::Fifty,
                Backends::Company { broken: false } => Target::Good,
                Backends::Company { broken: true } => Target::Half,
                Backends::Doors => Target::Doors,
            };
            all.push(Resident {
                target,
                idle: *idle,
                after_load: mebibytes(&[daemon.process.id()])?,
            });
        }
        all.sort_by_key(|resident| resident.target as usize);
        Ok(all)
    }

    fn proxy(&mut self, target: Target) -> anyhow::Result<(SocketAddr, Vec<u32>)> {
        if !self.proxies.contains_key(&target) {
            let (process, address) = if target == Target::Nginx {
                let binary = self
                    .binaries
                    .nginx
                    .as_deref()
                    .context("nginx is not installed")?;
                nginx::start(binary, self.launcher.http, self.dir.path())?
            } else {
                let mut command = Command::new(&self.binaries.relay);
                command.args(["--upstream", &self.launcher.http.to_string()]);
                Process::serve("relay", &mut command, self.dir.path())?
            };
            let pids = usage::family(process.id());
            let idle = mebibytes(&pids)?;
            self.proxies.insert(target, (process, address, pids, idle));
        }
        let (_, address, pids, _) = &self.proxies[&target];
        Ok((*address, pids.clone()))
    }

    /// The same as with all doors, where `tool` is called.
    async fn doors(&mut self, tool: &str) -> anyhow::Result<Place> {
        let mut place = self.daemon(Backends::Doors).await?;
        tool.clone_into(&mut place.endpoint.tool);
        Ok(place)
    }

    /// Good backends, and broken ones where `target` has them.
    async fn company(&mut self, target: Target) -> anyhow::Result<Place> {
        let broken = target.has_broken();
        if broken && self.faults.is_none() {
            let faults = Faults::start(&self.binaries.peer, self.dir.path()).await?;
            self.launcher.broken.clone_from(&faults.entries);
            self.faults = Some(faults);
        }
        let mut place = self.daemon(Backends::Company { broken }).await?;
        if let Some(faults) = self.faults.as_ref().filter(|_| broken) {
            place.broken.clone_from(&faults.tools);
        }
        if matches!(target, Target::GoodStdio | Target::HalfStdio) {
            Backends::PIPE.clone_into(&mut place.endpoint.tool);
        }
        Ok(place)
    }

    /// A mcpmux with good and broken backends, and where its files are.
    pub async fn soaked(&mut self) -> anyhow::Result<(Place, PathBuf)> {
        let place = self.company(Target::Half).await?;
        let (daemon, _) = &self.daemons[&Backends::Company { broken: true }];
        Ok((place, daemon.home.clone()))
    }

    async fn daemon(&mut self, backends: Backends) -> anyhow::Result<Place> {
        if !self.daemons.contains_key(&backends) {
            let name = format!("mcpmux-{}", self.daemons.len());
            let daemon = self.launcher.ready(&name, backends).await?;
            let idle = mebibytes(&[daemon.process.id()])?;
            self.daemons.insert(backends, (daemon, idle));
        }
        let (daemon, _) = &self.daemons[&backends];
        Ok(Place {
            endpoint: daemon.endpoint.clone(),
            pids: vec![daemon.process.id()],
            broken: Vec::new(),
        })
    }
}

/// The resident memory of `pids`, in MiB.
#[expect(
    clippy::cast_precision_loss,
    reason = "memory in KiB stays far below 2^52"
)]
pub fn mebibytes(pids: &[u32]) -> anyhow::Result<f64> {
    Ok(usage::read(pids)?.resident as f64 / 1024.0)
}
