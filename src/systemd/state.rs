//! The directory of state that systemd gives to a service.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::process::geteuid;

use crate::config::Environment;

/// What others may not have on it.
const ANYTHING: u32 = 0o077;

/// Closes to others what `$STATE_DIRECTORY` leads to, where it is a link.
///
/// systemd 254 and later links a user's state directory to the directory of the
/// configuration if only that is there (`systemd.exec(5)`, `StateDirectory=`), and
/// leaves its mode; those before, which had the state in it, gave it that of
/// `StateDirectoryMode=`.
pub fn close_state(environment: &Environment) {
    for link in environment.directories("STATE_DIRECTORY") {
        match close(&link) {
            Ok(true) => tracing::info!(
                "{} leads to a directory that was open to others: closed it (mode 700)",
                link.display()
            ),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                "{} leads to a directory that is open to others, and it cannot be closed: {error}",
                link.display()
            ),
        }
    }
}

/// Whether it had to be closed.
fn close(link: &Path) -> std::io::Result<bool> {
    if !fs::symlink_metadata(link).is_ok_and(|link| link.is_symlink()) {
        return Ok(false);
    }
    let directory = fs::metadata(link)?;
    let own = directory.is_dir() && directory.uid() == geteuid().as_raw();
    if !own || directory.mode() & ANYTHING == 0 {
        return Ok(false);
    }
    let mode = directory.mode() & 0o700;
    fs::set_permissions(link, fs::Permissions::from_mode(mode))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_link_leads_to_is_closed() {
        let scratch = tempfile::tempdir().unwrap();
        let (directory, link) = (scratch.path().join("config"), scratch.path().join("state"));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        let given = |path: &Path| -> Environment {
            [("STATE_DIRECTORY", path.to_str().unwrap())]
                .into_iter()
                .collect()
        };
        let mode = || fs::metadata(&directory).unwrap().mode() & 0o777;
        // `StateDirectoryMode=` holds for it.
        close_state(&given(&directory));
        assert_eq!(mode(), 0o755);
        close_state(&Environment::default());
        assert_eq!(mode(), 0o755);
        close_state(&given(&link));
        assert_eq!(mode(), 0o700);
        close_state(&given(&scratch.path().join("none")));
    }
}
