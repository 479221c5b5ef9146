//! `mcpmux keys`: the API keys of clients. The mcpmux that runs sees every change
//! of their file by itself.

use std::{io, path::Path, process::ExitCode, time::Duration};

mod table;

use super::{
    exit, quieter, start_log,
    terminal::{Style, print},
};
use crate::{
    access::keys,
    config::{AccessSettings, Config, ConfigError, Environment, KeysSetting, duration},
    systemd::LogOptions,
};

/// Make, list and revoke the API keys of clients
///
/// A client shows its key as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Of
/// a key only a salted hash is kept, in a file that a running mcpmux reads again
/// when it changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 if it was done, 1 if not, 64 for a name that is none, 78 if the configuration is
wrong.

Examples:
  mcpmux keys add laptop
  mcpmux keys add ci --role reader --expires 30d
  mcpmux keys list
  mcpmux keys revoke ci")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a key and print it, this once
    Add {
        /// What it is called, in lists and the log
        name: String,
        /// The role of who shows it [default: that of everybody]
        #[arg(long)]
        role: Option<String>,
        /// How long it is good for, as 30d or 12h; for ever if not given
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        expires: Option<Duration>,
    },
    /// List the keys: name, role, when it was made and when it expires
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take a key away: it lets in nobody from now on
    Revoke {
        /// Which
        name: String,
    },
}

fn parse_time(text: &str) -> Result<Duration, &'static str> {
    duration(text)
}

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "warn")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let settings = match Config::load(config) {
        Ok(config) => config.access,
        // Keys may be made before there is anything to serve.
        Err(ConfigError::NotFound { .. }) if config.is_none() => AccessSettings::default(),
        Err(error) => {
            eprintln!("{error}");
            return exit::CONFIG.into();
        }
    };
    let environment = Environment::process();
    let done = keys::place(settings.keys_file.as_deref(), &environment)
        .and_then(|path| act(&args.verb, &path, settings.keys));
    match done {
        Ok(text) => match print(&text) {
            // Whoever reads may stop early.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("mcpmux: cannot print: {error}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("mcpmux: {error}");
            match error {
                keys::KeyError::Name(_) => exit::USAGE.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Does what is asked; gives what stdout is to say.
fn act(verb: &Verb, path: &Path, setting: KeysSetting) -> Result<String, keys::KeyError> {
    match verb {
        Verb::Add {
            name,
            role,
            expires,
        } => {
            let key = keys::add(path, name, role.as_deref(), *expires)?;
            eprintln!(
                "mcpmux: the key {name:?} is shown this once; its hash is in {}",
                path.display()
            );
            if setting == KeysSetting::Off {
                eprintln!("mcpmux: access.keys is off: no key is looked at");
            }
            Ok(format!("{}\n", key.expose()))
        }
        Verb::List { json } => {
            let keys = keys::list(path)?;
            Ok(if *json {
                table::json(&keys)
            } else {
                table::table(&keys, Style::of_stdout())
            })
        }
        Verb::Revoke { name } => {
            keys::revoke(path, name)?;
            eprintln!("mcpmux: the key {name:?} lets in nobody any more");
            Ok(String::new())
        }
    }
}
