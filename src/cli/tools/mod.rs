//! `mcpmux tools`: what has become of the tools behind the mcpmux that runs, and
//! approving it.

use std::{io, path::Path, process::ExitCode};

mod text;

use super::{
    running::{self, Missing},
    terminal::{Style, print},
};
use crate::control::{Answer, Request};

/// See and approve what has changed of tools
///
/// mcpmux remembers the name, title, description, schemas and annotations of each
/// tool as it first saw them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the tools that are not as they were first seen, or approved
    #[command(after_help = "\
Exit status: 0 if they were shown, 1 if there is no such backend, 69 if no mcpmux runs, 77 if
it is another user's.

Examples:
  mcpmux tools diff
  mcpmux tools diff github
  mcpmux tools diff --json | jq -r '.backends[].tools[].tool'")]
    Diff {
        /// Of this backend only
        backend: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Approve tools as they are now; with `pin: block` clients then see them
    #[command(after_help = "\
Exit status: 0 if it is done, 1 if there is nothing of that name to approve, 69 if no mcpmux
runs, 77 if it is another user's.

Examples:
  mcpmux tools approve github
  mcpmux tools approve github create_issue")]
    Approve {
        /// The backend
        backend: String,
        /// This tool only, by the name that its server gives it
        tool: Option<String>,
        /// Print one JSON document: the names of the tools that were approved
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let said = match &args.verb {
        Verb::Diff { backend, json } => diff(backend.as_deref(), *json, config).await,
        Verb::Approve {
            backend,
            tool,
            json,
        } => approve(backend, tool.as_deref(), *json, config).await,
    };
    match said.map(|said| print(&said)) {
        Err(missing) => missing.report(),
        // Whoever reads may stop early.
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("mcpmux: cannot print: {error}");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
    }
}

async fn diff(backend: Option<&str>, json: bool, config: Option<&Path>) -> Result<String, Missing> {
    let request = Request::ToolsDiff {
        backend: backend.map(str::to_owned),
    };
    match running::ask(config, &request).await?.next().await? {
        Answer::ToolChanges { backends } if json => {
            let document = serde_json::json!({ "backends": backends });
            Ok(format!("{document:#}\n"))
        }
        Answer::ToolChanges { backends } => Ok(text::changes(&backends, Style::of_stdout())),
        _ => Err(Missing::Unexpected),
    }
}

async fn approve(
    backend: &str,
    tool: Option<&str>,
    json: bool,
    config: Option<&Path>,
) -> Result<String, Missing> {
    let request = Request::ToolsApprove {
        backend: backend.to_owned(),
        tool: tool.map(str::to_owned),
    };
    match running::ask(config, &request).await?.next().await? {
        Answer::Approved { tools } if json => {
            let document = serde_json::json!({ "backend": backend, "approved": tools });
            Ok(format!("{document:#}\n"))
        }
        Answer::Approved { tools } if tools.is_empty() => {
            Ok(format!("{backend}: nothing waits to be approved\n"))
        }
        Answer::Approved { tools } => {
            let approved = tools
                .iter()
                .map(|tool| format!("approved {backend} {tool:?}\n"));
            Ok(approved.collect())
        }
        _ => Err(Missing::Unexpected),
    }
}
