//! The shipped units and drop-ins themselves, and what backends see of systemd.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, make},
    session::Session,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "the_installed_units_verify_without_a_word",
        the_installed_units_verify,
    ),
    (
        "a_package_is_made_and_taken_away_without_a_trace",
        a_package_leaves_no_trace,
    ),
    (
        "backends_see_nothing_that_systemd_gave_to_mcpmux",
        backends_see_nothing,
    ),
    (
        "node_and_python_live_with_the_hardening",
        node_and_python_live_with_the_hardening,
    ),
    (
        "a_credential_reaches_the_backend_that_names_it",
        a_credential_reaches_its_backend,
    ),
    ("the_sandbox_lets_mcpmux_work", the_sandbox_lets_mcpmux_work),
    ("folders_are_the_users_alone", folders_are_the_users_alone),
];

fn the_installed_units_verify(session: &Session) {
    let setup = Setup::new(session, "");
    let units = ["mcpmux.socket", "mcpmux.service", "mcpmux.slice"]
        .map(|unit| setup.path(&format!(".config/systemd/user/{unit}")));
    let output = session
        .command("systemd-analyze")
        .args(["--user", "verify"])
        .args(units)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn a_package_leaves_no_trace(session: &Session) {
    let root = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", root.path().display());
    let package = |verb| make(&session.home, &[verb, &destination, "PREFIX=/usr"]);
    let at = |path: &str| root.path().join(path);

    package("install");
    let unit = fs::read_to_string(at("usr/lib/systemd/user/mcpmux.service")).unwrap();
    assert!(
        unit.contains("\nExecStart=/usr/bin/mcpmux serve\n"),
        "{unit}"
    );
    assert!(!unit.contains(&destination), "{unit}");
    let completions = at("usr/share/bash-completion/completions/mcpmux");
    assert!(
        fs::read_to_string(completions)
            .unwrap()
            .contains("_mcpmux()")
    );

    package("uninstall");
    let left = files(root.path());
    assert!(left.is_empty(), "{left:?}");
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files
}

fn backends_see_nothing(session: &Session) {
    let before = "env > \"$HOME/scratch/env\"; ls -l /proc/self/fd > \"$HOME/scratch/fds\";";
    let setup = Setup::new(session, &(demo("demo", before) + "    inherit_env: true\n"));
    setup.write("scratch/env", "");
    setup.write("scratch/fds", "");
    setup.drop_in(
        "mcpmux.service",
        "mark",
        "[Service]\nEnvironment=MARK=inherited\n",
    );
    setup.listen();
    Client::shipped().assert_echo("demo");
    let env = fs::read_to_string(setup.path("scratch/env")).unwrap();
    assert!(env.contains("MARK=inherited"), "{env}");
    for name in [
        "LISTEN_",
        "NOTIFY_SOCKET",
        "WATCHDOG_",
        "CREDENTIALS_DIRECTORY",
    ] {
        assert!(
            !env.lines().any(|line| line.starts_with(name)),
            "{name} in {env}"
        );
    }
    // stdin, stdout, stderr, which is the journal's socket, and what ls opened: no
    // listening socket among them.
    let fds = fs::read_to_string(setup.path("scratch/fds")).unwrap();
    let fds: String = fds
        .lines()
        .filter(|line| !line.contains(" 2 -> "))
        .collect();
    assert!(!fds.contains("socket:"), "{fds}");
}

fn node_and_python_live_with_the_hardening(session: &Session) {
    // Netlink, code made at run time, threads, children: what most servers do.
    let node = "node -e \"require('os').networkInterfaces(); \
                let n = 0; for (let i = 0; i < 1e7; i++) n += i; \
                require('child_process').execFileSync('true'); \
                new (require('worker_threads').Worker)('1', { eval: true })\"";
    let python = "python3 -c \"import ctypes, socket, ssl, subprocess, threading; \
                  ctypes.CDLL(None).getpid(); socket.getaddrinfo('localhost', 80); \
                  threading.Thread(target=print).start(); \
                  subprocess.run(['true'], check=True)\"";
    let before = format!("{node} >&2 || exit 1; {python} >&2 || exit 2;");
    let setup = Setup::new(session, &demo("demo", &before));
    setup.listen();
    let echoed = Client::shipped().echo("demo", "hello");
    assert_eq!(echoed.as_deref(), Ok("hello"), "{}", session.log());
}

fn a_credential_reaches_its_backend(session: &Session) {
    let backend = demo("demo", "test \"$TOKEN\" = a-secret || exit 1;")
        + "    env: { TOKEN: \"${cred:github-token}\" }\n";
    let setup = Setup::new(session, &backend);
    setup.write(".config/mcpmux/credentials/github-token", "a-secret");
    setup.drop_in(
        "mcpmux.service",
        "credentials",
        &shipped("credentials.conf"),
    );
    setup.listen();
    Client::shipped().assert_echo("demo");
}

fn the_sandbox_lets_mcpmux_work(session: &Session) {
    let before = "touch \"$HOME/forbidden\" && exit 1; touch \"$HOME/.cache/allowed\" || exit 1;";
    let setup = Setup::new(session, "");
    setup.configure(&format!(
        "process: group\nbackends:\n{}",
        demo("demo", before)
    ));
    setup.write(".cache/there", "");
    setup.drop_in("mcpmux.service", "sandbox", &shipped("sandbox.conf"));
    setup.listen();
    assert_listed(session, "demo__echo");
    // And it reaches systemd from within.
    setup.configure(&format!("backends:\n{}", demo("demo", "")));
    session.systemctl(&["restart", "mcpmux.service"]);
    assert_listed(session, "demo__echo");
    let unit = session.property("mcpmux-backend-demo.service", "ActiveState");
    assert_eq!(unit, "active");
}

/// The user sees `tool`, who is known in a user namespace where root may not be.
fn assert_listed(session: &Session, tool: &str) {
    let endpoint = "http://127.0.0.1:8080/mcp";
    let mut list = session.command(&format!("{}/.local/bin/mcpmux", session.home.display()));
    let output = list
        .args(["list", "--endpoint", endpoint])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains(tool), "{output:?}");
}

fn folders_are_the_users_alone(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    // As on the first start: there is a configuration, readable by all, and no state.
    let configuration = setup.path(".config/mcpmux");
    fs::set_permissions(&configuration, fs::Permissions::from_mode(0o755)).unwrap();
    for state in [".local/state/mcpmux", ".config/mcpmux/state"] {
        let state = setup.path(state);
        let _ = fs::remove_file(&state).or_else(|_| fs::remove_dir_all(&state));
    }
    setup.listen();
    Client::shipped().assert_echo("demo");
    let state = session.property("mcpmux.service", "StateDirectory");
    // 257 adds what it has linked it to.
    assert_eq!(state.split([' ', ':']).next(), Some("mcpmux"));
    let environment = fs::read(format!("/proc/{}/environ", session.main_pid())).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let variable = |name: &str| {
        let mut variables = environment.split('\0');
        let value = variables.find_map(|own| own.strip_prefix(name));
        PathBuf::from(value.unwrap())
    };
    for folder in ["STATE_DIRECTORY=", "RUNTIME_DIRECTORY="].map(variable) {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
}

/// A drop-in of the repository.
pub(crate) fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/drop-ins");
    fs::read_to_string(folder.join(name)).unwrap()
}
