//! Finds processes by what they carry, so that a test can say that none is left.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The processes, zombies left out, whose arguments or environment name `path`,
/// with their command lines.
pub fn processes_naming(path: &Path) -> Vec<(u32, String)> {
    let needle = path.as_os_str().as_encoded_bytes();
    let own = std::process::id();
    let pids = fs::read_dir("/proc").expect("/proc is there").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid: u32| {
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let arguments = read("cmdline");
            let names = [&arguments, &read("environ")]
                .into_iter()
                .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle));
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            (names && alive(pid)).then_some((pid, arguments))
        })
        .collect()
}

/// Whether a process of this id runs; a zombie does not.
pub fn alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The command's name, in parentheses, may hold anything.
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    !matches!(state, Some("Z" | "X") | None)
}

/// Asserts that no process names `path`, but for what the kernel takes a moment
/// to end; kills what is left so that the next test finds a clean machine.
#[track_caller]
pub fn clear(path: &Path) {
    let end = Instant::now() + Duration::from_secs(1);
    let mut left = processes_naming(path);
    while !left.is_empty() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
        left = processes_naming(path);
    }
    for (pid, _) in &left {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        // One that ended meanwhile is what is wanted.
        _ = pid.map(|pid| kill_process(pid, Signal::KILL));
    }
    assert!(
        left.is_empty() || thread::panicking(),
        "processes are left: {left:?}"
    );
}
