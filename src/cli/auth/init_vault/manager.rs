//! What the service manager can do with credentials, and where its files are.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{
    Secret,
    config::Environment,
    credential::vault::{place, source},
};

/// From this version on a user's manager takes encrypted credentials. Those of 256
/// and 257 look for the machine's key themselves, which is root's
/// (<https://github.com/systemd/systemd/issues/37598>).
const USERS: u32 = 258;

/// From this version on the system's manager does.
const SYSTEMS: u32 = 250;

/// How long a question to systemd may take.
const TO_ASK: Duration = Duration::from_secs(10);

/// How long encrypting may take: a TPM is slow.
const TO_ENCRYPT: Duration = Duration::from_secs(60);

/// A service manager: the system's or this user's.
#[derive(Debug)]
pub(super) struct Manager {
    system: bool,
    /// The version of the manager that runs, and that of systemd-creds.
    versions: (Option<u32>, Option<u32>),
}

impl Manager {
    /// Asks how it is.
    pub(super) fn new(system: bool) -> Self {
        let mut show = Command::new("systemctl");
        if !system {
            show.arg("--user");
        }
        show.args(["show", "--property=Version", "--value"]);
        let mut creds = Command::new("systemd-creds");
        creds.arg("--version");
        let creds = output(creds).and_then(|text| number(text.strip_prefix("systemd ")?));
        let manager = output(show).and_then(|text| number(&text));
        Self {
            system,
            versions: (manager, creds),
        }
    }

    /// Whether it can hand over encrypted credentials that can be made here.
    pub(super) fn takes_encrypted(&self) -> bool {
        let least = if self.system { SYSTEMS } else { USERS };
        let (manager, creds) = self.versions;
        manager.is_some_and(|version| version >= least)
            && creds.is_some_and(|version| version >= least)
    }

    /// Why it cannot.
    pub(super) fn why_not_encrypted(&self) -> String {
        match (self.system, self.versions) {
            (_, (None, _)) => "no service manager answers here".to_owned(),
            (_, (_, None)) => "there is no systemd-creds here".to_owned(),
            (true, (Some(version), _)) => {
                format!("systemd {version} has no encrypted credentials ({SYSTEMS} and later have)")
            }
            (false, (Some(version), _)) => format!(
                "the user's manager of systemd {version} takes no encrypted credentials ({USERS} \
                 and later do)"
            ),
        }
    }

    /// Where mcpmux's files are that are written once.
    pub(super) fn configuration(&self, environment: &Environment) -> anyhow::Result<PathBuf> {
        if self.system {
            return Ok("/etc/mcpmux".into());
        }
        Ok(place::configuration(environment)?)
    }

    /// The directory of the unit's drop-ins.
    pub(super) fn drop_ins(&self, environment: &Environment) -> anyhow::Result<PathBuf> {
        if self.system {
            return Ok("/etc/systemd/system/mcpmux.service.d".into());
        }
        let own = place::configuration(environment)?;
        let above = own.parent().context("no directory of configurations")?;
        Ok(above.join("systemd/user/mcpmux.service.d"))
    }

    /// The vault of a service of the system; a user's is where the user's
    /// environment says.
    pub(super) fn vault(&self) -> Option<PathBuf> {
        self.system.then(|| "/var/lib/mcpmux/vault".into())
    }

    /// What makes a new credential known.
    pub(super) fn restart(&self) -> &'static str {
        if self.system {
            "systemctl daemon-reload && systemctl restart mcpmux.service"
        } else {
            "systemctl --user daemon-reload && systemctl --user restart mcpmux.service"
        }
    }

    /// Has systemd-creds(1) write `key`, encrypted, to the file at `path`. The
    /// key goes through a pipe.
    pub(super) fn encrypt(&self, key: &Secret, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut command = Command::new("systemd-creds");
        command.arg("encrypt");
        if !self.system {
            command.arg("--user");
        }
        command
            .arg(format!("--name={}", source::CREDENTIAL))
            .arg("-")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("systemd-creds cannot be started")?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read says why by its status.
            let _ = stdin.write_all(key.expose().as_bytes());
        }
        if wait(&mut child, TO_ENCRYPT).context("systemd-creds")? {
            return Ok(());
        }
        let said = child.stderr.take().map(said).unwrap_or_default();
        bail!("systemd-creds cannot encrypt the key: {said}");
    }
}

/// What a program prints that succeeds in time.
fn output(mut command: Command) -> Option<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let done = wait(&mut child, TO_ASK).ok()?;
    // A version is less than a pipe holds: it is there in full.
    let text = child.stdout.take().map(said)?;
    done.then_some(text)
}

/// The start of what is in a pipe whose other end is gone, or soon is.
fn said(pipe: impl Read) -> String {
    let mut text = Vec::new();
    let _ = pipe.take(4096).read_to_end(&mut text);
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Whether a program succeeded; one that takes longer is ended.
fn wait(child: &mut Child, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The number at the start of a version such as `252.39-1~deb12u2`.
fn number(version: &str) -> Option<u32> {
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Manager, number};

    #[test]
    fn versions_are_understood() {
        assert_eq!(number("252.39-1~deb12u2\n"), Some(252));
        assert_eq!(number("257\n"), Some(257));
        assert_eq!(number(""), None);
    }

    #[test]
    fn encrypted_credentials_are_taken_by_a_users_manager_from_258_on() {
        let manager = |system, manager, creds| Manager {
            system,
            versions: (manager, creds),
        };
        assert!(manager(false, Some(258), Some(258)).takes_encrypted());
        assert!(manager(true, Some(252), Some(252)).takes_encrypted());
        for (system, versions) in [
            (false, (Some(252), Some(252))),
            (false, (Some(257), Some(257))),
            (false, (Some(258), None)),
            (false, (None, Some(258))),
            (true, (Some(249), Some(249))),
        ] {
            let manager = manager(system, versions.0, versions.1);
            assert!(!manager.takes_encrypted());
            assert!(!manager.why_not_encrypted().is_empty());
        }
    }
}
