//! A run: all scenarios in rounds, everything within a scenario by turns, so
//! that what disturbs the machine disturbs all alike.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::{
    faults::Trouble,
    load::{self, Sample},
    scenario::{CLIENTS, Scenario},
    stage::Stage,
    target::Target,
};

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many rounds there are.
    pub rounds: u32,
    /// How long each target is measured in each round.
    pub duration: Duration,
}

/// The samples of one target in one scenario with so many clients.
#[derive(Debug)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: &'static str,
    /// How many clients.
    pub clients: usize,
    /// The target.
    pub target: Target,
    /// A sample a round.
    pub samples: Vec<Sample>,
}

/// A cell in numbers: medians of the rounds. What compares two targets is
/// computed within each round before the median is taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: &'static str,
    /// How many clients.
    pub clients: usize,
    /// The target.
    pub target: Target,
    /// Calls made in all rounds.
    pub calls: u64,
    /// See [`Sample`].
    pub p50_us: f64,
    /// See [`Sample`].
    pub p99_us: f64,
    /// See [`Sample`].
    pub calls_per_second: f64,
    /// See [`Sample`]; none where there is no proxy.
    pub cpu_us: Option<f64>,
    /// See [`Sample`]; none where there is no proxy.
    pub peak_mib: Option<f64>,
    /// Time added at the median over no proxy, in microseconds.
    pub added_us: Option<f64>,
    /// `added_us` as a multiple of nginx's.
    pub added_ratio: Option<f64>,
    /// CPU time per call as a multiple of nginx's.
    pub cpu_ratio: Option<f64>,
    /// Calls per second as a multiple of nginx's.
    pub rate_ratio: Option<f64>,
    /// What it costs beside its [plain](Target::plain) target.
    pub burden: Option<Burden>,
}

/// A sample as a multiple of one of the plain target.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Burden {
    /// Of the median time of a call.
    pub p50: f64,
    /// Of the time that 99 of 100 calls stay under.
    pub p99: f64,
    /// Of the CPU time per call.
    pub cpu: f64,
}

/// Measures `scenarios` through those of their targets that `wanted` accepts;
/// `progress` is told before each measurement.
pub async fn run(
    stage: &mut Stage,
    scenarios: &[&Scenario],
    wanted: impl Fn(Target) -> bool,
    pace: Pace,
    progress: impl Fn(u32, &Scenario, usize, Target),
) -> anyhow::Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for scenario in scenarios {
        for clients in CLIENTS {
            for &target in scenario
                .targets
                .iter()
                .filter(|&&target| wanted(target) && stage.has(target))
            {
                cells.push(Cell {
                    scenario: scenario.name,
                    clients,
                    target,
                    samples: Vec::new(),
                });
            }
        }
    }
    for round in 0..pace.rounds {
        for scenario in scenarios {
            for clients in CLIENTS {
                let mut turn: Vec<&mut Cell> = cells
                    .iter_mut()
                    .filter(|cell| cell.scenario == scenario.name && cell.clients == clients)
                    .collect();
                if round % 2 == 1 {
                    turn.reverse();
                }
                for cell in turn {
                    progress(round, scenario, clients, cell.target);
                    let spot = stage.place(scenario, cell.target).await?;
                    let trouble = (!spot.broken.is_empty())
                        .then(|| Trouble::begin(&spot.endpoint, &spot.broken));
                    let sample = load::run(
                        &spot.endpoint,
                        scenario.era,
                        scenario.call,
                        clients,
                        pace.duration,
                        &spot.pids,
                    );
                    let context = || {
                        format!(
                            "{}, {clients} clients, {}",
                            scenario.name,
                            cell.target.label()
                        )
                    };
                    cell.samples.push(sample.await.with_context(context)?);
                    drop(trouble);
                }
            }
        }
    }
    Ok(cells)
}

/// The summary of every cell.
pub fn summarise(cells: &[Cell]) -> Vec<Summary> {
    cells.iter().map(|cell| cell.summary(cells)).collect()
}

impl Cell {
    fn summary(&self, cells: &[Self]) -> Summary {
        let other = |target| {
            let found = cells.iter().find(|cell| {
                cell.scenario == self.scenario
                    && cell.clients == self.clients
                    && cell.target == target
            });
            found.map(|cell| &cell.samples[..])
        };
        let (direct, nginx) = (other(Target::Direct), other(Target::Nginx));
        let proxy = self.target.is_proxy();
        let each = |read: fn(&Sample) -> f64| median(self.samples.iter().map(read).collect());
        let paired = |with: Option<&[Sample]>, compare: fn(&Sample, &Sample) -> f64| {
            let with = with.filter(|_| proxy)?;
            Some(median(
                self.samples
                    .iter()
                    .zip(with)
                    .map(|(own, other)| compare(own, other))
                    .collect(),
            ))
        };
        let plain = self.target.plain().and_then(other);
        let burden = |compare: fn(&Sample, &Sample) -> f64| paired(plain, compare);
        let added = |samples: Option<&[Sample]>| {
            let added = samples?
                .iter()
                .zip(direct?)
                .map(|(through, direct)| through.p50 - direct.p50);
            Some(median(added.collect()))
        };
        let added_us = if proxy {
            added(Some(&self.samples))
        } else {
            None
        };
        Summary {
            scenario: self.scenario,
            clients: self.clients,
            target: self.target,
            calls: self.samples.iter().map(|sample| sample.calls).sum(),
            p50_us: each(|sample| sample.p50),
            p99_us: each(|sample| sample.p99),
            calls_per_second: each(|sample| sample.rate),
            cpu_us: proxy.then(|| each(|sample| sample.cpu)),
            peak_mib: proxy.then(|| each(|sample| sample.peak)),
            added_us,
            // Not paired: a round in which nginx seems to add nothing would
            // make the ratio meaningless.
            added_ratio: added_us
                .zip(added(nginx))
                .filter(|&(_, nginx)| nginx > 0.0)
                .map(|(own, nginx)| own / nginx),
            cpu_ratio: paired(nginx, |own, nginx| own.cpu / nginx.cpu),
            rate_ratio: paired(nginx, |own, nginx| own.rate / nginx.rate),
            burden: burden(|own, plain| own.p50 / plain.p50)
                .zip(burden(|own, plain| own.p99 / plain.p99))
                .zip(burden(|own, plain| own.cpu / plain.cpu))
                .map(|((p50, p99), cpu)| Burden { p50, p99, cpu }),
        }
    }
}

/// The median of `values`; not a number if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(target: Target, rounds: &[(f64, f64, f64)]) -> Cell {
        let sample = |&(p50, rate, cpu)| Sample {
            calls: 1,
            p50,
            p99: p50,
            rate,
            cpu,
            peak: 1.0,
        };
        Cell {
            scenario: "small",
            clients: 1,
            target,
            samples: rounds.iter().map(sample).collect(),
        }
    }

    #[test]
    fn a_target_is_compared_within_a_round() {
        // The machine is half as fast in the second round.
        let cells = [
            cell(Target::Direct, &[(80.0, 10.0, 0.0), (160.0, 5.0, 0.0)]),
            cell(Target::Nginx, &[(100.0, 8.0, 10.0), (200.0, 4.0, 20.0)]),
            cell(Target::Mcpmux, &[(120.0, 6.0, 15.0), (240.0, 3.0, 30.0)]),
        ];
        let summary = &summarise(&cells)[2];
        assert_eq!(summary.added_us, Some(60.0));
        assert_eq!(
            (summary.added_ratio, summary.cpu_ratio, summary.rate_ratio),
            (Some(2.0), Some(1.5), Some(0.75))
        );
    }

    #[test]
    fn what_is_no_proxy_is_compared_with_nothing() {
        let cells = [
            cell(Target::Direct, &[(80.0, 10.0, 0.0)]),
            cell(Target::Nginx, &[(100.0, 8.0, 10.0)]),
        ];
        let summary = &summarise(&cells)[0];
        assert_eq!(
            (summary.cpu_us, summary.added_us, summary.rate_ratio),
            (None, None, None)
        );
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
