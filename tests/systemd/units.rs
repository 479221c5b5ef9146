//! Command backends as units of their own.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::{Session, eventually, is_alive},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "each_command_backend_is_a_unit_in_the_slice",
        each_backend_is_a_unit,
    ),
    (
        "secrets_are_in_no_property_no_argument_and_no_file_of_a_unit",
        secrets_are_nowhere,
    ),
    ("a_strict_sandbox_is_held_to_by_systemd", a_strict_sandbox),
    (
        "single_directives_are_put_on_top_of_the_level",
        single_directives,
    ),
    (
        "a_sandbox_that_cannot_be_had_is_told_and_harms_no_other_backend",
        an_impossible_sandbox,
    ),
    (
        "a_stopped_service_leaves_no_unit_and_no_process",
        a_stop_leaves_no_unit,
    ),
    (
        "a_kill_of_mcpmux_stops_every_unit_and_they_come_back_with_it",
        a_kill_stops_every_unit,
    ),
    (
        "a_crash_leaves_nothing_of_the_backend_and_it_comes_back",
        a_crash_leaves_nothing,
    ),
    (
        "a_restart_starts_each_backend_once",
        a_restart_starts_each_once,
    ),
    (
        "a_reexecuted_manager_loses_no_backend",
        a_reexecuted_manager,
    ),
    (
        "process_group_makes_no_units_and_refuses_a_sandbox",
        process_group,
    ),
    (
        "a_run_in_a_terminal_makes_no_units_unless_asked_to",
        a_run_in_a_terminal,
    ),
    (
        "a_unit_is_judged_by_systemd_analyze_security",
        judged_by_systemd_analyze,
    ),
];

const DEMO: &str = "mcpmux-backend-demo.service";

/// A backend whose grandchild has left its session and ignores SIGTERM, as the
/// backend itself does; `then` ends the script.
fn daemonising(name: &str, then: &str) -> String {
    let script = format!(
        "trap '' TERM HUP INT; (setsid sh -c 'exec sleep 1000' &) ; \
         echo $$ > \"$HOME/scratch/{name}\"; {then}"
    );
    shell(name, &script)
}

/// Waits until a unit has so many processes, and gives them.
fn await_processes(session: &Session, unit: &str, count: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let there = eventually(Duration::from_secs(10), || {
        found = session.processes_of(unit);
        found.len() >= count
    });
    assert!(there, "{unit}: {found:?}\n{}", session.log());
    found
}

/// The names of all units of backends that systemd knows of.
fn units(session: &Session) -> Vec<String> {
    let list = session.systemctl(&[
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "mcpmux-*backend-*",
    ]);
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[track_caller]
fn assert_no_units(session: &Session) {
    let gone = eventually(Duration::from_secs(10), || units(session).is_empty());
    assert!(gone, "{:?}\n{}", units(session), session.log());
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn each_backend_is_a_unit(session: &Session) {
    let other = demo("other.one", "").replace("    transport", "    cwd: /usr\n    transport");
    let setup = Setup::new(session, &(demo("demo", "pwd >&2;") + &other));
    setup.listen();
    Client::shipped().assert_echo("demo");
    Client::shipped().assert_echo("other.one");
    for (property, value) in [
        ("ActiveState", "active"),
        ("Description", "MCP server demo (mcpmux)"),
        ("Slice", "mcpmux.slice"),
        ("KillMode", "control-group"),
        ("StopPropagatedFrom", "mcpmux.service"),
        ("NoNewPrivileges", "yes"),
    ] {
        assert_eq!(session.property(DEMO, property), value, "{property}");
    }
    assert_eq!(session.processes_of(DEMO).len(), 1);
    let other = "mcpmux-backend-other.one.service";
    assert_eq!(session.property(other, "WorkingDirectory"), "/usr");
    // mcpmux is alone, without a guard.
    assert_eq!(session.processes(), [session.main_pid()]);
    let status = session.systemctl(&["status", "--no-pager", "mcpmux-backend-*"]);
    assert!(status.contains("MCP server other.one"), "{status}");
}

fn secrets_are_nowhere(session: &Session) {
    const SECRET: &str = "hunter2-and-more";
    let before = "test \"$TOKEN\" = \"$(cat \"$HOME/scratch/expected\")\" || exit 1;";
    let backend = demo("demo", before) + "    env: { TOKEN: \"${cred:github-token}\" }\n";
    let setup = Setup::new(session, &backend);
    setup.write("scratch/expected", SECRET);
    setup.write(".config/mcpmux/credentials/github-token", SECRET);
    setup.drop_in(
        "mcpmux.service",
        "credentials",
        "[Service]\nLoadCredential=github-token:%h/.config/mcpmux/credentials/github-token\n",
    );
    setup.listen();
    Client::shipped().assert_echo("demo");
    let shown = session.systemctl(&["show", "--all", "mcpmux*", DEMO])
        + &session.systemctl(&["cat", DEMO])
        + &session.systemctl(&["show-environment"]);
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!session.log().contains(SECRET));
    for pid in session.processes_of(DEMO) {
        let file = |name| fs::read(format!("/proc/{pid}/{name}")).unwrap();
        let has = |name| String::from_utf8_lossy(&file(name)).contains(SECRET);
        assert!(!has("cmdline"));
        assert!(has("environ"), "it is where it belongs");
    }
    let transient = session.runtime.join("systemd/transient");
    assert!(!found_below(&transient, SECRET.as_bytes()));
}

/// Whether a file below `folder` holds `bytes`.
fn found_below(folder: &Path, bytes: &[u8]) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return found_below(&path, bytes);
        }
        let text = fs::read(&path).unwrap_or_default();
        text.windows(bytes.len()).any(|window| window == bytes)
    })
}

fn a_strict_sandbox(session: &Session) {
    let before = "touch \"$HOME/forbidden\" && exit 1; touch \"$HOME/scratch/allowed\" || exit 2; \
                  touch /tmp/own || exit 3;";
    let sandbox =
        "    sandbox: { level: strict, ReadWritePaths: [\"${HOME}/scratch\", -/nonexistent] }\n";
    let setup = Setup::new(session, &(demo("demo", before) + sandbox));
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    assert!(setup.path("scratch/allowed").exists());
    assert!(!Path::new("/tmp/own").exists());
    let users = if session.uid == 0 { "no" } else { "yes" };
    assert_eq!(session.property(DEMO, "PrivateUsers"), users);
    assert_eq!(session.property(DEMO, "ProtectSystem"), "strict");
}

fn single_directives(session: &Session) {
    let before = "readlink /proc/self/ns/net > \"$HOME/scratch/net\"; \
                  test \"$(grep NoNewPrivs /proc/self/status | tr -dc 0-9)\" = 0 || exit 2;";
    let sandbox = "    sandbox: { level: off, PrivateNetwork: yes }\n";
    let setup = Setup::new(session, &(demo("demo", before) + sandbox));
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let net = fs::read_to_string(setup.path("scratch/net")).unwrap();
    assert_ne!(net.trim_end(), own.to_str().unwrap());
    assert_eq!(session.property(DEMO, "PrivateNetwork"), "yes");
    assert_eq!(
        session.property(DEMO, "SystemCallErrorNumber"),
        "2147483646"
    );
}

fn an_impossible_sandbox(session: &Session) {
    let wrong = demo("wrong", "") + "    sandbox: { ReadOnlyPaths: [/nonexistent] }\n";
    let setup = Setup::new(session, &(demo("demo", "") + &wrong));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let answer = Client::shipped().call("wrong__echo", &json!({})).unwrap();
    let message = answer.message["error"]["message"].to_string();
    assert!(message.contains("NAMESPACE"), "{message}");
}

fn a_stop_leaves_no_unit(session: &Session) {
    let backends = demo("demo", "") + &daemonising("deaf", "exec sleep 1000");
    let setup = Setup::new(session, &backends);
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    let deaf = await_processes(session, "mcpmux-backend-deaf.service", 2);
    let demo = session.processes_of(DEMO);
    session.systemctl(&["stop", "mcpmux.service"]);
    assert_eq!(session.property("mcpmux.service", "Result"), "success");
    assert!(deaf.iter().chain(&demo).all(|pid| !is_alive(*pid)));
    assert_no_units(session);
}

fn a_kill_stops_every_unit(session: &Session) {
    let backends = demo("demo", "") + &daemonising("deaf", "exec sleep 1000");
    let setup = Setup::new(session, &backends);
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    let mut all = await_processes(session, "mcpmux-backend-deaf.service", 2);
    all.extend(session.processes_of(DEMO));
    signal(session.main_pid(), Signal::KILL);
    let gone = eventually(Duration::from_secs(10), || {
        all.iter().all(|pid| !is_alive(*pid))
    });
    assert!(gone, "{all:?}\n{}", session.log());
    Client::shipped().assert_echo("demo");
    assert_eq!(session.processes_of(DEMO).len(), 1);
}

fn a_crash_leaves_nothing(session: &Session) {
    let setup = Setup::new(
        session,
        &daemonising("demo", "exec \"$HOME/.local/bin/mcpmux\" demo-server"),
    );
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    let all = await_processes(session, DEMO, 2);
    let main = session.property(DEMO, "MainPID").parse().unwrap();
    signal(main, Signal::KILL);
    let gone = eventually(Duration::from_secs(10), || {
        all.iter().all(|pid| !is_alive(*pid))
    });
    assert!(gone, "{all:?}\n{}", session.log());
    // By itself, after a pause.
    session.await_property(DEMO, "MainPID", |pid| pid != "0" && pid != main.to_string());
    Client::shipped().assert_echo("demo");
    let told = || {
        !session
            .journal(&["--grep=signal: 9", "MCPMUX_BACKEND=demo"])
            .is_empty()
    };
    assert!(
        eventually(Duration::from_secs(5), told),
        "{}",
        session.log()
    );
}

fn a_restart_starts_each_once(session: &Session) {
    let setup = Setup::new(
        session,
        &demo("demo", "echo $$ >> \"$HOME/scratch/starts\";"),
    );
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    let starts = || {
        fs::read_to_string(setup.path("scratch/starts"))
            .unwrap()
            .lines()
            .count()
    };
    let before = starts();
    session.systemctl(&["restart", "mcpmux.service"]);
    Client::shipped().assert_echo("demo");
    assert_eq!(starts(), before + 1, "{}", session.log());
    assert_eq!(units(session), [DEMO]);
}

fn a_reexecuted_manager(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let before = session.processes_of(DEMO);
    session.systemctl(&["daemon-reexec"]);
    session.systemctl(&["daemon-reload"]);
    Client::shipped().assert_echo("demo");
    assert_eq!(session.processes_of(DEMO), before);
    // And mcpmux still hears of what becomes of it.
    signal(before[0], Signal::KILL);
    session.await_property(DEMO, "MainPID", |pid| {
        pid != "0" && pid != before[0].to_string()
    });
    Client::shipped().assert_echo("demo");
}

fn process_group(session: &Session) {
    let confined = demo("confined", "") + "    sandbox: strict\n";
    let setup = Setup::new(session, "");
    setup.configure(&format!(
        "process: group\nbackends:\n{}{confined}",
        demo("demo", "")
    ));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let answer = Client::shipped()
        .call("confined__echo", &json!({}))
        .unwrap();
    let message = answer.message["error"]["message"].to_string();
    assert!(message.contains("sandbox"), "{message}");
    assert_eq!(units(session), [""; 0]);
    assert!(
        session.processes().len() > 1,
        "mcpmux, its guard, a backend"
    );
}

fn a_run_in_a_terminal(session: &Session) {
    let before = "grep 0:: /proc/self/cgroup > \"$HOME/scratch/cgroup\";";
    let setup = Setup::new(session, &demo("demo", before));
    setup.write("scratch/there", "");
    let where_it_ran = |document: &str| {
        setup.configure(document);
        let mcpmux = setup.path(".local/bin/mcpmux");
        let listed = session
            .command(mcpmux.to_str().unwrap())
            .arg("list")
            .output()
            .unwrap();
        assert!(
            listed.status.success(),
            "{}",
            String::from_utf8_lossy(&listed.stderr)
        );
        fs::read_to_string(setup.path("scratch/cgroup")).unwrap()
    };
    let plain = where_it_ran(&format!("backends:\n{}", demo("demo", before)));
    assert!(!plain.contains("mcpmux.slice"), "{plain}");
    let confined = demo("demo", before) + "    sandbox: basic\n";
    let unit = where_it_ran(&format!("backends:\n{confined}"));
    assert!(unit.contains("mcpmux.slice/mcpmux-"), "{unit}");
    assert_no_units(session);
}

fn judged_by_systemd_analyze(session: &Session) {
    let strict = demo("strict", "") + "    sandbox: strict\n";
    let setup = Setup::new(session, &(demo("demo", "") + &strict));
    setup.listen();
    Client::shipped().assert_echo("demo");
    Client::shipped().assert_echo("strict");
    let score = |unit: &str| {
        let output = session
            .command("systemd-analyze")
            .args(["--user", "--no-pager", "security", unit])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, score) = text.rsplit_once(".service: ").expect("a verdict");
        println!("{unit}: {}", score.trim());
        score.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(score(DEMO) < 8.0);
    assert!(score("mcpmux-backend-strict.service") < 4.0);
}
