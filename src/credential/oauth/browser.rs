//! Opening a page in the browser of who is logged in at this machine's desktop.
//!
//! The page's address is an argument of the browser, which every user of the
//! machine can see. It holds no secret but the `state` of the login, which is of
//! use only together with the code that the browser brings back.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    process::{self, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};
use tracing::debug;
use url::Url;

use crate::config::Environment;

/// How long a launcher is watched; one that still runs then is a browser.
const WATCHED: Duration = Duration::from_millis(500);

/// How long all launchers together may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Beside what every child inherits, a browser gets what the desktop says of
/// itself; the rest of the environment may hold secrets.
const DESKTOP: [&str; 11] = [
    "BROWSER",
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION",
    "DISPLAY",
    "GDK_BACKEND",
    "KDE_FULL_SESSION",
    "KDE_SESSION_VERSION",
    "MOZ_ENABLE_WAYLAND",
    "WAYLAND_DISPLAY",
    "WSL_DISTRO_NAME",
    "XAUTHORITY",
];

/// Any of these says that a page can be opened.
const SIGNS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"];

/// What the desktop says of itself.
#[derive(Debug, Default)]
struct Desktop(BTreeMap<&'static str, OsString>);

impl Desktop {
    /// As `value` has its variables; an empty one is none.
    fn of(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let variables = DESKTOP
            .into_iter()
            .filter_map(|name| Some((name, value(name)?)));
        Self(variables.filter(|(_, value)| !value.is_empty()).collect())
    }

    fn is_there(&self) -> bool {
        SIGNS.iter().any(|sign| self.0.contains_key(sign))
    }
}

/// Opens `url`, which must be of http or https, where there is a desktop or
/// `BROWSER` names a browser. Within 5 s.
///
/// Success means that a browser, or the desktop's launcher, took the page; the
/// error says why none did, without the address.
pub(super) async fn open(url: &str) -> Result<(), String> {
    let opening = async {
        let is_service = is_service();
        let mut desktop = Desktop::of(|name| env::var_os(name));
        if is_service && !desktop.is_there() {
            // A service that was started before the desktop does not have its
            // variables; the manager does.
            desktop = of_manager().await;
        }
        open_at(url, &desktop, is_service).await
    };
    timeout(LIMIT, opening)
        .await
        .unwrap_or_else(|_| Err("no browser was opened in time".to_owned()))
}

async fn open_at(url: &str, desktop: &Desktop, is_service: bool) -> Result<(), String> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => {}
        _ => return Err("the page to open is not of http or https".to_owned()),
    }
    if !desktop.is_there() {
        return Err(
            "there is no desktop here: none of DISPLAY, WAYLAND_DISPLAY and BROWSER is set"
                .to_owned(),
        );
    }
    let launchers = launchers(url, desktop.0.get("BROWSER").map(OsString::as_os_str));
    let apart: Vec<_> = launchers
        .iter()
        .filter(|_| is_service)
        .map(|launcher| unit(launcher, desktop))
        .collect();
    let mut failure = None;
    for argv in apart.iter().chain(&launchers) {
        match launch(argv, desktop).await {
            Ok(()) => return Ok(()),
            // The first is the one that was wished for.
            Err(error) => failure = Some(failure.unwrap_or(error)),
        }
    }
    Err(failure.unwrap_or_else(|| "no browser was found".to_owned()))
}

/// Whether this process is the main process of a service
/// (`systemd.exec(5)`, `$SYSTEMD_EXEC_PID`).
fn is_service() -> bool {
    env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == process::id().to_string())
}

/// What can open `url`, in order: the browsers that `BROWSER` lists, then what
/// the desktop has.
fn launchers(url: &str, browsers: Option<&OsStr>) -> Vec<Vec<OsString>> {
    let listed = browsers.and_then(OsStr::to_str).unwrap_or_default();
    // A list with colons, in which %s stands for the address
    // (`xdg-open(1)`, `sensible-browser(1)`).
    let listed = listed.split(':').filter_map(|browser| {
        let mut argv: Vec<OsString> = browser
            .split_whitespace()
            .map(|word| word.replace("%s", url).into())
            .collect();
        if !browser.contains("%s") {
            argv.push(url.into());
        }
        (argv.len() > 1).then_some(argv)
    });
    let desktop = open::commands(url).into_iter().map(|command| {
        let arguments = command.get_args().map(OsStr::to_owned);
        [command.get_program().to_owned()]
            .into_iter()
            .chain(arguments)
            .collect()
    });
    listed.chain(desktop).collect()
}

/// The same launcher as a unit of the user's manager (`systemd-run(1)`). A
/// browser that is started from within a service would be confined as the
/// service is, and end with it.
fn unit(launcher: &[OsString], desktop: &Desktop) -> Vec<OsString> {
    let fixed = [
        "systemd-run",
        "--user",
        "--quiet",
        "--collect",
        "--service-type=exec",
        // In place of the command line, which would be logged.
        "--description=Browser for a login of mcpmux",
    ];
    let mut argv: Vec<OsString> = fixed.map(OsString::from).to_vec();
    let names = desktop.0.keys();
    argv.extend(names.map(|name| format!("--setenv={name}").into()));
    argv.push("--".into());
    argv.extend_from_slice(launcher);
    argv
}

/// Starts `argv` in a group of its own, with none of our descriptors; an error
/// if it fails soon. One that goes on is waited for, so that it leaves no zombie.
async fn launch(argv: &[OsString], desktop: &Desktop) -> Result<(), String> {
    let mut child = command(argv, desktop).spawn().map_err(|error| {
        let program = argv.first().map(|program| program.to_string_lossy());
        format!("{}: {error}", program.unwrap_or_default())
    })?;
    match timeout(WATCHED, child.wait()).await {
        Ok(Ok(status)) if !status.success() => {
            let program = argv.first().map(|program| program.to_string_lossy());
            Err(format!("{} failed ({status})", program.unwrap_or_default()))
        }
        Ok(_) => Ok(()),
        Err(_) => {
            tokio::spawn(async move {
                if let Ok(status) = child.wait().await {
                    debug!("the browser's launcher ended: {status}");
                }
            });
            Ok(())
        }
    }
}

fn command(argv: &[OsString], desktop: &Desktop) -> Command {
    let environment = Environment::process();
    let mut command = Command::new(argv.first().map_or(OsStr::new(""), OsString::as_os_str));
    command
        .args(argv.iter().skip(1))
        .env_clear()
        .envs(environment.inherited())
        .envs(&desktop.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

/// What the environment of the user's manager, into which a desktop imports its
/// own, says now.
async fn of_manager() -> Desktop {
    let argv = ["systemctl", "--user", "show-environment"].map(OsString::from);
    let own = Desktop::of(|name| env::var_os(name));
    let output = command(&argv, &own)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .output();
    match timeout(LIMIT / 2, output).await {
        Ok(Ok(output)) => listed(&String::from_utf8_lossy(&output.stdout)),
        _ => own,
    }
}

/// What a list of assignments, a line each, says of a desktop. A value that
/// needs quotes is none of a display's, nor of a bus's.
fn listed(assignments: &str) -> Desktop {
    Desktop::of(|name| {
        let mut lines = assignments.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        (!value.starts_with(['$', '\'', '"'])).then(|| value.into())
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    const URL: &str = "https://as.example/authorize?a=b&state=c%20d";

    /// A browser that runs this line of shell, and its path.
    fn browser(folder: &Path, name: &str, line: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    fn only(name: &'static str, value: String) -> Desktop {
        Desktop(BTreeMap::from([(name, value.into())]))
    }

    #[tokio::test]
    async fn the_browser_that_is_named_gets_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let got = folder.path().join("got");
        let broken = browser(folder.path(), "broken", "exit 3");
        let line = format!("printf %s \"$*\" > {}", got.display());
        let good = browser(folder.path(), "good", &line);
        let list = format!(
            "{}/none:{broken}:{good} --new %s:{broken}",
            folder.path().display()
        );
        open_at(URL, &only("BROWSER", list), false).await.unwrap();
        assert_eq!(fs::read_to_string(got).unwrap(), format!("--new {URL}"));
    }

    #[tokio::test]
    async fn a_browser_that_goes_on_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // It ends when the test says so.
        let line = format!("mkfifo {0} && read line < {0}", pipe.display());
        let path = browser(folder.path(), "stays", &line);
        open_at(URL, &only("BROWSER", path), false).await.unwrap();
        fs::write(&pipe, "end\n").unwrap();
    }

    #[tokio::test]
    async fn only_web_pages_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let got = folder.path().join("got");
        let path = browser(folder.path(), "b", &format!("touch {}", got.display()));
        for url in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "-h",
            "",
            "ssh://h",
        ] {
            let error = open_at(url, &only("BROWSER", path.clone()), false).await;
            assert!(error.unwrap_err().contains("not of http"), "{url}");
        }
        assert!(!got.exists());
    }

    #[tokio::test]
    async fn without_a_desktop_nothing_is_started() {
        let error = open_at(URL, &Desktop::default(), false).await.unwrap_err();
        assert!(error.contains("no desktop"), "{error}");
        assert!(!error.contains("as.example"), "{error}");
    }

    #[test]
    fn a_service_has_the_browser_started_apart_from_it() {
        let argv = unit(
            &["xdg-open".into(), URL.into()],
            &only("WAYLAND_DISPLAY", "wayland-0".to_owned()),
        );
        let argv: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(&argv[..2], ["systemd-run", "--user"]);
        assert_eq!(
            &argv[argv.len() - 4..],
            ["--setenv=WAYLAND_DISPLAY", "--", "xdg-open", URL]
        );
    }

    #[test]
    fn the_manager_tells_of_a_desktop_that_came_later() {
        let text = "PATH=/bin\nDISPLAY_NUMBER=1\nWAYLAND_DISPLAY=wayland-0\nXAUTHORITY=$'/a b'\nDISPLAY=\n";
        let desktop = listed(text);
        assert!(desktop.is_there());
        let expected = BTreeMap::from([("WAYLAND_DISPLAY", OsString::from("wayland-0"))]);
        assert_eq!(desktop.0, expected);
        assert!(!listed("PATH=/bin\n").is_there());
    }
}
