//! `mcpmux logs`: what a server behind the mcpmux that runs has written to stderr,
//! and what mcpmux has written of it.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use super::{
    running::{self, Missing},
    terminal::{print, printable},
};
use crate::{
    control::{Answer, Log, Request},
    systemd::OwnService,
};

/// How often `--follow` looks for new lines where there is no journal.
const EVERY: Duration = Duration::from_millis(500);

/// Show the log of a server
///
/// From the journal: what the server has written to stderr, and what mcpmux says of
/// it. Where mcpmux runs without a journal, the last lines of the server's stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: that of journalctl; without a journal 0 if it was shown, 1 if there is no such
backend, 69 if no mcpmux runs, 77 if it is another user's.

Examples:
  mcpmux logs github
  mcpmux logs -f -n 20 github")]
pub(super) struct Args {
    /// The backend
    name: String,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// So many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: u32,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let mut seen = 0;
    let mut most = args.lines as usize;
    loop {
        match asked(args, config, most, seen).await {
            Ok(Log::Journal { service, unit, pid }) => {
                let matches = matches(&args.name, service.as_ref(), unit.as_deref(), pid);
                return journal(args, &matches);
            }
            Ok(Log::Lines { lines, written }) => {
                let lines: String = lines.iter().map(|line| printable(line) + "\n").collect();
                match print(&lines) {
                    // Whoever reads may stop early.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return ExitCode::SUCCESS;
                    }
                    Err(error) => {
                        eprintln!("mcpmux: cannot print: {error}");
                        return ExitCode::FAILURE;
                    }
                    Ok(()) => (seen, most) = (written, usize::MAX),
                }
            }
            Err(missing) => return missing.report(),
        }
        if !args.follow {
            return ExitCode::SUCCESS;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return ExitCode::SUCCESS,
        }
    }
}

async fn asked(args: &Args, config: Option<&Path>, most: usize, seen: u64) -> Result<Log, Missing> {
    let request = Request::Log {
        backend: args.name.clone(),
        most,
        seen,
    };
    match running::ask(config, &request).await?.next().await? {
        Answer::Log(log) => Ok(log),
        _ => Err(Missing::Unexpected),
    }
}

/// What journalctl(1) is to match: the unit of the backend and those of its clients'
/// own, or what mcpmux says of it (systemd.journal-fields(7)).
fn matches(
    backend: &str,
    service: Option<&OwnService>,
    unit: Option<&str>,
    pid: u32,
) -> Vec<String> {
    let of_backend = format!("MCPMUX_BACKEND={backend}");
    let Some(service) = service else {
        return vec![format!("_PID={pid}"), of_backend];
    };
    // Several users have a service of the same name.
    let (field, whose) = if service.user {
        let uid = rustix::process::getuid().as_raw();
        ("_SYSTEMD_USER_UNIT", Some(format!("_UID={uid}")))
    } else {
        ("_SYSTEMD_UNIT", None)
    };
    let mut all = Vec::new();
    if let Some(unit) = unit {
        all.push(format!("{field}={unit}"));
        all.extend(whose.clone());
        all.push("+".to_owned());
    }
    all.push(format!("{field}={}", service.name));
    all.extend(whose);
    all.push(of_backend);
    all
}

/// Becomes journalctl.
fn journal(args: &Args, matches: &[String]) -> ExitCode {
    let mut command = Command::new("journalctl");
    command
        .arg("--quiet")
        .arg(format!("--lines={}", args.lines));
    if args.follow {
        command.arg("--follow");
    }
    if env::var_os("SYSTEMD_PAGER").is_none() && env::var_os("PAGER").is_none() {
        command.arg("--no-pager");
    }
    let error = command.args(matches).exec();
    eprintln!("mcpmux: cannot run journalctl: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_asked_for_the_unit_and_for_what_mcpmux_says_of_it() {
        let service = |user| OwnService {
            name: "mcpmux.service".to_owned(),
            user,
        };
        let unit = Some("mcpmux-backend-b.service");
        assert_eq!(
            matches("b", Some(&service(false)), unit, 7),
            [
                "_SYSTEMD_UNIT=mcpmux-backend-b.service",
                "+",
                "_SYSTEMD_UNIT=mcpmux.service",
                "MCPMUX_BACKEND=b",
            ]
        );
        let own = matches("b", Some(&service(true)), unit, 7);
        assert_eq!(own[0], "_SYSTEMD_USER_UNIT=mcpmux-backend-b.service");
        assert_eq!(own.iter().filter(|one| one.starts_with("_UID=")).count(), 2);
        assert_eq!(matches("b", None, None, 7), ["_PID=7", "MCPMUX_BACKEND=b"]);
    }
}
