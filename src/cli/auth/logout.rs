//! `mcpmux auth logout`.

use std::{path::Path, process::ExitCode};

use super::source::{Failure, Source, with_login};
use crate::{cli::terminal::print, credential::LoggedOut};

/// Forget a backend's tokens, and have them revoked where that can be
///
/// The backend needs a new login then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if it is logged out now, 1 if not, 69 if the running mcpmux does not answer,
77 if it is another user's, 78 if the configuration is wrong.

Examples:
  mcpmux auth logout linear
  mcpmux auth logout --all")]
pub(super) struct Args {
    /// The backend
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Every backend that has a login
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    match log_out(args, config).await {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn log_out(args: &Args, config: Option<&Path>) -> Result<ExitCode, Failure> {
    let (source, backends) = Source::find(config, false).await?;
    let chosen = match &args.name {
        Some(name) => vec![with_login(&backends, name)?],
        None => backends
            .iter()
            .filter(|backend| backend.kind == "oauth")
            .collect(),
    };
    let mut code = ExitCode::SUCCESS;
    for backend in chosen {
        let name = &backend.backend;
        match source.logout(name).await {
            Ok(done) => {
                // A reader that has gone away has seen enough.
                let _ = print(&format!("{name}: {}\n", outcome(&done)));
            }
            Err(Failure::Login(reason)) => {
                eprintln!("mcpmux: {name}: {reason}");
                code = ExitCode::FAILURE;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}

fn outcome(done: &LoggedOut) -> &'static str {
    match done {
        LoggedOut {
            was_logged_in: false,
            ..
        } => "was not logged in",
        LoggedOut {
            revoked: Some(true),
            ..
        } => "logged out, and its tokens are revoked",
        LoggedOut {
            revoked: Some(false),
            ..
        } => {
            "logged out here; the authorization server did not revoke its tokens, which are good \
             until they expire"
        }
        LoggedOut { revoked: None, .. } => {
            "logged out here; the authorization server revokes no tokens, which are good until \
             they expire"
        }
    }
}
