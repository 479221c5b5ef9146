//! `mcpmux start`, `stop` and `restart`: of one server behind the mcpmux that
//! runs.

use std::{path::Path, process::ExitCode};

use super::running;
use crate::control::{Deed, Request};

/// Which server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The mcpmux itself is started and stopped by systemctl.

Exit status: 0 if it is under way, 1 if there is no such backend, 69 if no mcpmux runs, 77 if
it is another user's.")]
pub(super) struct Args {
    /// The backend
    name: String,
}

pub(super) async fn run(deed: Deed, args: &Args, config: Option<&Path>) -> ExitCode {
    let request = Request::Backend {
        deed,
        backend: args.name.clone(),
    };
    let done = async {
        let mut answers = running::ask(config, &request).await?;
        answers.next().await?;
        Ok::<_, running::Missing>(())
    };
    match done.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(missing) => missing.report(),
    }
}
