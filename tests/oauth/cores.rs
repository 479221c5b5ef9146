//! A core file would have every token in it, so there is none.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::{fake::Fake, house::House};

/// Whether a process that allows it leaves one here: not where the kernel hands
/// them to a program that is not there, or the container forbids it.
fn cores_are_written() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "ulimit -c unlimited && kill -ABRT $$"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.core_dumped()
}

#[test]
fn a_mcpmux_that_is_aborted_leaves_no_core_file_though_its_limit_allows_one() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({}));
    let daemon = house.serve();
    daemon.log_in("web");
    let pid = i32::try_from(daemon.mux.pid()).ok().and_then(Pid::from_raw);
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if prlimit(pid, Resource::Core, unlimited).is_err() || !cores_are_written() {
        eprintln!("no process leaves core files here, so this shows nothing");
        return;
    }
    daemon.mux.signal(Signal::ABORT);
    let status = daemon.mux.ended();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped());
}
