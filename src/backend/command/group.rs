//! A process group: signalled as a whole, and waited for as a whole, so that
//! nothing a server started is left behind.

use std::time::Duration;

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group, test_kill_process_group},
};
use tokio::time::{Instant, sleep};

/// How often a group that was told to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// The process group of a launched child, named by the child's pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group(Pid);

impl Group {
    /// The group that the process `pid` leads; `None` for a pid that is none.
    pub(crate) fn led_by(pid: u32) -> Option<Self> {
        Pid::from_raw(i32::try_from(pid).ok()?).map(Self)
    }

    /// The group's number.
    pub(crate) fn number(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// Sends `signal` to every process of the group; `false` if none is left.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        kill_process_group(self.0, signal) != Err(Errno::SRCH)
    }

    /// Whether a process of the group is left.
    pub(crate) fn is_alive(self) -> bool {
        test_kill_process_group(self.0) != Err(Errno::SRCH)
    }

    /// Waits until no process of the group is left; `false` if one is after `patience`.
    pub(crate) async fn ended_within(self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() >= end {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }
}
