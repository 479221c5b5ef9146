//! The report: tables for people, and the same as JSON.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::{
    aims::{Aim, Findings},
    rounds::Summary,
    scenario::Scenario,
    stage::Resident,
};

/// A run's results, to be shown as tables.
#[derive(Debug)]
pub struct Report<'a> {
    /// What was measured.
    pub scenarios: &'a [&'static Scenario],
    /// What came of it.
    pub findings: &'a Findings,
    /// The proxies' memory.
    pub resident: &'a [Resident],
    /// The aims, judged.
    pub aims: &'a [Aim],
}

impl Report<'_> {
    /// All of it, for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "cells": self.findings.summaries,
            "activation_ms": self.findings.activation,
            "memory": self.findings.memory,
            "idle_sessions": self.findings.idle,
            "fanout": self.findings.fanout,
            "resident_mib": self.resident,
            "aims": self.aims,
        })
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in self.scenarios {
            let rows: Vec<_> = self
                .findings
                .summaries
                .iter()
                .filter(|summary| summary.scenario == scenario.name)
                .collect();
            if rows.is_empty() {
                continue;
            }
            writeln!(f, "{}", scenario.title)?;
            writeln!(
                f,
                "  {:>7}  {:<20}{:>9}{:>9}{:>10}{:>9}{:>9}{:>9}   {:>7}{:>7}{:>8}",
                "clients",
                "",
                "p50 µs",
                "p99 µs",
                "added µs",
                "calls/s",
                "CPU µs",
                "MiB",
                "added×",
                "CPU×",
                "calls×"
            )?;
            for row in &rows {
                write_row(f, row)?;
            }
            write_messages(f, scenario, &rows)?;
            write_burden(f, &rows)?;
            writeln!(f)?;
        }
        writeln!(
            f,
            "added: at the median, over direct; CPU: of the proxy, per call; MiB: its peak; ×: nginx = 1\n"
        )?;
        if !self.resident.is_empty() {
            writeln!(f, "resident memory, MiB{:>16}{:>12}", "idle", "after load")?;
            for resident in self.resident {
                writeln!(
                    f,
                    "  {:<24}{:>10.1}{:>12.1}",
                    resident.target.label(),
                    resident.idle,
                    resident.after_load
                )?;
            }
            writeln!(f)?;
        }
        if let Some(memory) = self.findings.memory {
            writeln!(
                f,
                "mcpmux: {:.1} MiB idle, {:.1} KiB a session, {:.1} KiB a backend",
                memory.idle, memory.per_session, memory.per_backend
            )?;
        }
        if let Some(idle) = self.findings.idle {
            writeln!(
                f,
                "{} idle sessions: {:.0} bytes each; {} with a stream open: {:.0} bytes each",
                idle.sessions, idle.bytes, idle.streams, idle.bytes_streaming
            )?;
        }
        if let Some(fanout) = self.findings.fanout {
            writeln!(
                f,
                "a changed list told to {} clients: {:.1} ms from the change to the last, {:.1} ms from the first to the last, {:.1} ms of CPU time",
                fanout.clients, fanout.all_ms, fanout.spread_ms, fanout.cpu_ms
            )?;
        }
        if let Some(activation) = self.findings.activation {
            writeln!(
                f,
                "first list after activation: {:.1} ms (HTTP backend), {:.1} ms (stdio backend, itself {:.1} ms); \
                 not whole at first in {} of {} starts",
                activation.http,
                activation.stdio,
                activation.backend,
                activation.incomplete,
                activation.starts
            )?;
        }
        if self.aims.iter().any(|aim| aim.found.is_some()) {
            writeln!(f, "\naims")?;
            for aim in self.aims {
                let mark = match aim.met {
                    Some(true) => "met",
                    Some(false) => "MISSED",
                    None => "not measured",
                };
                let found = aim.found.as_deref().unwrap_or("-");
                writeln!(
                    f,
                    "  {:<56}{:>18}{:>12}   {mark}",
                    aim.what, aim.wanted, found
                )?;
            }
        }
        Ok(())
    }
}

/// How many messages a second came, where a call brings several.
fn write_messages(
    f: &mut fmt::Formatter<'_>,
    scenario: &Scenario,
    rows: &[&Summary],
) -> fmt::Result {
    let each = match scenario.call.messages() {
        1 => return Ok(()),
        messages => u32::try_from(messages).unwrap_or(u32::MAX),
    };
    for row in rows {
        writeln!(
            f,
            "  {:>7}  {:<20}{:>9.0} events/s",
            row.clients,
            row.target.label(),
            row.calls_per_second * f64::from(each)
        )?;
    }
    Ok(())
}

/// What a target costs beside its plain one, where it has one.
fn write_burden(f: &mut fmt::Formatter<'_>, rows: &[&Summary]) -> fmt::Result {
    for row in rows {
        if let Some((burden, plain)) = row.burden.zip(row.target.plain()) {
            writeln!(
                f,
                "  {:>7}  {:<20}  {} = 1: p50 {:.2}, p99 {:.2}, CPU {:.2}",
                row.clients,
                row.target.label(),
                plain.label(),
                burden.p50,
                burden.p99,
                burden.cpu
            )?;
        }
    }
    Ok(())
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Summary) -> fmt::Result {
    write!(
        f,
        "  {:>7}  {:<20}{:>9.0}{:>9.0}{:>10}{:>9.0}{:>9}{:>9}   {:>7}{:>7}{:>8}",
        row.clients,
        row.target.label(),
        row.p50_us,
        row.p99_us,
        cell(row.added_us, 0),
        row.calls_per_second,
        cell(row.cpu_us, 1),
        cell(row.peak_mib, 1),
        cell(row.added_ratio, 2),
        cell(row.cpu_ratio, 2),
        cell(row.rate_ratio, 2),
    )?;
    f.write_char('\n')
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value
        .map(|value| format!("{value:.digits$}"))
        .unwrap_or_default()
}
