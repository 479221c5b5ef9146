//! `mcpmux auth init-vault`: makes the key of the vault, and tells the service
//! manager to hand it to mcpmux. The key itself is never shown, logged, or an
//! argument of a program.

mod manager;
mod plan;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use self::{
    manager::Manager,
    plan::{Means, Plan},
};
use crate::{
    cli::exit,
    config::{Config, ConfigError, Environment, TokenStore},
    credential::vault::{
        key::Key,
        making::{self, Made},
    },
};

/// Where the key is to be, and how much is to be done.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mcpmux auth init-vault                              an encrypted credential
  mcpmux auth init-vault --key-file /mnt/usb/mcpmux.key
                                                      a file on another disk than the vault's
  mcpmux auth init-vault --secret-service             GNOME Keyring, KWallet, ...
  mcpmux auth init-vault --file                       a file with mode 0600
  mcpmux auth init-vault --print                      what would be done

Exit status: 0 if the key is there, 1 if it cannot be made, 64 if you must say
where it is to be, 77 if it takes another user.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// For mcpmux under the system manager, as root
    #[arg(long, conflicts_with_all = ["secret_service", "file"])]
    system: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    print: bool,
}

/// Where the key is to be.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// Put the key into the file PATH, of which systemd hands mcpmux a copy;
    /// best on another disk than the vault's
    #[arg(long, value_name = "PATH", group = "means")]
    key_file: Option<PathBuf>,
    /// Have the Secret Service keep the key
    #[arg(long, group = "means")]
    secret_service: bool,
    /// Put the key into the file of `token_store.key_file`, mode 0600, which
    /// mcpmux reads itself; for `token_store.key: file`
    #[arg(long, group = "means")]
    file: bool,
}

/// Runs the verb for the vault of the configuration `config`.
pub(super) fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let settings = match Config::load(config) {
        Ok(config) => config.token_store,
        // A vault may be prepared before there is anything to log in to.
        Err(ConfigError::NotFound { .. }) => TokenStore::default(),
        Err(error) => {
            eprintln!("{error}");
            return exit::CONFIG.into();
        }
    };
    if args.system && !rustix::process::geteuid().is_root() {
        eprintln!("mcpmux: --system takes root");
        return exit::NOT_PERMITTED.into();
    }
    let environment = Environment::process();
    let manager = Manager::new(args.system);
    let plan = match Plan::new(args, &settings, &environment, &manager) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            eprintln!("mcpmux: {}", plan::no_means(&manager));
            return exit::USAGE.into();
        }
        Err(error) => return super::super::fail(&error),
    };
    let done = if args.print {
        Ok(plan.describe(&manager))
    } else {
        carry_out(&plan, &environment, &manager)
    };
    match done {
        Ok(lines) => {
            for note in plan.notes(&settings) {
                eprintln!("mcpmux: {note}");
            }
            // A reader that has gone away has seen enough.
            let _ = io::stdout().write_all(lines.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => super::super::fail(&error),
    }
}

/// Does what `plan` says; tells what was done.
fn carry_out(plan: &Plan, environment: &Environment, manager: &Manager) -> anyhow::Result<String> {
    let vault = plan.vault();
    // A vault that is there needs the key that it was made with.
    let may_make = || match &vault {
        None => Ok(()),
        Some((path, _)) => bail!(
            "the vault {} is there already and needs the key that it was made with; to begin with \
             a new key, move it away (what is in it is of no use then: log in anew)",
            path.display()
        ),
    };
    let made = match &plan.means {
        Means::Encrypted { path } => {
            if path.exists() {
                None
            } else {
                may_make()?;
                let key = Key::generate()?;
                manager.encrypt(&key.to_text(), path)?;
                Some(Made::new(&key))
            }
        }
        Means::Loaded { path } | Means::File { path } => {
            let mut made = making::found_in_file(path)?;
            if made.is_none() {
                may_make()?;
                made = Some(making::in_file(path)?);
            }
            made
        }
        Means::SecretService => {
            let needed = vault.as_ref().and_then(|(_, needed)| *needed);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Some(runtime.block_on(making::in_secret_service(environment, needed, may_make))?)
        }
    };
    if let (Some(made), Some((path, Some(needed)))) = (made, &vault)
        && made.id != *needed
    {
        bail!(
            "{} has the key {}, and the vault {} was made with another one ({needed}): put that \
             back, or move the vault away and log in anew",
            plan.means,
            made.id,
            path.display()
        );
    }
    let how = match made {
        Some(Made { id, new: true }) => format!("made (id {id})"),
        Some(Made { id, .. }) => format!("kept as it was (id {id})"),
        None => "kept as it was".to_owned(),
    };
    let mut lines = vec![format!("key: {}: {how}", plan.means)];
    if let Some(drop_in) = &plan.drop_in {
        let path = drop_in.path.display();
        let new = drop_in.write();
        let new = new.with_context(|| format!("the key is there, but not {path}"))?;
        let how = if new { "written" } else { "kept as it was" };
        lines.push(format!("drop-in: {path}: {how}"));
        lines.push(format!("next: {}", manager.restart()));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}
