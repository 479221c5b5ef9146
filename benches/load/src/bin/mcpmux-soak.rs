//! `mcpmux-soak`: uses mcpmux for a while and says whether what it holds grows.

use std::{
    io::IsTerminal, path::PathBuf, process::ExitCode, sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use mcpmux_load::{binaries::Binaries, soak};
use tokio::signal::unix::{SignalKind, signal};

/// Lets clients, calls and backends of every kind come and go for a while, and
/// looks at mcpmux once a second: descriptors, memory, threads, processes.
///
/// Exit status: 0 if nothing grew and nothing failed, 1 if not. Of less than two
/// minutes no growth is concluded.
#[derive(Debug, Parser)]
struct Options {
    /// For how long: a number with s, m or h.
    #[arg(long, default_value = "20m", value_parser = duration)]
    duration: Duration,
    /// This mcpmux instead of the one built here.
    #[arg(long, value_name = "FILE")]
    mcpmux: Option<PathBuf>,
    /// Build nothing: take the programs beside this one.
    #[arg(long)]
    no_build: bool,
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => bail!("{text:?} ends with none of s, m and h"),
    };
    let number: u32 = text[..text.len() - 1].parse().context("no number")?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let binaries = if options.no_build {
        Binaries::beside(options.mcpmux.clone())?
    } else {
        Binaries::build("release", options.mcpmux.clone())?
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Whoever loses is dropped, and with it all that was started.
        tokio::select! {
            outcome = soak(binaries, options.duration) => outcome,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn soak(binaries: Binaries, duration: Duration) -> anyhow::Result<ExitCode> {
    let terminal = std::io::stderr().is_terminal();
    let (record, tally) = soak::run(binaries, duration, |elapsed, sample| {
        if terminal {
            eprint!(
                "\r\x1b[K{} s: {:.1} MiB resident, {:.0} processes",
                elapsed.as_secs(),
                sample.resident,
                sample.processes
            );
        }
    })
    .await?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    let count = |number: &std::sync::atomic::AtomicU64| number.load(Relaxed);
    println!(
        "{} s: {} clients, {} calls, {} more that were left, {} deeds\n\n{record}",
        record.len(),
        count(&tally.lives),
        count(&tally.calls),
        count(&tally.left),
        count(&tally.deeds),
    );
    let (failures, problems) = tally.failures();
    if failures > 0 {
        println!(
            "{failures} failures, among them:\n  {}",
            problems.join("\n  ")
        );
    }
    let grows = record.is_enough() && record.rows().iter().any(|row| !row.flat);
    Ok(if grows || failures > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
