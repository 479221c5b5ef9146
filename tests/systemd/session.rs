//! The user whose manager runs in this machine, and what that user asks of it.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

/// A user with a running systemd user manager.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
    pub(crate) runtime: PathBuf,
}

impl Session {
    /// What the script `machine` says of it; none outside of a machine.
    pub(crate) fn from_env() -> Option<Self> {
        let variable = |name: &str| env::var(format!("MACHINE_{name}")).ok();
        Some(Self {
            user: variable("USER")?,
            uid: variable("UID")?.parse().ok()?,
            gid: variable("GID")?.parse().ok()?,
            home: variable("HOME")?.into(),
            runtime: variable("RUNTIME")?.into(),
        })
    }

    /// A command as the user would start it, with a login's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .uid(self.uid)
            .gid(self.gid)
            .env_clear()
            .env("HOME", &self.home)
            .env("USER", &self.user)
            .env("LANG", "C.UTF-8")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", &self.runtime)
            .current_dir(&self.home);
        command
    }

    /// `systemctl --user` that must succeed; what it prints.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> String {
        let output = self.try_systemctl(arguments);
        assert!(
            output.status.success(),
            "systemctl --user {arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// `systemctl --user` that may fail.
    pub(crate) fn try_systemctl(&self, arguments: &[&str]) -> Output {
        self.command("systemctl")
            .arg("--user")
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The version of the user's manager.
    pub(crate) fn version(&self) -> u32 {
        let text = self.systemctl(&["show", "--value", "--property", "Version"]);
        let digits = text.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    }

    /// A property of a unit, as `systemctl show` prints it.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit])
            .trim_end()
            .to_owned()
    }

    /// Waits until a unit's property is as it should be, and returns it.
    pub(crate) fn await_property(
        &self,
        unit: &str,
        name: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let mut value = String::new();
        let reached = eventually(Duration::from_secs(15), || {
            value = self.property(unit, name);
            wanted(&value)
        });
        assert!(reached, "{unit}: {name} is still {value:?}\n{}", self.log());
        value
    }

    /// The process that is `mcpmux serve`; 0 if there is none.
    pub(crate) fn main_pid(&self) -> u32 {
        self.property("mcpmux.service", "MainPID").parse().unwrap()
    }

    /// Every process in the service's control group; none if that is gone.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.processes_of("mcpmux.service")
    }

    /// Every process in a unit's control group; none if that is gone.
    pub(crate) fn processes_of(&self, unit: &str) -> Vec<u32> {
        let group = self.property(unit, "ControlGroup");
        if group.is_empty() {
            return Vec::new();
        }
        fs::read_to_string(format!("/sys/fs/cgroup{group}/cgroup.procs"))
            .unwrap_or_default()
            .lines()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// What the journal has of the unit, as JSON objects, from the given time on.
    pub(crate) fn journal(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let flushed = Command::new("journalctl").arg("--sync").status().unwrap();
        assert!(flushed.success());
        let output = Command::new("journalctl")
            .args(["--output=json", "--all"])
            .arg(format!("_UID={}", self.uid))
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The end of the journal, for the report of a failure.
    pub(crate) fn log(&self) -> String {
        let output = Command::new("journalctl")
            .args(["--output=short-precise", "--no-pager", "--lines=40"])
            .arg(format!("_UID={}", self.uid))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Whether `condition` holds before the time is up. For what announces itself
/// to nobody; where there is an event, await that.
pub(crate) fn eventually(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Whether a process is there and not merely waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .starts_with('Z')
    })
}
