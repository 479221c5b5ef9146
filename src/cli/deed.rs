//! `mcpmux start`, `stop` and `restart`: of one server behind the mcpmux that
//! runs.

use std::{io, path::Path, process::ExitCode};

use serde_json::json;

use super::{
    running::{self, Missing},
    terminal::print,
};
use crate::control::{Deed, Request};

/// Which server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The mcpmux itself is started and stopped by systemctl.

Exit status: 0 if it is under way, 1 if there is no such backend, 69 if no mcpmux runs, 77 if
it is another user's. With --json: {\"backend\": ..., \"under_way\": \"restart\"}, or
{\"backend\": ..., \"error\": ...}.")]
pub(super) struct Args {
    /// The backend
    name: String,
    /// Print one JSON document, also if it cannot be done
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(deed: Deed, args: &Args, config: Option<&Path>) -> ExitCode {
    let request = Request::Backend {
        deed,
        backend: args.name.clone(),
    };
    let done = async {
        let mut answers = running::ask(config, &request).await?;
        answers.next().await?;
        Ok::<_, Missing>(())
    };
    let done = done.await;
    if args.json {
        let document = match &done {
            Ok(()) => json!({ "backend": args.name, "under_way": deed }),
            Err(missing) => json!({ "backend": args.name, "error": missing.to_string() }),
        };
        return match print(&format!("{document:#}\n")) {
            // Whoever reads may stop early.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("mcpmux: cannot print: {error}");
                ExitCode::FAILURE
            }
            _ => done.map_or_else(|missing| missing.code(), |()| ExitCode::SUCCESS),
        };
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(missing) => missing.report(),
    }
}
