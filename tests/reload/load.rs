//! Many reloads while clients call.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use rustix::process::Signal;

use super::running;
use crate::support::{Client, Era, Event, Peer, Setup, eventually, legacy};

#[test]
fn twenty_reloads_under_load_lose_nothing_and_leave_nothing() {
    let (a, b) = (Peer::new(legacy(&["t"])), Peer::new(legacy(&["t"])));
    let setup = |n: usize| {
        let lines = format!("env: {{ V: \"{n}\" }}");
        Setup::one("a", &a).backend("b", &b, &lines)
    };
    let mux = setup(0).log_level("info").serve();
    Client::modern(&mux).await_names(&["a__t", "b__t"]);
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for (n, tool) in ["a__t", "b__t", "b__t", "a__t"].into_iter().enumerate() {
            let (mux, done, calls) = (&mux, &done, &calls);
            scope.spawn(move || {
                let era = if n < 2 {
                    Era::Modern
                } else {
                    Era::Legacy("2025-11-25")
                };
                let client = Client::new(mux, era);
                while !done.load(Ordering::Relaxed) {
                    let result = client.call(tool, None).result();
                    assert!(result.contains("done"), "{result}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let reloads = || {
            mux.log()
                .matches("the configuration was read again")
                .count()
        };
        for n in 1..=20 {
            let (before, called) = (reloads(), calls.load(Ordering::Relaxed));
            mux.rewrite(&setup(n).yaml());
            mux.signal(Signal::HUP);
            // Some come while one is under way.
            if n % 2 == 0 {
                eventually("a reload under load", || {
                    let more = calls.load(Ordering::Relaxed) > called + 8;
                    (reloads() > before && more).then_some(())
                });
            }
        }
        let newest = |event: &Event| matches!(event, Event::Start { env, .. } if env.get("V").is_some_and(|v| v == "20"));
        eventually("the last one", || {
            b.events().iter().any(newest).then_some(())
        });
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(a.starts(), 1);
    assert!(b.starts() > 10, "{}", b.starts());
    running(&a, 1);
    running(&b, 1);
}
