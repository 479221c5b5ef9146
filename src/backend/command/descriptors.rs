//! How many descriptors may be open: mcpmux needs many, for thousands of
//! clients; what it launches gets the limit that mcpmux was started with, since
//! programs that use `select` fail beyond it (`getrlimit(2)`, `RLIMIT_NOFILE`).

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The limit before it was raised.
static INHERITED: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of this process to the hard one.
pub fn raise() {
    let inherited = getrlimit(Resource::Nofile);
    INHERITED.get_or_init(|| inherited);
    let raised = Rlimit {
        current: inherited.maximum,
        ..inherited
    };
    // With the limit as it was fewer clients are served.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Gives the process `pid`, just launched, the limit as it was.
pub(super) fn restore(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let (Some(inherited), Some(pid)) = (INHERITED.get(), pid) {
        // A process that has ended already needs none.
        let _ = prlimit(Some(pid), Resource::Nofile, *inherited);
    }
}
