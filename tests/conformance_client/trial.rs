//! One scenario: the suite as the server, this program as the client, and what
//! the suite finds.

use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::{driver, inapplicable, suite::Suite};

/// How long the suite lets the driver be, in milliseconds.
const PATIENCE: &str = "40000";

/// Scenarios of this "revision" belong to an extension: the suite chooses.
const EXTENSION: &str = "extension";

/// Runs `scenario` at `revision`; what must not fail must not.
pub(crate) fn run(suite: Suite, revision: &str, scenario: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = suite.command();
    command
        .args(["client", "--scenario", scenario, "--timeout", PATIENCE])
        .arg("--command")
        .arg(env::current_exe().unwrap())
        .arg("--output-dir")
        .arg(folder.path())
        .env(driver::SUITE, suite.kind)
        .stdin(Stdio::null());
    // The stable suite has one server for all revisions.
    if suite.kind == "next" && revision != EXTENSION {
        command.args(["--spec-version", revision]);
    }
    let output = command.output().unwrap();
    let Some(found) = results(folder.path()) else {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the suite gave up: {said}").into());
    };
    let checks = fs::read(found.join("checks.json")).unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&checks).unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| is_failure(check)).collect();
    let ids: BTreeSet<_> = failed.iter().map(|check| text(check, "id")).collect();
    let expected = inapplicable::of(scenario);
    let tolerated: BTreeSet<_> = expected
        .map_or(&[][..], |entry| entry.checks)
        .iter()
        .copied()
        .collect();
    let shows = checks.iter().any(|check| check["status"] == "SUCCESS");
    let well = shows && output.status.success();
    // Where nothing is amiss the driver has to end well, too.
    if ids == tolerated && (well || expected.is_some()) {
        return Ok(());
    }
    let mut report = String::new();
    for check in failed {
        let (id, what) = (text(check, "id"), text(check, "description"));
        let _ = writeln!(report, "  {id}: {what}: {}", text(check, "errorMessage"));
    }
    if !shows {
        report += "  no check has passed\n";
    }
    if let Some(entry) = expected {
        let _ = writeln!(report, "expected were {:?}: {}", entry.checks, entry.why);
    }
    Err(format!("{report}{}", said(&found)).into())
}

/// The folder below `folder` where the suite has left what it found.
fn results(folder: &Path) -> Option<PathBuf> {
    if folder.join("checks.json").exists() {
        return Some(folder.to_owned());
    }
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .find_map(|entry| results(&entry.path()))
}

fn is_failure(check: &Value) -> bool {
    check["status"] == "FAILURE" || check["status"] == "WARNING"
}

fn text<'a>(check: &'a Value, member: &str) -> &'a str {
    check[member].as_str().unwrap_or_default()
}

/// What the driver wrote at last.
fn said(folder: &Path) -> String {
    let stderr = fs::read(folder.join("stderr.txt")).unwrap_or_default();
    let from = stderr.len().saturating_sub(6000);
    String::from_utf8_lossy(&stderr[from..]).into_owned()
}
