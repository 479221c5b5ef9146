//! `mcpmux status`: how the mcpmux that runs is, on one screen.

use std::{io, path::Path, process::ExitCode, time::Duration};

use super::{
    running::{self, Missing},
    terminal::{Style, print},
};
use crate::{
    control::{Answer, Request, Status},
    nearest::no_backend,
};

mod screen;

/// How often `--watch` looks again.
const EVERY: Duration = Duration::from_secs(2);

/// Show how the running mcpmux and its servers are
///
/// Of each server: its state and why, the era that it speaks, its tools, calls
/// and errors, how long half and 95 of 100 calls take at most, and how often it
/// was connected anew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if it was shown, 1 if there is no such backend, 69 if no mcpmux runs, 77 if it
is another user's.

Examples:
  mcpmux status
  mcpmux status --watch
  mcpmux status --json | jq -r '.backends[] | select(.state != \"up\").name'")]
pub(super) struct Args {
    /// Of this backend only
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let mut was_there = false;
    loop {
        let text = match asked(config).await {
            Ok(status) => match shown(status, args) {
                Ok(text) => text,
                Err(error) => {
                    eprintln!("mcpmux: {error}");
                    return ExitCode::FAILURE;
                }
            },
            // Who watches sees it come back.
            Err(missing) if was_there && missing.is_away() => format!("mcpmux: {missing}\n"),
            Err(missing) => return missing.report(),
        };
        was_there = args.watch;
        let clear = if args.watch { "\u{1b}[H\u{1b}[2J" } else { "" };
        match print(&format!("{clear}{text}")) {
            // Whoever reads may stop early.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("mcpmux: cannot print: {error}");
                return ExitCode::FAILURE;
            }
            Err(_) => return ExitCode::SUCCESS,
            Ok(()) => {}
        }
        if !args.watch {
            return ExitCode::SUCCESS;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return ExitCode::SUCCESS,
        }
    }
}

/// The status as it is printed. Error: why not.
fn shown(status: Status, args: &Args) -> Result<String, String> {
    let status = only(status, args.name.as_deref())?;
    if args.json {
        let text = serde_json::to_string_pretty(&status);
        return text
            .map(|text| text + "\n")
            .map_err(|error| error.to_string());
    }
    Ok(screen::screen(&status, Style::of_stdout()))
}

async fn asked(config: Option<&Path>) -> Result<Status, Missing> {
    let mut answers = running::ask(config, &Request::Status).await?;
    match answers.next().await? {
        Answer::Status(status) => Ok(status),
        _ => Err(Missing::Unexpected),
    }
}

/// The same status with one backend. Error: there is none of that name.
fn only(mut status: Status, name: Option<&str>) -> Result<Status, String> {
    let Some(name) = name else {
        return Ok(status);
    };
    let names = status.backends.iter().map(|backend| backend.name.as_str());
    let missing = no_backend(name, names);
    status.backends.retain(|backend| backend.name == name);
    if status.backends.is_empty() {
        return Err(missing);
    }
    Ok(status)
}
