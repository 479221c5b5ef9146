//! Restarts that clients with a session do not notice, wherever it was kept.

use std::{
    collections::HashMap,
    env, fs,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    Test,
    installation::Setup,
    legacy::{Legacy, notes},
    session::{Session, eventually},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_session_goes_on_over_a_restart_with_its_subscriptions_and_its_stream",
        a_restart,
    ),
    ("a_session_goes_on_after_a_kill", a_kill),
    (
        "a_session_goes_on_over_a_restart_without_the_fd_store",
        a_restart_without_the_fd_store,
    ),
    (
        "a_session_goes_on_after_a_kill_without_the_fd_store",
        a_kill_without_the_fd_store,
    ),
    (
        "a_session_goes_on_by_the_fd_store_alone",
        by_the_fd_store_alone,
    ),
    (
        "a_session_that_can_be_kept_nowhere_is_not_found_after_a_restart",
        without_a_place,
    ),
    ("a_session_goes_on_after_a_stop", a_stop),
    ("a_full_disk_is_told_and_stops_nothing", a_full_disk),
    (
        "twenty_restarts_under_load_lose_and_repeat_nothing",
        twenty_restarts,
    ),
];

const NO_STORE: &str = "[Service]\nFileDescriptorStoreMax=0\n";

fn kill(session: &Session) {
    let before = session.main_pid();
    session.systemctl(&[
        "kill",
        "--signal=KILL",
        "--kill-whom=main",
        "mcpmux.service",
    ]);
    session.await_property("mcpmux.service", "MainPID", |pid| {
        pid != "0" && pid != before.to_string()
    });
}

/// Two clients with sessions, one with a stream and a subscription, before and
/// after `gap`.
fn goes_on(session: &Session, setup: &Setup<'_>, gap: impl FnOnce()) {
    let (client, other) = (Legacy::begin(), Legacy::begin());
    client.assert_known();
    let mut stream = client.stream();
    client.subscribe();
    // What is kept is gathered first; there is no event for that.
    thread::sleep(Duration::from_millis(600));
    let subscribed = || {
        let notes = setup.noted("notes").into_iter();
        notes.filter(|note| note == "resources/subscribe").count()
    };
    let before = subscribed();
    gap();
    // Of what it was told before, only the end matters.
    while stream.next().is_some() {}
    other.assert_known();
    let list = client
        .request("tools/list", &serde_json::json!({}))
        .unwrap();
    assert_eq!(list.message["result"]["tools"][0]["name"], "notes__note");
    let mut stream = client.stream();
    stream.assert_updated();
    assert_eq!(subscribed(), before + 1);
    assert_ne!(Legacy::begin().session(), client.session());
    for line in session.journal(&["SYSLOG_IDENTIFIER=mcpmux"]) {
        assert!(!line.to_string().contains(client.session()), "{line}");
    }
    // No child has what systemd keeps.
    let descriptors = setup.noted("descriptors");
    assert!(
        !descriptors.iter().any(|target| target.contains("memfd")),
        "{descriptors:?}"
    );
}

fn a_restart(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    setup.listen();
    for _ in 0..2 {
        goes_on(session, &setup, || {
            session.systemctl(&["restart", "mcpmux.service"]);
        });
    }
    // What went before is not heaped up.
    let stored = session.property("mcpmux.service", "NFileDescriptorStore");
    assert_eq!(stored, "1");
}

fn a_kill(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    setup.listen();
    goes_on(session, &setup, || kill(session));
}

fn a_restart_without_the_fd_store(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    setup.drop_in("mcpmux.service", "store", NO_STORE);
    setup.listen();
    goes_on(session, &setup, || {
        session.systemctl(&["restart", "mcpmux.service"]);
    });
}

fn a_kill_without_the_fd_store(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    setup.drop_in("mcpmux.service", "store", NO_STORE);
    setup.listen();
    goes_on(session, &setup, || kill(session));
    let stored = session.property("mcpmux.service", "NFileDescriptorStore");
    assert_eq!(stored, "0");
}

/// The folder goes with the service.
fn without_runtime_directory(setup: &Setup<'_>) {
    let socket = "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n";
    setup.drop_in("mcpmux.socket", "tcp", socket);
    let service = "[Service]\nRuntimeDirectoryPreserve=no\n";
    setup.drop_in("mcpmux.service", "runtime", service);
}

fn by_the_fd_store_alone(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    without_runtime_directory(&setup);
    setup.listen();
    goes_on(session, &setup, || {
        session.systemctl(&["restart", "mcpmux.service"]);
    });
    goes_on(session, &setup, || kill(session));
}

fn without_a_place(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    without_runtime_directory(&setup);
    setup.drop_in("mcpmux.service", "store", NO_STORE);
    setup.listen();
    let client = Legacy::begin();
    client.assert_known();
    session.systemctl(&["restart", "mcpmux.service"]);
    assert_eq!(client.note("again").unwrap().status, 404);
}

fn a_stop(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    setup.listen();
    goes_on(session, &setup, || {
        session.systemctl(&["stop", "mcpmux.service"]);
    });
}

fn a_full_disk(session: &Session) {
    let setup = Setup::new(session, &notes()).with_notes();
    let folder = session.runtime.join("mcpmux");
    let _ = fs::create_dir(&folder);
    let owner = format!("mode=0700,uid={},gid={},size=16k", session.uid, session.gid);
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &owner, "tmpfs"])
        .arg(&folder)
        .status();
    assert!(mounted.unwrap().success());
    fs::write(folder.join("large"), vec![0; 12 << 10]).unwrap();
    fs::write(folder.join("rest"), vec![0; 64 << 10]).unwrap_err();
    setup.listen();
    goes_on(session, &setup, || {
        session.systemctl(&["restart", "mcpmux.service"]);
    });
    let lines = session.journal(&["SYSLOG_IDENTIFIER=mcpmux", "--grep=cannot be kept"]);
    assert!(!lines.is_empty());
    drop(setup);
    let gone = eventually(Duration::from_secs(10), || {
        let done = Command::new("umount").arg(&folder).output();
        done.unwrap().status.success()
    });
    assert!(gone);
}

/// How many, of which `MCPMUX_RESTARTS` and the like may say more.
fn count(variable: &str, usual: usize) -> usize {
    let given = env::var(variable).ok();
    given.map_or(usual, |given| given.parse().unwrap())
}

fn twenty_restarts(session: &Session) {
    let restarts = count("MCPMUX_RESTARTS", 20);
    let clients = count("MCPMUX_RESTART_CLIENTS", 8);
    let setup = Setup::new(session, &notes()).with_notes();
    setup.listen();
    let clients: Vec<_> = (0..clients).map(|_| Legacy::begin()).collect();
    clients[0].assert_known();
    let over = AtomicBool::new(false);
    let bad = Mutex::new(Vec::new());
    let answered = Mutex::new(HashMap::new());
    thread::scope(|scope| {
        for (n, client) in clients.iter().enumerate() {
            let (over, bad, answered) = (&over, &bad, &answered);
            scope.spawn(move || {
                for call in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let text = format!("{n}-{call}");
                    match client.note(&text) {
                        Ok(answer) if answer.status == 200 => {
                            let said = &answer.message["result"]["content"][0]["text"];
                            let result = said.as_str() == Some(text.as_str());
                            if !result && answer.message["error"]["code"].is_null() {
                                bad.lock().unwrap().push(format!("{text}: {answer:?}"));
                            }
                            answered.lock().unwrap().insert(text, result);
                        }
                        other => bad.lock().unwrap().push(format!("{text}: {other:?}")),
                    }
                }
            });
        }
        for _ in 0..restarts {
            let before = answered.lock().unwrap().len();
            session.systemctl(&["restart", "mcpmux.service"]);
            let on = eventually(Duration::from_secs(30), || {
                answered.lock().unwrap().len() >= before + 20
            });
            if !on {
                bad.lock().unwrap().push("it does not go on".to_owned());
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let bad = bad.into_inner().unwrap();
    assert!(bad.is_empty(), "{bad:#?}\n{}", session.log());
    let mut executed: HashMap<String, usize> = HashMap::new();
    for note in setup.noted("notes") {
        *executed.entry(note).or_default() += 1;
    }
    let answered = answered.into_inner().unwrap();
    let results = answered.values().filter(|result| **result).count();
    println!(
        "{restarts} restarts, {} clients, {} calls, {results} with a result",
        clients.len(),
        answered.len()
    );
    for (text, result) in answered {
        let times = executed.get(&text).copied().unwrap_or_default();
        assert!(times <= 1, "{text} was executed {times} times");
        assert!(!result || times == 1, "{text} was answered, not executed");
    }
}
