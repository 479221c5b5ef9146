//! `mcpmux logs`: what a server has written to stderr, and what mcpmux and systemd have
//! written of it.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use tokio::task::spawn_blocking;

use super::{
    exit,
    running::{self, Missing},
    terminal::{print, printable},
};
use crate::{
    config::Config,
    control::{Answer, Log, Request},
    nearest::no_backend,
    systemd::{self, OwnService, SLICE},
};

/// What mcpmux is as a service, if it is not called otherwise.
const SERVICE: &str = "mcpmux.service";

/// Stands between matches of which one is enough (journalctl(1)).
const OR: &str = "+";

/// How often `--follow` looks for new lines where there is no journal.
const EVERY: Duration = Duration::from_millis(500);

/// Show the log of a server
///
/// From the journal: what the server has written to stderr, and what mcpmux and systemd
/// say of it, whether or not mcpmux runs now. Where mcpmux runs without a journal, the
/// last lines of the server's stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: that of journalctl; without a journal 0 if it was shown. 1 if there is no such
backend, 69 if no mcpmux runs and the journal has nothing of it, 77 if it is another user's.

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
                return become_journalctl(args, &matches);
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
            Err(Missing::Nobody) => return without_mcpmux(args, config).await,
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

/// Shows what the journal has of a service that does not run now, of this user's or the
/// system's; or says where else it may be.
async fn without_mcpmux(args: &Args, config: Option<&Path>) -> ExitCode {
    let name = &args.name;
    let unit = systemd::backend_unit(SERVICE, name);
    let either = [true, false].map(|user| {
        let service = OwnService {
            name: SERVICE.to_owned(),
            user,
        };
        of_service(name, &service, Some(&unit))
    });
    let all = either.join(&[OR.to_owned()][..]);
    let any = tokio::process::Command::new("journalctl")
        .args(["--quiet", "--lines=1", "--output=cat"])
        .args(&all)
        .stdin(Stdio::null())
        .output();
    let why = match any.await {
        Ok(found) if found.status.success() && !found.stdout.is_empty() => {
            return become_journalctl(args, &all);
        }
        Ok(_) => format!("the journal has nothing of a server {name:?} that this user may read"),
        Err(error) => format!("there is no journal (journalctl: {error})"),
    };
    if let Some(unknown) = unknown(name.clone(), config.map(Path::to_owned)).await {
        eprintln!("mcpmux: no mcpmux runs here, and in its configuration {unknown}");
        return ExitCode::FAILURE;
    }
    eprintln!(
        "mcpmux: no mcpmux runs here, and {why}. Start it (`systemctl --user start mcpmux`, or \
         `mcpmux serve`); without a journal it shows the last lines of a server while it runs, \
         and its own log, with those of all servers, goes to its stderr"
    );
    exit::UNAVAILABLE.into()
}

/// What to say of a name that is not in the configuration; `None` if it is there, or
/// there is none that can be read.
async fn unknown(name: String, config: Option<PathBuf>) -> Option<String> {
    let read = spawn_blocking(move || {
        let config = Config::load(config.as_deref()).ok()?;
        let known = config.backends.iter().map(|known| known.name.as_str());
        (!known.clone().any(|known| known == name)).then(|| no_backend(&name, known.clone()))
    });
    read.await.ok()?
}

/// What journalctl(1) is to match: what is of the backend's unit, and what mcpmux says of
/// the backend.
fn matches(
    backend: &str,
    service: Option<&OwnService>,
    unit: Option<&str>,
    pid: u32,
) -> Vec<String> {
    match service {
        Some(service) => of_service(backend, service, unit),
        None => vec![format!("_PID={pid}"), format!("MCPMUX_BACKEND={backend}")],
    }
}

/// What the journal has of `backend` behind mcpmux as this `service`: of its `unit` and
/// those of its clients' own, of what systemd says of it, and of what mcpmux does
/// (systemd.journal-fields(7)).
fn of_service(backend: &str, service: &OwnService, unit: Option<&str>) -> Vec<String> {
    // Several users have a service of the same name.
    let (prefix, own, manager) = if service.user {
        let own = format!("_UID={}", rustix::process::getuid().as_raw());
        ("USER_", Some(own.clone()), own)
    } else {
        ("", None, "_PID=1".to_owned())
    };
    let with_own = |fields: [String; 2]| fields.into_iter().chain(own.clone()).collect();
    let mut either: Vec<Vec<String>> = Vec::new();
    if let Some(unit) = unit {
        let of_unit = format!("_SYSTEMD_{prefix}UNIT={unit}");
        either.push([of_unit].into_iter().chain(own.clone()).collect());
        either.push(vec![format!("{prefix}UNIT={unit}"), manager]);
        either.push(with_own([
            format!("_SYSTEMD_{prefix}SLICE={SLICE}"),
            format!("SYSLOG_IDENTIFIER={backend}"),
        ]));
    }
    either.push(with_own([
        format!("_SYSTEMD_{prefix}UNIT={}", service.name),
        format!("MCPMUX_BACKEND={backend}"),
    ]));
    either.join(&[OR.to_owned()][..])
}

/// Becomes journalctl.
fn become_journalctl(args: &Args, matches: &[String]) -> ExitCode {
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
    fn the_journal_is_asked_for_the_unit_and_for_what_is_said_of_it() {
        let service = |user| OwnService {
            name: "mcpmux.service".to_owned(),
            user,
        };
        let unit = Some("mcpmux-backend-b.service");
        assert_eq!(
            matches("b", Some(&service(false)), unit, 7).join(" "),
            "_SYSTEMD_UNIT=mcpmux-backend-b.service \
             + UNIT=mcpmux-backend-b.service _PID=1 \
             + _SYSTEMD_SLICE=mcpmux.slice SYSLOG_IDENTIFIER=b \
             + _SYSTEMD_UNIT=mcpmux.service MCPMUX_BACKEND=b"
        );
        let own = matches("b", Some(&service(true)), unit, 7);
        assert_eq!(own[0], "_SYSTEMD_USER_UNIT=mcpmux-backend-b.service");
        assert_eq!(own.iter().filter(|one| one.starts_with("_UID=")).count(), 4);
        assert_eq!(matches("b", None, None, 7), ["_PID=7", "MCPMUX_BACKEND=b"]);
    }
}
