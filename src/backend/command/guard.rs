//! The guard: a small process that ends the backends' process groups when
//! mcpmux itself was killed with SIGKILL and could not.
//!
//! It holds the reading end of a pipe, the lifeline. Groups are named on it as
//! they come and go; when it closes and groups are left, the guard ends them.
//! A mark in the children's environment finds those that it was not told of in
//! time, or that left their group.

use std::{
    collections::HashSet,
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead, Write},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tracing::warn;

use super::group::Group;

/// Carries the mark.
const MARK: &str = "MCPMUX_INSTANCE";

/// How long groups may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(3);

/// mcpmux's end of the pipe to its guard.
#[derive(Debug)]
pub(super) struct Lifeline {
    guard: Option<Mutex<Child>>,
    mark: OsString,
}

static LIFELINE: OnceLock<Lifeline> = OnceLock::new();

/// The one guard of this process, started when first asked for.
pub(super) fn lifeline() -> &'static Lifeline {
    LIFELINE.get_or_init(|| {
        let mark: OsString = format!("{:x}-{:016x}", std::process::id(), fastrand::u64(..)).into();
        let guard = start(&mark).map_err(|error| {
            warn!("no guard for command backends ({error}): they are not ended if mcpmux is killed with SIGKILL");
        });
        Lifeline { guard: guard.ok().map(Mutex::new), mark }
    })
}

/// The variable that marks a child of this process.
pub(super) fn mark() -> Option<(&'static str, OsString)> {
    let lifeline = lifeline();
    lifeline
        .guard
        .is_some()
        .then(|| (MARK, lifeline.mark.clone()))
}

fn start(mark: &OsString) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .arg("guard")
        .env_clear()
        .env(MARK, mark)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not in the terminal's foreground group: Ctrl-C is mcpmux's to handle.
        .process_group(0)
        .spawn()
}

impl Lifeline {
    /// From now on `group` ends when mcpmux does.
    pub(super) fn watch(&self, group: Group) {
        self.say('+', group);
    }

    /// `group` has ended.
    pub(super) fn forget(&self, group: Group) {
        self.say('-', group);
    }

    fn say(&self, sign: char, group: Group) {
        let Some(guard) = &self.guard else { return };
        let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
        // A few bytes to a pipe that is always read: this does not block.
        if let Some(pipe) = guard.stdin.as_mut()
            && let Err(error) = pipe.write_all(format!("{sign}{}\n", group.number()).as_bytes())
        {
            warn!("the guard of the command backends is gone: {error}");
            guard.stdin = None;
        }
    }
}

/// The guard's whole life: `mcpmux guard`, with the lifeline on stdin.
pub fn run() {
    let mut groups = HashSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (sign, number) = line.split_at(line.len().min(1));
        let Some(group) = number.parse().ok().and_then(Group::led_by) else {
            continue;
        };
        if sign == "+" {
            groups.insert(group)
        } else {
            groups.remove(&group)
        };
    }
    let mark = env::var_os(MARK).unwrap_or_default();
    if groups.is_empty() && marked(&mark).is_empty() {
        return;
    }
    end(&groups, &mark, Signal::TERM);
    for _ in 0..PATIENCE.as_millis() / 50 {
        if !groups.iter().any(|group| group.is_alive()) && marked(&mark).is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    end(&groups, &mark, Signal::KILL);
}

fn end(groups: &HashSet<Group>, mark: &OsString, signal: Signal) {
    for group in groups {
        group.signal(signal);
    }
    for pid in marked(mark) {
        let _ = kill_process(pid, signal);
    }
}

/// The processes that carry the mark, this one left out.
fn marked(mark: &OsString) -> Vec<Pid> {
    if mark.is_empty() {
        return Vec::new();
    }
    let wanted = [MARK.as_bytes(), b"=", mark.as_bytes()].concat();
    let own = std::process::id();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                environ
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == wanted)
            })
        })
        .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .collect()
}
