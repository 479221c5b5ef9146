//! The properties of a transient service (`org.freedesktop.systemd1(5)`,
//! `StartTransientUnit`): what is started, what it is given, what it may do.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use zbus::zvariant::{Fd, Value};

use super::hardening;
use crate::config::{CommandLimits, Sandbox};

/// Where all backends are, so that `systemctl` and `systemd-cgtop` show them
/// together and one drop-in limits them together.
pub const SLICE: &str = "mcpmux.slice";

/// How long it may take until the program runs.
const TO_START: Duration = Duration::from_secs(10);

/// A property: its name and value.
pub(super) type Property<'a> = (String, Value<'a>);

/// A service to start. Nothing in it may be a secret: whoever can ask systemd
/// sees all of it.
#[derive(Debug)]
pub struct Service<'a> {
    /// What it is, for people.
    pub description: String,
    /// What its lines in the journal are from.
    pub identifier: &'a str,
    /// The program, with its full path.
    pub program: PathBuf,
    /// Its arguments, the name that it is called by first.
    pub argv: Vec<String>,
    /// Its working directory.
    pub cwd: &'a Path,
    /// Its stdin.
    pub stdin: OwnedFd,
    /// Its stdout.
    pub stdout: OwnedFd,
    /// Its stderr; the journal if there is none.
    pub stderr: Option<OwnedFd>,
    /// How long it may take to end after SIGTERM.
    pub patience: Duration,
    /// What it may use at most.
    pub limits: CommandLimits,
    /// What it may do.
    pub sandbox: &'a Sandbox,
}

impl Service<'_> {
    /// Its properties. It stops after the unit `own`, if there is one.
    /// `privileged` is whether the manager is root's. Error: what cannot be had.
    pub(super) fn properties(
        &self,
        own: Option<&str>,
        privileged: bool,
    ) -> Result<Vec<Property<'_>>, String> {
        let program = self
            .program
            .to_str()
            .ok_or("mcpmux lies at a path that is no text")?;
        let cwd = self.cwd.to_str().ok_or("its `cwd` is no text")?;
        let mut set: Vec<(&str, Value<'_>)> = vec![
            ("Description", self.description.as_str().into()),
            ("Slice", SLICE.into()),
            ("Type", "exec".into()),
            (
                "ExecStart",
                vec![(program, self.argv.clone(), false)].into(),
            ),
            ("WorkingDirectory", cwd.into()),
            ("StandardInputFileDescriptor", Fd::from(&self.stdin).into()),
            (
                "StandardOutputFileDescriptor",
                Fd::from(&self.stdout).into(),
            ),
            ("SyslogIdentifier", self.identifier.into()),
            // Nothing of it is left when it ends, whatever it has started.
            ("KillMode", "control-group".into()),
            ("TimeoutStopUSec", micros(self.patience)),
            ("TimeoutStartUSec", micros(TO_START)),
            // mcpmux says why it ended, and starts it again; nobody else does.
            ("CollectMode", "inactive-or-failed".into()),
            // Credentials are in its memory.
            ("LimitCORE", 0_u64.into()),
            ("LimitCORESoft", 0_u64.into()),
        ];
        if let Some(stderr) = &self.stderr {
            set.push(("StandardErrorFileDescriptor", Fd::from(stderr).into()));
        } else {
            // systemd takes stderr for another name of stdout where both are to
            // be the same, and does not look at the descriptor.
            set.push(("StandardOutput", "null".into()));
            set.push(("StandardError", "journal".into()));
        }
        if let Some(own) = own {
            // When mcpmux stops or dies, so does this, and only after it: calls
            // in flight are finished first. BindsTo= would have systemd start
            // this again, by itself, whenever mcpmux is restarted.
            set.push(("StopPropagatedFrom", vec![own.to_owned()].into()));
            set.push(("Before", vec![own.to_owned()].into()));
        }
        let limits = [
            ("MemoryMax", self.limits.memory),
            ("TasksMax", self.limits.tasks),
            ("CPUQuotaPerSecUSec", self.limits.cpu),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                set.push((name, limit.into()));
            }
        }
        let confined = hardening::properties(self.sandbox, privileged)?;
        let set = set
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Ok(set.chain(confined).collect())
    }
}

fn micros(span: Duration) -> Value<'static> {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SandboxLevel;

    fn properties(limits: CommandLimits, stderr: bool, own: Option<&str>) -> Vec<(String, String)> {
        let (stdin, stdout) = std::io::pipe().unwrap();
        let sandbox = Sandbox::at(SandboxLevel::Basic);
        let service = Service {
            description: "MCP server x (mcpmux)".to_owned(),
            identifier: "x",
            program: "/bin/mcpmux".into(),
            argv: vec!["mcpmux".to_owned(), "exec-backend".to_owned()],
            cwd: Path::new("/"),
            stdin: stdin.into(),
            stdout: stdout.try_clone().unwrap().into(),
            stderr: stderr.then(|| stdout.into()),
            patience: Duration::from_secs(3),
            limits,
            sandbox: &sandbox,
        };
        let properties = service.properties(own, false).unwrap();
        let shown = properties.iter();
        shown
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect()
    }

    fn value<'p>(properties: &'p [(String, String)], name: &str) -> Option<&'p str> {
        let property = properties.iter().find(|(own, _)| own == name);
        property.map(|(_, value)| value.as_str())
    }

    #[test]
    fn limits_become_properties_and_none_is_none() {
        let limits = CommandLimits {
            memory: Some(1 << 20),
            tasks: Some(7),
            cpu: Some(500_000),
        };
        let set = properties(limits, false, None);
        assert_eq!(value(&set, "MemoryMax"), Some("uint64 1048576"));
        assert_eq!(value(&set, "TasksMax"), Some("uint64 7"));
        assert_eq!(value(&set, "CPUQuotaPerSecUSec"), Some("uint64 500000"));
        let none = properties(CommandLimits::default(), false, None);
        assert_eq!(value(&none, "MemoryMax"), None);
    }

    #[test]
    fn stderr_is_the_journal_or_what_was_handed_over_and_never_stdout() {
        let set = properties(CommandLimits::default(), false, None);
        assert_eq!(value(&set, "StandardError"), Some("\"journal\""));
        assert_ne!(value(&set, "StandardOutput"), value(&set, "StandardError"));
        let set = properties(CommandLimits::default(), true, None);
        assert_eq!(value(&set, "StandardError"), None);
        assert!(value(&set, "StandardErrorFileDescriptor").is_some());
    }

    #[test]
    fn it_stops_with_mcpmux_and_after_it() {
        let set = properties(CommandLimits::default(), false, Some("mcpmux.service"));
        let own = Some("[\"mcpmux.service\"]");
        assert_eq!(value(&set, "StopPropagatedFrom"), own);
        assert_eq!(value(&set, "Before"), own);
        let set = properties(CommandLimits::default(), false, None);
        assert_eq!(value(&set, "StopPropagatedFrom"), None);
    }

    #[test]
    fn no_environment_is_among_the_properties() {
        let set = properties(CommandLimits::default(), false, None);
        assert!(!set.iter().any(|(name, _)| name.contains("Environment")));
    }
}
