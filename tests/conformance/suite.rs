//! The suite as npm has it: what scenarios it has for which revision, and a run
//! of them against a server.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{real, verdict::Verdict};

/// The name of a scenario.
pub(crate) type Scenario = String;

/// How long a run may take. What it has not judged by then counts as failed.
const LIMIT_SECONDS: &str = "150";

/// Scenarios of this "revision" belong to an extension, and are run one by one:
/// the suite chooses the revision.
const EXTENSION: &str = "extension";

/// How many of them run side by side.
const TOGETHER: usize = 4;

/// The suite in one version.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    /// What its trials are marked with.
    pub(crate) kind: &'static str,
    package: &'static str,
}

/// The newest release, and the newest before the next one.
pub(crate) const SUITES: [Suite; 2] = [
    Suite {
        kind: "stable",
        package: "conformance-stable",
    },
    Suite {
        kind: "next",
        package: "conformance-next",
    },
];

/// A file below this folder.
pub(crate) fn file(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/conformance")
        .join(path);
    assert!(
        path.exists(),
        "{} is not there: run `tests/prepare`, which installs it",
        path.display()
    );
    path
}

impl Suite {
    /// The suite's program, which is ended when it takes too long.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new("timeout");
        command
            .arg(LIMIT_SECONDS)
            .arg(real::node())
            .arg(file(&format!(
                "node_modules/{}/dist/index.js",
                self.package
            )))
            .env("NO_COLOR", "1");
        command
    }

    /// Its scenarios for this side, `--server` or `--client`, by revision, each in
    /// the order of the suite.
    pub(crate) fn scenarios(self, side: &str) -> BTreeMap<String, Vec<Scenario>> {
        let output = self.command().args(["list", side]).output().unwrap();
        let list = String::from_utf8(output.stdout).unwrap();
        let mut scenarios = BTreeMap::<_, Vec<_>>::new();
        for line in list.lines() {
            let Some((name, revisions)) = line
                .strip_prefix("  - ")
                .and_then(|line| line.strip_suffix(']')?.split_once(" ["))
            else {
                continue;
            };
            for revision in revisions.split(',') {
                let of_revision = scenarios.entry(revision.to_owned()).or_default();
                of_revision.push(name.to_owned());
            }
        }
        assert!(!scenarios.is_empty(), "the suite lists nothing: {list}");
        scenarios
    }

    /// Runs `scenarios`, which are all that it has for `revision`, against the
    /// server at `url`.
    pub(crate) fn run(
        self,
        revision: &str,
        scenarios: &[Scenario],
        url: &str,
    ) -> BTreeMap<Scenario, Verdict> {
        let folder = tempfile::tempdir().unwrap();
        let run = |selection: &[&str]| {
            self.command()
                .args(["server", "--url", url])
                .args(selection)
                .arg("--output-dir")
                .arg(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
        };
        if revision == EXTENSION {
            for together in scenarios.chunks(TOGETHER) {
                thread::scope(|scope| {
                    for name in together {
                        scope.spawn(|| run(&["--scenario", name]));
                    }
                });
            }
        } else {
            run(&["--suite", "all", "--spec-version", revision]);
        }
        verdicts(folder.path())
    }
}

/// What a run has left in `folder`: a folder for each scenario, which is named
/// `server-SCENARIO-TIME`.
fn verdicts(folder: &Path) -> BTreeMap<Scenario, Verdict> {
    const TIME: &str = "-2026-01-01T00-00-00-000Z";
    let mut verdicts = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let scenario = name
            .strip_prefix("server-")
            .and_then(|name| name.get(..name.len().checked_sub(TIME.len())?));
        // A scenario that was given up leaves no checks.
        if let (Some(scenario), Ok(checks)) = (scenario, fs::read(entry.path().join("checks.json")))
        {
            verdicts.insert(scenario.to_owned(), Verdict::read(&checks));
        }
    }
    verdicts
}
