//! `mcpmux reload`: has the mcpmux that runs read its configuration again, and
//! says what has changed.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use serde_json::json;

use super::{exit, running};
use crate::control::{Answer, Reloaded, Request};

/// How it is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Backends whose settings are equal go on as they are, with their calls. Those that are gone or
replaced take no new calls, and end once the calls in flight have, after 10 s at the latest.
Roles, access, limits and audit are in effect at once; what needs a restart is named.

Exit status: 0 if it was read, 78 if it has errors (then nothing has changed), 69 if no mcpmux
runs, 77 if it is another user's.")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let done = async {
        let mut answers = running::ask(config, &Request::Reload).await?;
        match answers.next().await? {
            Answer::Reloaded(reloaded) => Ok(Ok(reloaded)),
            Answer::Invalid { problems } => Ok(Err(problems)),
            _ => Err(running::Missing::Unexpected),
        }
    };
    match done.await {
        Ok(Ok(reloaded)) => {
            print(&if args.json {
                format!("{:#}\n", json!(reloaded))
            } else {
                text(&reloaded)
            });
            ExitCode::SUCCESS
        }
        Ok(Err(problems)) => {
            if args.json {
                print(&format!("{:#}\n", json!({ "problems": problems })));
            } else {
                eprintln!("{}\nmcpmux: nothing was changed", problems.join("\n"));
            }
            exit::CONFIG.into()
        }
        Err(missing) => missing.report(),
    }
}

/// What has changed, by lines.
fn text(reloaded: &Reloaded) -> String {
    let backends = &reloaded.backends;
    let mut text = String::new();
    for (what, names) in [
        ("added", &backends.added),
        ("removed", &backends.removed),
        ("replaced", &backends.replaced),
        ("updated", &backends.updated),
    ] {
        for name in names {
            let _ = writeln!(text, "{what:<9} {name}");
        }
    }
    if backends.reordered {
        text.push_str("the backends stand in another order\n");
    }
    if backends.is_empty() {
        text.push_str("no backend has changed\n");
    }
    if !reloaded.in_effect.is_empty() {
        let _ = writeln!(text, "in effect {}", reloaded.in_effect.join(", "));
    }
    if !reloaded.needs_restart.is_empty() {
        let keys = reloaded.needs_restart.join(", ");
        let _ = writeln!(
            text,
            "needs a restart (systemctl --user restart mcpmux): {keys}"
        );
    }
    for warning in &reloaded.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Prints `text`; a reader that has gone away has seen enough.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Reloaded, text};
    use crate::mux::Difference;

    #[test]
    fn what_has_changed_is_told_by_lines() {
        assert_eq!(text(&Reloaded::default()), "no backend has changed\n");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let reloaded = Reloaded {
            backends: Difference {
                added: names(&["a", "b"]),
                removed: names(&["c"]),
                updated: names(&["d"]),
                reordered: true,
                ..Difference::default()
            },
            in_effect: names(&["access", "limits"]),
            needs_restart: names(&["listen.path", "token_store.kind"]),
            warnings: names(&["w"]),
        };
        assert_eq!(
            text(&reloaded),
            "added     a\nadded     b\nremoved   c\nupdated   d\n\
             the backends stand in another order\n\
             in effect access, limits\n\
             needs a restart (systemctl --user restart mcpmux): listen.path, token_store.kind\n\
             warning: w\n"
        );
    }
}
