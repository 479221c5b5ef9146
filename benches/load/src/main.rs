//! `mcpmux-load`: the benchmark's command line.

use std::{fs, io::IsTerminal, path::PathBuf, time::Duration};

use anyhow::{bail, ensure};
use clap::Parser;
use mcpmux_load::{
    activation,
    aims::{self, Findings},
    binaries::Binaries,
    memory,
    report::Report,
    rounds::{self, Pace},
    scenario::{self, Scenario},
    sessions,
    stage::Stage,
    target::Target,
};
use tokio::signal::unix::{SignalKind, signal};

/// Measures mcpmux against nothing, nginx and a bare hyper pass-through, by
/// turns, and prints medians and ratios.
#[derive(Debug, Parser)]
struct Options {
    /// A few seconds instead of some minutes: shows that it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Only this scenario (may be given several times); also `memory`,
    /// `activation`, `idle-sessions` and `fanout`.
    #[arg(long = "scenario", value_name = "NAME", value_parser = scenario_names())]
    scenarios: Vec<String>,
    /// Only this target (may be given several times).
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<Target>,
    /// How many rounds [default: 5, quick: 1].
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Seconds for each target in each round [default: 1, quick: 0.05].
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Also write the results to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// This mcpmux instead of the one built here.
    #[arg(long, value_name = "FILE")]
    mcpmux: Option<PathBuf>,
    /// Build nothing: take the programs beside this one.
    #[arg(long)]
    no_build: bool,
}

fn scenario_names() -> Vec<&'static str> {
    scenario::ALL
        .iter()
        .map(|scenario| scenario.name)
        .chain(["memory", "activation", "idle-sessions", "fanout"])
        .collect()
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let binaries = if options.no_build {
        Binaries::beside(options.mcpmux.clone())?
    } else {
        Binaries::build("release", options.mcpmux.clone())?
    };
    // One thread, so that the load leaves the others to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        // Whoever loses is dropped, and with it all that was started.
        tokio::select! {
            outcome = measure(&options, binaries) => outcome,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
            _ = hangup.recv() => bail!("the terminal is gone"),
        }
    })
}

async fn measure(options: &Options, binaries: Binaries) -> anyhow::Result<()> {
    let pace = options.pace()?;
    let scenarios: Vec<&'static Scenario> = scenario::ALL
        .iter()
        .filter(|scenario| options.wants(scenario.name))
        .collect();
    let mut stage = Stage::open(binaries)?;
    if !stage.has(Target::Nginx) {
        eprintln!("nginx is not installed: no ratios to it");
    }
    let mcpmux = options.wants_target(Target::Mcpmux) && stage.has(Target::Mcpmux);
    if options.wants_target(Target::Mcpmux) && !mcpmux {
        eprintln!("there is no mcpmux: measuring the others");
    }
    let memory = if mcpmux && options.wants("memory") {
        Some(memory::measure(stage.launcher()).await?)
    } else {
        None
    };
    let activation = if mcpmux && options.wants("activation") {
        Some(activation::measure(stage.launcher(), pace.rounds).await?)
    } else {
        None
    };
    let count = if options.quick { 100 } else { sessions::IDLE };
    let idle = if mcpmux && options.wants("idle-sessions") {
        Some(sessions::idle(stage.launcher(), count).await?)
    } else {
        None
    };
    let clients = if options.quick { 20 } else { sessions::CLIENTS };
    let fanout = if mcpmux && options.wants("fanout") {
        Some(sessions::fanout(stage.launcher(), clients, pace.rounds).await?)
    } else {
        None
    };
    let terminal = std::io::stderr().is_terminal();
    let progress = |round: u32, scenario: &Scenario, clients: usize, target: Target| {
        if terminal {
            let what = format!("{}, {clients} clients, {}", scenario.name, target.label());
            eprint!("\r\x1b[Kround {} of {}: {what}", round + 1, pace.rounds);
        }
    };
    let wanted = |target| options.wants_target(target);
    let cells = rounds::run(&mut stage, &scenarios, wanted, pace, progress).await?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    let findings = Findings {
        summaries: rounds::summarise(&cells),
        activation,
        memory,
        idle,
        fanout,
    };
    let resident = stage.resident()?;
    let aims = aims::judge(&findings);
    let report = Report {
        scenarios: &scenarios,
        findings: &findings,
        resident: &resident,
        aims: &aims,
    };
    print!("{report}");
    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", report.to_json()))?;
    }
    Ok(())
}

impl Options {
    fn pace(&self) -> anyhow::Result<Pace> {
        let (rounds, seconds) = if self.quick { (1, 0.05) } else { (5, 1.0) };
        let (rounds, seconds) = (
            self.rounds.unwrap_or(rounds),
            self.duration.unwrap_or(seconds),
        );
        ensure!(rounds > 0, "there must be a round");
        Ok(Pace {
            rounds,
            duration: Duration::try_from_secs_f64(seconds)?,
        })
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario)
    }

    fn wants_target(&self, target: Target) -> bool {
        self.targets.is_empty() || self.targets.contains(&target)
    }
}
