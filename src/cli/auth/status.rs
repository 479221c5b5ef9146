//! `mcpmux auth status`.

use std::{io, path::Path, process::ExitCode, time::SystemTime};

use super::{
    json,
    source::{Failure, Source, named},
    table,
};
use crate::cli::terminal::{Style, print};

/// Show how the backends' logins stand
///
/// Of each backend: what kind of credential it has, how its login stands, whose
/// it is, when its token expires and how the next one is had, where it is kept,
/// and what went wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if it was shown, 1 if there is no such backend, 69 if the running mcpmux does
not answer, 77 if it is another user's, 78 if the configuration is wrong.

Examples:
  mcpmux auth status
  mcpmux auth status linear
  mcpmux auth status --json | jq -r '.backends[] | select(.login == \"needs_login\").backend'")]
pub(super) struct Args {
    /// Of this backend only
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    match show(args, config).await {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn show(args: &Args, config: Option<&Path>) -> Result<ExitCode, Failure> {
    let (source, backends) = Source::find(config, false).await?;
    let shown = match &args.name {
        Some(name) => vec![named(&backends, name)?],
        None => backends.iter().collect(),
    };
    let text = if args.json {
        format!("{:#}\n", json::document(&source, &shown))
    } else if shown.is_empty() {
        "no backends\n".to_owned()
    } else {
        table::table(&shown, SystemTime::now(), Style::of_stdout())
    };
    if !args.json && !source.is_running() {
        eprintln!("mcpmux: no mcpmux runs; this is what is configured and stored");
    }
    Ok(match print(&text) {
        // Whoever reads may stop early.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("mcpmux: cannot print: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    })
}
