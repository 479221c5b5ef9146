//! What `mcpmux reload`, SIGHUP and the log say.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::Desk;
use crate::support::{Client, Peer, Setup, eventually, legacy};

#[test]
fn a_configuration_with_errors_changes_nothing_and_tells_all_of_them() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let setup = Setup::one("a", &peer);
    let good = setup.yaml();
    let mux = desk.serve(setup);
    let client = Client::modern(&mux);
    client.await_names(&["a__t"]);
    mux.rewrite("backends:\n  - { name: b, transport: carrier_pigeon }\nlisten: { adress: x }\n");
    let output = desk.run(&[]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("mcpmux.yaml:2:") && said.contains("carrier_pigeon"),
        "{said}"
    );
    assert!(said.contains("did you mean \"address\"?"), "{said}");
    assert!(
        said.contains("nothing was changed") && output.stdout.is_empty(),
        "{said}"
    );
    let output = desk.run(&["--json"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["problems"].as_array().map(Vec::len), Some(2), "{said}");
    mux.logged("the configuration has errors, the one before stays in effect");
    assert!(mux.log().contains("carrier_pigeon"));
    assert_eq!(client.names(), ["a__t"]);
    assert!(client.call("a__t", None).result().contains("done"));
    // A file that is gone is an error as any other.
    std::fs::remove_file(mux.config()).unwrap();
    let output = desk.run(&[]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    mux.rewrite(&good);
    let output = desk.run(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["replaced"], json!([]));
    assert_eq!(peer.starts(), 1);
}

#[test]
fn what_needs_a_restart_is_named_until_it_was_restarted() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let mux = desk.serve(Setup::one("a", &peer));
    Client::wait_for(&mux, "a__t");
    let setup = Setup::one("a", &peer)
        .listen("path: /other")
        .top("token_store: { kind: memory }");
    for _ in 0..2 {
        assert_eq!(
            desk.reload(&mux, &setup),
            "no backend has changed\n\
             needs a restart (systemctl --user restart mcpmux): listen.path, token_store.kind\n"
        );
    }
    mux.logged("takes effect with the next start of mcpmux only: listen.path, token_store.kind");
    // Where it was it is still.
    assert_eq!(Client::modern(&mux).names(), ["a__t"]);
    let said = desk.reload(&mux, &Setup::one("a", &peer));
    assert_eq!(said, "no backend has changed\n");
}

#[test]
fn a_hangup_reloads_and_does_not_end_it() {
    let desk = Desk::new();
    let (a, b) = (Peer::new(legacy(&["t"])), Peer::new(legacy(&["t"])));
    let mux = desk.serve(Setup::one("a", &a));
    let client = Client::modern(&mux);
    client.await_names(&["a__t"]);
    mux.rewrite(&Setup::one("a", &a).backend("b", &b, "").yaml());
    mux.signal(Signal::HUP);
    client.await_names(&["a__t", "b__t"]);
    mux.logged("the configuration was read again: added b");
    assert_eq!(a.starts(), 1);
}

#[test]
fn a_hangup_is_heard_while_serving_on_stdin() {
    let a = Peer::new(legacy(&["t"]));
    let b = Peer::new(legacy(&["t"]));
    let mux = Setup::one("a", &a).start(&["--stdio"]);
    let (_stdin, _stdout) = mux.pipes();
    eventually("a start", || (a.starts() == 1).then_some(()));
    mux.rewrite(&Setup::one("a", &a).backend("b", &b, "").yaml());
    mux.signal(Signal::HUP);
    eventually("a start", || (b.starts() == 1).then_some(()));
    assert!(!mux.log().contains("listen.transport"), "{}", mux.log());
    mux.stop();
}

#[test]
fn without_a_mcpmux_there_is_nothing_to_reload() {
    let output = Desk::new().run(&[]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}
