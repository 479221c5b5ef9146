//! `mcpmux auth`: how the backends' logins stand, and logging in and out.

use std::{path::Path, process::ExitCode};

mod init_vault;
mod json;
mod login;
mod logout;
mod source;
mod status;
mod table;

use super::{quieter, start_log, survey};
use crate::systemd::LogOptions;

/// See how the backends' logins stand, log in and out
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The running mcpmux is asked, by its control socket: $MCPMUX_CONTROL if that is set, else
control.sock in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/mcpmux. Where none runs, or --config
names another configuration than it serves, the command does it by itself.

Examples:
  mcpmux auth status
  mcpmux auth login linear
  mcpmux auth login linear --paste      over SSH, with the browser on another machine
  mcpmux auth logout linear")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Status(status::Args),
    Login(login::Args),
    Logout(logout::Args),
    /// Make the key of the vault in which tokens outlive a reboot
    ///
    /// The vault is an encrypted file; this is about where its key is. Without
    /// an option the key becomes an encrypted credential of systemd's, which
    /// only this machine can read, where the service manager takes those: the
    /// system's, and a user's from systemd 258 on. What is there already is kept.
    InitVault(init_vault::Args),
}

pub(super) fn run(args: &Args, config: Option<&Path>, log: LogOptions) -> ExitCode {
    let _log = match start_log(&quieter(log, "error")) {
        Ok(log) => log,
        Err(code) => return code,
    };
    match &args.verb {
        Verb::Status(args) => survey::run(status::run(args, config)),
        Verb::Login(args) => survey::run(login::run(args, config)),
        Verb::Logout(args) => survey::run(logout::run(args, config)),
        Verb::InitVault(args) => init_vault::run(args, config),
    }
}
