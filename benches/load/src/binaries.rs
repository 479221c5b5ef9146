//! The programs that take part: built by cargo, found beside this one, or
//! installed.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use serde::Deserialize;

/// Where the programs are.
#[derive(Debug)]
pub struct Binaries {
    /// `bench-backend`.
    pub backend: PathBuf,
    /// `bench-relay`.
    pub relay: PathBuf,
    /// The tests' scriptable backend.
    pub peer: PathBuf,
    /// mcpmux.
    pub mcpmux: PathBuf,
    /// nginx, where it is installed.
    pub nginx: Option<PathBuf>,
}

/// A line of `cargo build --message-format=json` (cargo's "External tools").
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

impl Binaries {
    /// Builds what is to be built, with this profile of cargo's. `mcpmux`, if
    /// given, is taken as it is.
    pub fn build(profile: &str, mcpmux: Option<PathBuf>) -> anyhow::Result<Self> {
        let build = |package| build(profile, package);
        let peers = build("mcpmux-load")?;
        let mcpmux = match mcpmux {
            Some(path) => path,
            None => named(&build("mcpmux")?, "mcpmux")?,
        };
        Ok(Self {
            backend: named(&peers, "bench-backend")?,
            relay: named(&peers, "bench-relay")?,
            peer: named(&build("mcpmux-test-peer")?, "mcpmux-test-peer")?,
            mcpmux,
            nginx: nginx(),
        })
    }

    /// Takes what lies beside the running program.
    pub fn beside(mcpmux: Option<PathBuf>) -> anyhow::Result<Self> {
        let own = env::current_exe()?;
        let beside = |name| own.with_file_name(name);
        Ok(Self {
            backend: beside("bench-backend"),
            relay: beside("bench-relay"),
            peer: beside("mcpmux-test-peer"),
            mcpmux: mcpmux.unwrap_or_else(|| beside("mcpmux")),
            nginx: nginx(),
        })
    }
}

/// Builds the programs of `package` and says where they are.
fn build(profile: &str, package: &str) -> anyhow::Result<Vec<PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--profile",
            profile,
            "--bins",
            "--message-format=json-render-diagnostics",
            "--package",
            package,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{package} cannot be built");
    }
    let lines = output.stdout.split(|&byte| byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    Ok(artifacts
        .filter_map(|artifact| artifact.executable)
        .collect())
}

fn named(built: &[PathBuf], name: &str) -> anyhow::Result<PathBuf> {
    let found = built
        .iter()
        .find(|path| path.file_name().is_some_and(|file| file == name));
    found
        .cloned()
        .with_context(|| format!("cargo built no {name}"))
}

/// nginx in `PATH`, or where distributions put it for root.
fn nginx() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join("nginx"))
        .find(|file| Path::is_file(file))
}
