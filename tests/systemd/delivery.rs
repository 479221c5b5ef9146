//! Calls while the service is restarted, killed, or told to try again.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::{Session, eventually, is_alive},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_restart_under_load_loses_no_call",
        a_restart_under_load_loses_no_call,
    ),
    (
        "a_call_in_flight_outlives_a_restart",
        a_call_in_flight_outlives_a_restart,
    ),
    (
        "sigusr1_retries_unavailable_backends_at_once",
        sigusr1_retries_unavailable_backends,
    ),
];

const CLIENTS: usize = 8;
const RESTARTS: usize = 20;

fn a_restart_under_load_loses_no_call(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    let client = Client::shipped();
    client.assert_echo("demo");

    let over = AtomicBool::new(false);
    let answered: usize = thread::scope(|scope| {
        let load = || {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                let text = format!("call {answered}");
                match client.echo("demo", &text) {
                    Ok(echoed) => assert_eq!(echoed, text),
                    Err(error) => return Err(format!("after {answered} calls: {error}")),
                }
                answered += 1;
            }
            Ok(answered)
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        let end = End(&over);
        for _ in 0..RESTARTS {
            let before = session.main_pid();
            session.systemctl(&["restart", "mcpmux.service"]);
            assert!(!is_alive(before));
            // Some calls between two restarts, also on a slow machine.
            client.assert_echo("demo");
        }
        drop(end);
        clients
            .into_iter()
            .map(|client| {
                client
                    .join()
                    .unwrap()
                    .unwrap_or_else(|lost| panic!("{lost}\n{}", session.log()))
            })
            .sum()
    });
    println!("{answered} calls answered over {RESTARTS} restarts");
    assert!(
        answered > CLIENTS * RESTARTS,
        "hardly a load: {answered} calls"
    );
}

/// Ends the load, also when the test fails: its threads are waited for.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn a_call_in_flight_outlives_a_restart(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    let client = Client::shipped();
    client.assert_echo("demo");
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            client
                .call("demo__slow", &json!({ "seconds": 3, "steps": 1 }))
                .unwrap()
        });
        // Nobody outside sees when the call is in flight; half of its time is enough.
        thread::sleep(Duration::from_millis(1500));
        session.systemctl(&["restart", "mcpmux.service"]);
        let answer = slow.join().unwrap();
        assert_eq!(
            answer.message["result"]["content"][0]["text"], "Waited 3 s in 1 steps.",
            "{answer:?}"
        );
    });
    client.assert_echo("demo");
}

fn sigusr1_retries_unavailable_backends(session: &Session) {
    // Fails until its file is there; then an attempt succeeds.
    let script = "echo x >> \"$HOME/scratch/attempts\"; test -e \"$HOME/scratch/up\" || exit 1; \
                  exec \"$HOME/.local/bin/mcpmux\" demo-server";
    let setup = Setup::new(session, &shell("late", script));
    setup.write("scratch/attempts", "");
    let attempts = || {
        std::fs::read_to_string(setup.path("scratch/attempts"))
            .unwrap()
            .lines()
            .count()
    };
    session.systemctl(&["start", "mcpmux.service"]);

    // The pause doubles with each attempt: after some, the next is far away.
    assert!(
        eventually(Duration::from_secs(60), || attempts() >= 5),
        "{} attempts",
        attempts()
    );
    setup.write("scratch/up", "");
    // A call alone does not bring it back.
    assert!(Client::shipped().echo("late", "hello").is_err());
    session.systemctl(&[
        "kill",
        "--signal=USR1",
        "--kill-whom=main",
        "mcpmux.service",
    ]);
    let up = eventually(Duration::from_secs(2), || {
        Client::shipped().echo("late", "hello").is_ok()
    });
    assert!(up, "{}", session.log());
}
