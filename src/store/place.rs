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

/// What outlives a reboot, the same for a service of this user and for a command
/// in a terminal: under systemd before 254 a user's service has its state beside
/// its configuration (systemd.exec(5), `StateDirectory=`), where no command looks.
pub(crate) fn shared_state(environment: &Environment) -> Option<PathBuf> {
    let below = |name: &str, usual: &str| {
        environment
            .directory(name)
            .or_else(|| Some(environment.directory("HOME")?.join(usual)))
            .map(|above| above.join("mcpmux"))
    };
    let beside = below("XDG_CONFIG_HOME", ".config");
    given(environment, "STATE_DIRECTORY")
        .filter(|given| Some(given) != beside.as_ref())
        .or_else(|| below("XDG_STATE_HOME", ".local/state"))
}

/// The first of the directories that systemd made for the service.
fn given(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment.directories(name).into_iter().next()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_service_and_a_terminal_share_their_state() {
        let of = |variables: &[(&str, &str)]| {
            let environment: Environment = variables.iter().copied().collect();
            shared_state(&environment)
        };
        let home = ("HOME", "/home/me");
        let usual = Path::new("/home/me/.local/state/mcpmux");
        assert_eq!(of(&[home]).as_deref(), Some(usual));
        for given in ["/home/me/.local/state/mcpmux", "/home/me/.config/mcpmux"] {
            let of_service = of(&[home, ("STATE_DIRECTORY", given)]);
            assert_eq!(of_service.as_deref(), Some(usual), "{given}");
        }
        let of_system = of(&[home, ("STATE_DIRECTORY", "/var/lib/mcpmux")]);
        assert_eq!(of_system.as_deref(), Some(Path::new("/var/lib/mcpmux")));
        assert_eq!(of(&[]), None);
    }
}
