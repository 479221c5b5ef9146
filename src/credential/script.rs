//! For the tests of this room: a helper that is a shell script in a directory
//! of its own, counts its runs, and can be held at a gate.

use std::{path::PathBuf, process::Command};

use super::helper::Helper;
use crate::config::Environment;

/// A helper's script and its directory, which goes when this is dropped.
pub(super) struct Script(tempfile::TempDir);

impl Script {
    /// A script that ends with `then`, which has the count of its runs in `$n`
    /// and its directory in `$d`.
    pub(super) fn new(then: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let text = [
            "d=$1",
            "echo run >> \"$d/runs\"",
            "n=$(wc -l < \"$d/runs\" | tr -d ' ')",
            "[ ! -p \"$d/gate\" ] || read -r _ < \"$d/gate\"",
            then,
        ];
        std::fs::write(directory.path().join("helper"), text.join("\n")).expect("a script");
        Self(directory)
    }

    /// As [`Self::new`], but each run waits for one [`Self::let_through`].
    pub(super) fn gated(then: &str) -> Self {
        let script = Self::new(then);
        let made = Command::new("mkfifo").arg(script.path("gate")).status();
        assert!(made.expect("mkfifo").success());
        script
    }

    /// Waits until a run is at the gate, and lets it through.
    pub(super) async fn let_through(&self) {
        let gate = self.path("gate");
        tokio::task::spawn_blocking(move || std::fs::write(gate, "\n"))
            .await
            .expect("no panic")
            .expect("a reader");
    }

    pub(super) fn helper(&self) -> Helper {
        let directory = self.0.path().to_str().expect("text");
        let argv = ["sh", &format!("{directory}/helper"), directory].map(str::to_owned);
        Helper::new(&argv, &Environment::process())
    }

    /// How often it has run.
    pub(super) fn runs(&self) -> usize {
        let runs = std::fs::read_to_string(self.path("runs"));
        runs.map_or(0, |runs| runs.lines().count())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
