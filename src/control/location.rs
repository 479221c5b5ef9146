//! Where the control socket is.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The variable that names the socket itself, over everything else; empty for
/// none.
pub const VARIABLE: &str = "MCPMUX_CONTROL";

/// The socket's name in its directory.
const NAME: &str = "control.sock";

/// The directory of a service of the system manager's (`RuntimeDirectory=`).
const SYSTEM: &str = "/run/mcpmux";

/// Reads a variable of the environment.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where mcpmux serves it: the path that [`VARIABLE`] names, else in the
/// directory that a service manager made for it (`systemd.exec(5)`,
/// `$RUNTIME_DIRECTORY`), else in the user's runtime directory (XDG Base
/// Directory Specification). `None` where there is none of them.
pub(super) fn own(variable: Variable<'_>) -> Option<PathBuf> {
    if let Some(path) = variable(VARIABLE) {
        return Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    }
    in_runtime_directory(variable).or_else(|| in_user_directory(variable))
}

/// Where a command looks for it, in order: where a mcpmux with this environment
/// would serve it, where one of this user does, where the system's does.
pub fn candidates(variable: Variable<'_>) -> Vec<PathBuf> {
    if variable(VARIABLE).is_some() {
        return own(variable).into_iter().collect();
    }
    let mut paths: Vec<PathBuf> = [
        in_runtime_directory(variable),
        in_user_directory(variable),
        Some(Path::new(SYSTEM).join(NAME)),
    ]
    .into_iter()
    .flatten()
    .collect();
    paths.dedup();
    paths
}

/// Whether a mcpmux with this environment would serve none, though nobody forbids it.
pub fn is_nowhere(variable: Variable<'_>) -> bool {
    variable(VARIABLE).is_none() && own(variable).is_none()
}

fn in_runtime_directory(variable: Variable<'_>) -> Option<PathBuf> {
    let directories = variable("RUNTIME_DIRECTORY")?;
    // Several are separated by colons.
    let first = std::env::split_paths(&directories).next()?;
    first.is_absolute().then(|| first.join(NAME))
}

fn in_user_directory(variable: Variable<'_>) -> Option<PathBuf> {
    let directory = PathBuf::from(variable("XDG_RUNTIME_DIR")?);
    directory
        .is_absolute()
        .then(|| directory.join("mcpmux").join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(
        variables: &'a [(&'a str, &'a str)],
    ) -> impl Fn(&str) -> Option<OsString> + 'a {
        |asked| {
            let found = variables.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| value.into())
        }
    }

    #[test]
    fn the_named_path_the_managers_and_the_users_directory_in_this_order() {
        let named = (VARIABLE, "/t/c");
        let manager = ("RUNTIME_DIRECTORY", "/run/user/7/mcpmux:/run/user/7/other");
        let user = ("XDG_RUNTIME_DIR", "/run/user/8");
        for (variables, path) in [
            (&[named, manager, user][..], Some("/t/c")),
            (&[manager, user], Some("/run/user/7/mcpmux/control.sock")),
            (&[user], Some("/run/user/8/mcpmux/control.sock")),
            (&[(VARIABLE, ""), user], None),
            (&[("XDG_RUNTIME_DIR", "relative")], None),
            (&[], None),
        ] {
            assert_eq!(own(&environment(variables)), path.map(PathBuf::from));
        }
    }

    #[test]
    fn a_command_looks_for_the_systems_last_and_for_a_named_one_only() {
        let user = ("XDG_RUNTIME_DIR", "/run/user/8");
        let paths = candidates(&environment(&[user]));
        assert_eq!(
            paths,
            [
                "/run/user/8/mcpmux/control.sock",
                "/run/mcpmux/control.sock"
            ]
            .map(PathBuf::from)
        );
        let paths = candidates(&environment(&[user, (VARIABLE, "/t/c")]));
        assert_eq!(paths, [PathBuf::from("/t/c")]);
    }
}
