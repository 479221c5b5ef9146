//! Which service this process is, as its control group says.

use std::{fs, io};

use serde::{Deserialize, Serialize};

/// A service that a process is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnService {
    /// Its name, as `mcpmux.service`.
    pub name: String,
    /// Whether it is a user's manager that keeps it, and not the system's.
    pub user: bool,
}

/// The service that this process is of; none if it is of no service. Reads a file of
/// the kernel's.
pub fn own_service() -> Option<OwnService> {
    read().ok().as_deref().and_then(parse)
}

fn read() -> io::Result<String> {
    fs::read_to_string("/proc/self/cgroup")
}

/// Reads `/proc/PID/cgroup` (cgroups(7)), of which the line of version 2 counts.
fn parse(cgroups: &str) -> Option<OwnService> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_manager = |part: &&str| part.starts_with("user@") && part.ends_with(".service");
    let mut parts = path.split('/');
    let user = parts.any(|part| is_manager(&part));
    let mut within = if user { parts } else { path.split('/') };
    let name = within.rfind(|part| part.ends_with(".service"))?;
    Some(OwnService {
        name: name.to_owned(),
        user,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_service_of_the_nearest_manager_is_it() {
        let of = |path: &str| parse(&format!("1:name=systemd:/x\n0::{path}\n"));
        let service = |name: &str, user| {
            let name = name.to_owned();
            Some(OwnService { name, user })
        };
        let user = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(
            of(&format!("{user}/app.slice/mcpmux.service")),
            service("mcpmux.service", true)
        );
        assert_eq!(
            of("/system.slice/mcpmux.service"),
            service("mcpmux.service", false)
        );
        assert_eq!(of(&format!("{user}/app.slice/vte-spawn-1.scope")), None);
        assert_eq!(of("/user.slice/user-0.slice/session-3.scope"), None);
        assert_eq!(of("/"), None);
        assert_eq!(parse("1:name=systemd:/x"), None);
    }
}
