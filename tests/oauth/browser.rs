//! A person at a headless Chromium: see `browser.mjs`.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{install, process::Process, walker::Walker};

/// What the browser showed at last, and on the way.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Page {
    /// Its address.
    pub(crate) url: String,
    /// The status of the answer that brought it.
    pub(crate) status: u16,
    /// The header fields of that answer, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its title.
    pub(crate) title: String,
    /// What can be read on it.
    pub(crate) text: String,
    /// What the browser wrote to its console.
    pub(crate) complaints: Vec<Complaint>,
    /// Every request on the way.
    pub(crate) requests: Vec<Asked>,
}

/// A request of the browser.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Asked {
    /// For what.
    pub(crate) url: String,
    /// On which page, as the browser tells it.
    pub(crate) referer: Option<String>,
}

/// A line of the browser's console.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Complaint {
    /// What it is about.
    pub(crate) url: String,
    /// What it says.
    pub(crate) text: String,
}

/// How to look at pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    /// Pages may run scripts.
    Run,
    /// They may not.
    Off,
}

/// Goes to `url` and through the pages from there as `walker` does. A picture of
/// the last page is kept below the build directory as `oauth-NAME.png`.
#[track_caller]
pub(crate) fn browse(url: &str, walker: &Walker, scripts: Scripts, name: &str) -> Page {
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oauth-{name}.png"));
    let plan = json!({
        "browser": chromium(), "url": url, "user": walker.user, "password": walker.password,
        "denies": walker.denies, "scripts": scripts == Scripts::Run, "picture": picture,
    });
    let process = Process::start(
        "the browser",
        Command::new(install::node())
            .arg(install::file("browser.mjs"))
            .env("PLAN", plan.to_string()),
    );
    let (printed, _) = process.finish();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

fn chromium() -> PathBuf {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join("chromium"));
    found
        .into_iter()
        .find(|path| path.exists())
        .expect("there is a chromium: run `tests/prepare`, which installs it")
}
