//! Where a user's files belong (XDG Base Directory Specification), or what
//! systemd names for a service (systemd.exec(5), `StateDirectory=`).

use std::path::PathBuf;

use super::VaultError;
use crate::config::Environment;

/// The state directory: what outlives a reboot.
pub(super) fn state(environment: &Environment) -> Result<PathBuf, VaultError> {
    given(environment, "STATE_DIRECTORY")
        .or_else(|| below_home(environment, "XDG_STATE_HOME", ".local/state"))
        .ok_or_else(|| missing("none of $STATE_DIRECTORY, $XDG_STATE_HOME and $HOME is set"))
}

/// Where a service of this user would have its state under systemd before 254
/// (systemd.exec(5), `StateDirectory=`), if this is no service.
pub(super) fn former_state(environment: &Environment) -> Option<PathBuf> {
    let service = given(environment, "STATE_DIRECTORY").is_some();
    configuration(environment).ok().filter(|_| !service)
}

/// The runtime directory: what does not.
pub(super) fn runtime(environment: &Environment) -> Result<PathBuf, VaultError> {
    given(environment, "RUNTIME_DIRECTORY")
        .or_else(|| Some(environment.directory("XDG_RUNTIME_DIR")?.join("mcpmux")))
        .ok_or_else(|| missing("neither $RUNTIME_DIRECTORY nor $XDG_RUNTIME_DIR is set"))
}

/// The directory of what the user sets up.
pub(crate) fn configuration(environment: &Environment) -> Result<PathBuf, VaultError> {
    below_home(environment, "XDG_CONFIG_HOME", ".config")
        .ok_or_else(|| missing("neither $XDG_CONFIG_HOME nor $HOME is set"))
}

/// The first of the directories that systemd made for the service.
fn given(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment.directories(name).into_iter().next()
}

fn below_home(environment: &Environment, name: &str, usual: &str) -> Option<PathBuf> {
    environment
        .directory(name)
        .or_else(|| Some(environment.directory("HOME")?.join(usual)))
        .map(|above| above.join("mcpmux"))
}

fn missing(what: &str) -> VaultError {
    VaultError::NoPlace(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Environment, configuration, runtime, state};

    #[test]
    fn systemd_is_believed_before_the_users_variables_and_those_before_the_home() {
        let all: Environment = [
            ("STATE_DIRECTORY", "/s/mcpmux:/s/other"),
            ("RUNTIME_DIRECTORY", "/r/mcpmux"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_STATE_HOME", "/state"),
            ("XDG_CONFIG_HOME", "not/absolute"),
            ("HOME", "/home/me"),
        ]
        .into_iter()
        .collect();
        assert_eq!(state(&all).unwrap(), Path::new("/s/mcpmux"));
        assert_eq!(runtime(&all).unwrap(), Path::new("/r/mcpmux"));
        assert_eq!(
            configuration(&all).unwrap(),
            Path::new("/home/me/.config/mcpmux")
        );
        let home: Environment = [("HOME", "/home/me")].into_iter().collect();
        assert_eq!(
            state(&home).unwrap(),
            Path::new("/home/me/.local/state/mcpmux")
        );
        runtime(&home).unwrap_err();
        state(&Environment::default()).unwrap_err();
    }
}
