//! The directories for what outlives this process (`systemd.exec(5)`,
//! `RuntimeDirectory=` and `StateDirectory=`; XDG Base Directory Specification).

use std::path::PathBuf;

use crate::config::Environment;

/// What outlives a restart, and not a reboot.
pub(crate) fn runtime(environment: &Environment) -> Option<PathBuf> {
    given(environment, "RUNTIME_DIRECTORY")
        .or_else(|| Some(environment.directory("XDG_RUNTIME_DIR")?.join("mcpmux")))
}

/// What outlives a reboot as well.
pub(crate) fn state(environment: &Environment) -> Option<PathBuf> {
    given(environment, "STATE_DIRECTORY")
        .or_else(|| Some(environment.directory("XDG_STATE_HOME")?.join("mcpmux")))
        .or_else(|| Some(environment.directory("HOME")?.join(".local/state/mcpmux")))
}

/// The first of the directories that systemd made for the service.
fn given(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment.directories(name).into_iter().next()
}
