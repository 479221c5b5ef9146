//! One run of the suite: a reference server of its own, with or without an
//! mcpmux of its own before it, and the verdicts.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
};

use crate::{
    real,
    suite::{self, Scenario, Suite},
    support::Setup,
    verdict::Verdict,
};

/// The first revision without sessions.
const MODERN: &str = "2026-07-28";

/// How the suite reaches the reference server.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Over HTTP.
    Direct,
    /// Through mcpmux, which reaches it over HTTP.
    Http,
    /// Through mcpmux, which launches it.
    Command,
}

impl Way {
    /// As trials are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "directly",
            Self::Http => "http",
            Self::Command => "command",
        }
    }
}

/// A run of a suite for a revision, which is made when it is first asked for.
pub(crate) struct Lane {
    /// How it reaches the reference server.
    pub(crate) way: Way,
    suite: Suite,
    revision: String,
    scenarios: Arc<Vec<Scenario>>,
    verdicts: OnceLock<Result<BTreeMap<Scenario, Verdict>, String>>,
}

impl Lane {
    /// The run of `scenarios`, which are all that `suite` has for `revision`.
    pub(crate) fn new(
        suite: Suite,
        revision: &str,
        scenarios: &Arc<Vec<Scenario>>,
        way: Way,
    ) -> Self {
        Self {
            way,
            suite,
            revision: revision.to_owned(),
            scenarios: Arc::clone(scenarios),
            verdicts: OnceLock::new(),
        }
    }

    /// What came out; an error if the run could not be made.
    pub(crate) fn verdict(&self, scenario: &Scenario) -> Result<Verdict, String> {
        let verdicts = self.verdicts.get_or_init(|| {
            let run = catch_unwind(AssertUnwindSafe(|| self.run()));
            run.map_err(|_| format!("no run of {}: see above", self.way.name()))
        });
        let verdicts = verdicts.as_ref().map_err(Clone::clone)?;
        Ok(verdicts.get(scenario).cloned().unwrap_or_default())
    }

    fn run(&self) -> BTreeMap<Scenario, Verdict> {
        let run = |url: &str| self.suite.run(&self.revision, &self.scenarios, url);
        let program = [real::node(), suite::file("servers/reference.mjs")];
        if matches!(self.way, Way::Command) {
            return self.through_mcpmux(&format!("command: {program:?}\ntransport: command"), run);
        }
        let reference = Reference::start(&program);
        match self.way {
            Way::Direct => run(&reference.url),
            _ => self.through_mcpmux(
                &format!("endpoint: {}\ntransport: http", reference.url),
                run,
            ),
        }
    }

    fn through_mcpmux<T>(&self, reached: &str, run: impl FnOnce(&str) -> T) -> T {
        let era = if self.revision.as_str() < MODERN {
            "legacy"
        } else {
            "modern"
        };
        let mux = Setup::default()
            .raw_backend(&format!(
                "name: reference\nnamespace: none\nera: {era}\n{reached}"
            ))
            .serve();
        mux.logged("up: ");
        run(&format!("http://{}/mcp", mux.address()))
    }
}

/// The reference server, over HTTP. Dropped, it is ended.
struct Reference {
    process: Child,
    url: String,
}

impl Reference {
    fn start(program: &[std::path::PathBuf; 2]) -> Self {
        let mut process = Command::new(&program[0])
            .arg(&program[1])
            .arg("--http")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
