//! `mcpmux auth login`.

use std::{
    env,
    io::{self, BufRead, Read},
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use super::{
    json,
    source::{Failure, Source, with_login},
    table::span,
};
use crate::{
    Secret,
    cli::terminal::{print, printable},
    config::duration,
    credential::{Begun, LoginState, LoginStatus, LoginWay, Page, Wish},
};

/// The longest line that is taken for an address, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// How long a login may take to end after it was brought what ends it, before
/// its address is asked for again.
const MOMENT: Duration = Duration::from_millis(500);

/// How long a login may take beyond its own end.
const MARGIN: Duration = Duration::from_secs(60);

/// Log in to a backend that asks for consent (OAuth)
///
/// Prints the page at which to consent, opens it in a browser where that is
/// allowed and there is one, and waits until you have consented. The running
/// mcpmux uses the login at once; it goes on if this command is left.
#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[command(after_help = "\
On stdout stand the page, on a line of its own, and in the end `NAME: logged in`; the rest is
said on stderr.

Exit status: 0 if it is logged in, 1 if not, 69 if the running mcpmux does not answer, 77 if
it is another user's, 78 if the configuration is wrong.

Examples:
  mcpmux auth login linear
  mcpmux auth login --all
  mcpmux auth login linear --paste      the browser is on another machine: open the page there,
                                        and bring the address that it ends at
  mcpmux auth login linear --device     with a code, on any device
  mcpmux auth login linear --json | jq -r 'select(.event == \"begun\").url'")]
pub(super) struct Args {
    /// The backend
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Every backend that needs a login, one after the other
    #[arg(long)]
    all: bool,
    /// Open no browser
    #[arg(long)]
    no_browser: bool,
    /// Read the address that the browser ends at from stdin
    #[arg(long, conflicts_with_all = ["device", "all"])]
    paste: bool,
    /// Consent on another device, with a code
    #[arg(long)]
    device: bool,
    /// How long to wait for you, such as 90s or 5m [default: as long as the page
    /// is good, which is 10 minutes]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print events, one JSON object a line
    #[arg(long)]
    json: bool,
}

/// How one login went.
enum Outcome {
    LoggedIn,
    Not(String),
    /// Ctrl-C.
    Left,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    match log_in(args, config).await {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn log_in(args: &Args, config: Option<&Path>) -> Result<ExitCode, Failure> {
    let (source, backends) = tokio::select! {
        found = Source::find(config, true) => found?,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
    };
    let chosen: Vec<&LoginStatus> = match &args.name {
        Some(name) => vec![with_login(&backends, name)?],
        None => backends.iter().filter(|backend| needs(backend)).collect(),
    };
    if chosen.is_empty() && !args.json {
        eprintln!("mcpmux: no backend needs a login");
    }
    let mut code = ExitCode::SUCCESS;
    for backend in chosen {
        let name = &backend.backend;
        match one(&source, name, args).await? {
            Outcome::LoggedIn if args.json => event(&json::ended(name, None)),
            // A reader that has gone away has seen enough.
            Outcome::LoggedIn => drop(print(&format!("{name}: logged in\n"))),
            Outcome::Not(reason) => {
                if args.json {
                    event(&json::ended(name, Some(&reason)));
                }
                eprintln!("mcpmux: {name}: {}", printable(&reason));
                code = ExitCode::FAILURE;
            }
            Outcome::Left => {
                if source.is_running() {
                    eprintln!("mcpmux: {name}: left; the login can still be finished");
                }
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(code)
}

/// Whether a login of `backend` may be missing.
fn needs(backend: &LoginStatus) -> bool {
    backend.kind == "oauth" && backend.login != Some(LoginState::LoggedIn)
}

/// One login, from its beginning to its end.
async fn one(source: &Source, backend: &str, args: &Args) -> Result<Outcome, Failure> {
    let wish = Wish {
        way: if args.device {
            LoginWay::Device
        } else {
            LoginWay::Redirect
        },
        browser: !(args.no_browser || args.paste || is_remote(|name| env::var_os(name).is_some())),
    };
    let begun = tokio::select! {
        begun = source.begin(backend, wish) => begun,
        _ = tokio::signal::ctrl_c() => return Ok(Outcome::Left),
    };
    let (begun, ending) = match begun {
        Ok(begun) => begun,
        Err(Failure::Login(reason)) => return Ok(Outcome::Not(reason)),
        Err(failure) => return Err(failure),
    };
    show(&begun, args);
    let left = begun.expires.duration_since(SystemTime::now());
    let patience = args
        .timeout
        .unwrap_or_else(|| left.unwrap_or_default() + MARGIN);
    let mut ended = Box::pin(ending.ended());
    let mut late = Box::pin(sleep(patience));
    let mut addresses = args.paste.then(addresses);
    loop {
        let address = tokio::select! {
            biased;
            outcome = &mut ended => return of(outcome),
            () = &mut late => {
                return Ok(Outcome::Not(format!("nobody has consented within {}", span(patience))));
            }
            _ = tokio::signal::ctrl_c() => return Ok(Outcome::Left),
            address = next(&mut addresses) => address,
        };
        let Some(address) = address else {
            return Ok(Outcome::Not("no address was pasted".to_owned()));
        };
        let pasted = match source.paste(backend, address).await {
            Ok(()) => Ok(()),
            Err(Failure::Login(reason)) => Err(reason),
            Err(failure) => return Err(failure),
        };
        // What was brought has ended the login, or was nothing to it.
        if let Ok(outcome) = timeout(MOMENT, &mut ended).await {
            return of(outcome);
        }
        match pasted {
            Ok(()) => addresses = None,
            Err(reason) => eprintln!(
                "mcpmux: {backend}: {}\nPaste the address, and press Enter:",
                printable(&reason)
            ),
        }
    }
}

fn of(outcome: Result<(), Failure>) -> Result<Outcome, Failure> {
    match outcome {
        Ok(()) => Ok(Outcome::LoggedIn),
        Err(Failure::Login(reason)) => Ok(Outcome::Not(reason)),
        Err(failure) => Err(failure),
    }
}

/// Whether who runs this sits at another machine: a browser that was opened here
/// would be seen by nobody, or by somebody else.
fn is_remote(is_set: impl Fn(&str) -> bool) -> bool {
    is_set("SSH_CONNECTION") && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY")
}

/// Says where to consent, and what is waited for.
fn show(begun: &Begun, args: &Args) {
    if args.json {
        return event(&json::begun(begun));
    }
    let backend = &begun.backend;
    let left = begun.expires.duration_since(SystemTime::now());
    let left = span(args.timeout.unwrap_or(left.unwrap_or_default()));
    match &begun.page {
        Page::Redirect { url, opened } => {
            eprintln!(
                "{backend}: log in at this page{}:",
                if *opened {
                    ", which was opened in a browser"
                } else {
                    ""
                }
            );
            let _ = print(&format!("{}\n", printable(url)));
            if args.paste {
                eprintln!(
                    "Then copy the address that the browser ends at, also if it cannot show that \
                     page, paste it here, and press Enter ({left} at most):"
                );
                return;
            }
        }
        Page::Device {
            url,
            complete_url,
            code,
        } => {
            let code = printable(code);
            eprintln!("{backend}: open this page on any device and enter the code {code}:");
            let _ = print(&format!("{}\n", printable(url)));
            if let Some(url) = complete_url {
                eprintln!("or, with the code filled in: {}", printable(url));
            }
        }
    }
    eprintln!("Waiting until you have consented, {left} at most (Ctrl-C to leave) …");
}

fn event(event: &Value) {
    let _ = print(&format!("{event}\n"));
}

/// The next address; never, where none is read.
async fn next(addresses: &mut Option<mpsc::Receiver<Secret>>) -> Option<Secret> {
    match addresses {
        Some(addresses) => addresses.recv().await,
        None => std::future::pending().await,
    }
}

/// The lines of stdin that are not empty. They are read on a thread that ends
/// with the process: nobody can call it back.
fn addresses() -> mpsc::Receiver<Secret> {
    let (sender, addresses) = mpsc::channel(1);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Zeroizing::new(String::new());
            match (&mut stdin).take(MAX_LINE).read_line(&mut line) {
                Ok(1..) if line.trim().is_empty() => {}
                Ok(1..) => {
                    if sender
                        .blocking_send(Secret::new(line.trim().to_owned()))
                        .is_err()
                    {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            }
        }
    });
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::auth::table::tests::status;

    #[test]
    fn over_ssh_a_browser_is_opened_only_where_its_display_is() {
        let set = |names: &'static [&'static str]| is_remote(|name| names.contains(&name));
        assert!(!set(&[]));
        assert!(set(&["SSH_CONNECTION"]));
        assert!(!set(&["SSH_CONNECTION", "DISPLAY"]));
        assert!(!set(&["DISPLAY"]));
    }

    #[test]
    fn all_are_those_that_may_lack_a_login() {
        let mut linear = status("linear", "oauth");
        for (login, wanted) in [
            (LoginState::LoggedIn, false),
            (LoginState::NeedsLogin, true),
            (LoginState::NotAsked, true),
        ] {
            linear.login = Some(login);
            assert_eq!(needs(&linear), wanted);
        }
        assert!(!needs(&status("github", "bearer")));
    }
}
