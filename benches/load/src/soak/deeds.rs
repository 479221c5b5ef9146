//! What a person does to backends meanwhile, with mcpmux's own commands.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{process::Command, time::sleep};

use super::Tally;
use crate::daemon;

/// The pause between two deeds.
const PAUSE: Duration = Duration::from_secs(1);

/// The deeds, in this order again and again.
const DEEDS: &[&[&str]] = &[
    &["restart", "pipe"],
    &["status"],
    &["stop", "bench23"],
    &["stop", "pipe"],
    &["start", "bench23"],
    &["start", "pipe"],
    &["restart", "forks-in-call"],
    &["restart", "http-stalls-in-call"],
    &["reload"],
];

/// Does one after another; each must succeed. What this mcpmux does not know is
/// left out.
pub(super) async fn repeat(mcpmux: PathBuf, home: PathBuf, tally: Arc<Tally>) {
    let mut known = Vec::new();
    for deed in DEEDS {
        let help = run(&mcpmux, &home, &[deed[0], "--help"]).await;
        if help.is_ok() {
            known.push(*deed);
        }
    }
    for deed in known.into_iter().cycle() {
        sleep(PAUSE).await;
        match run(&mcpmux, &home, deed).await {
            Ok(()) => _ = tally.deeds.fetch_add(1, Relaxed),
            Err(problem) => tally.failed(format!("mcpmux {}: {problem}", deed.join(" "))),
        }
    }
}

async fn run(mcpmux: &Path, home: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(mcpmux);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    daemon::at_home(command.as_std_mut(), home);
    let output = command.output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
