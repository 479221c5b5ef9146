//! Keeps this process's memory to itself: it holds credentials.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// From now on nothing dumps this process's memory to a file, and no other
/// process of its user reads it (prctl(2), `PR_SET_DUMPABLE`; ptrace(2)). What
/// it launches is a program of its own, which this does not concern.
///
/// Its files below `/proc` belong to root then. It still reads those of its
/// own that need no owner, such as the link to its program.
pub(super) fn confine() {
    // As good as before where the kernel knows of no such thing.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
