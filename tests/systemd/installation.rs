//! mcpmux in the user's home, as `make install` puts it there, and a setup of
//! it that lasts for one test.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use crate::session::Session;

const SERVICE: &str = "mcpmux.service";
const SOCKET: &str = "mcpmux.socket";

/// Installs the binary under test and the shipped units in the user's home.
pub(crate) fn install(session: &Session) {
    make(&session.home, &["install"]);
    give(session, &session.home);
}

/// `make` with the binary under test, for the user whose home this is.
pub(crate) fn make(home: &Path, arguments: &[&str]) {
    let output = Command::new("make")
        .args(["--directory", env!("CARGO_MANIFEST_DIR")])
        .arg(format!("BINARY={}", env!("CARGO_BIN_EXE_mcpmux")))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "make {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A setup of mcpmux for one test; gone, and everything stopped, at its end.
pub(crate) struct Setup<'a> {
    session: &'a Session,
}

impl<'a> Setup<'a> {
    /// mcpmux with these backends (the `backends:` list in YAML), not running.
    pub(crate) fn new(session: &'a Session, backends: &str) -> Self {
        let setup = Self { session };
        setup.clear();
        setup.configure(&format!("backends:\n{backends}"));
        setup
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, document: &str) {
        self.write(".config/mcpmux/config.yaml", document);
    }

    /// Adds a drop-in to a unit.
    pub(crate) fn drop_in(&self, unit: &str, name: &str, text: &str) {
        self.write(&format!(".config/systemd/user/{unit}.d/{name}.conf"), text);
        self.session.systemctl(&["daemon-reload"]);
    }

    /// Takes a drop-in away again.
    pub(crate) fn remove_drop_in(&self, unit: &str, name: &str) {
        fs::remove_file(self.path(&format!(".config/systemd/user/{unit}.d/{name}.conf"))).unwrap();
        self.session.systemctl(&["daemon-reload"]);
    }

    /// Writes a file of the user's, readable by that user alone.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        give(self.session, path.parent().unwrap());
    }

    /// Starts listening; the service comes with the first connection.
    pub(crate) fn listen(&self) {
        self.session.systemctl(&["start", SOCKET]);
    }

    /// A path in the user's home.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.session.home.join(path)
    }

    fn clear(&self) {
        // In this order: the socket would start the service again.
        self.session
            .try_systemctl(&["disable", "--now", SOCKET, SERVICE]);
        for unit in [SOCKET, SERVICE] {
            let _ = fs::remove_dir_all(self.path(&format!(".config/systemd/user/{unit}.d")));
        }
        let _ = fs::remove_dir_all(self.path(".config/mcpmux"));
        let _ = fs::remove_dir_all(self.path("scratch"));
        self.session.systemctl(&["daemon-reload"]);
        self.session
            .try_systemctl(&["reset-failed", SOCKET, SERVICE]);
    }
}

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        // systemctl that fails must not turn a failed test into an abort.
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

/// Makes the user the owner of a file or of all below a folder.
fn give(session: &Session, path: &Path) {
    chown(path, Some(session.uid), Some(session.gid)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_type().unwrap().is_symlink() {
                give(session, &entry.path());
            }
        }
    }
}

/// A backend that answers: the demo server behind a line of shell, if any.
pub(crate) fn demo(name: &str, before: &str) -> String {
    let script = format!("{before} exec \"$HOME/.local/bin/mcpmux\" demo-server");
    shell(name, &script)
}

/// A backend that is a shell script.
pub(crate) fn shell(name: &str, script: &str) -> String {
    let script = serde_json::to_string(&script.replace('$', "$$")).unwrap();
    format!("  - name: {name}\n    transport: command\n    command: [sh, -c, {script}]\n")
}
