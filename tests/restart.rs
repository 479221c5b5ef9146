//! What outlives a restart where no systemd is: sessions of legacy clients in
//! the runtime directory, lists and eras of backends in the state directory.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

#[path = "support/mod.rs"]
mod support;

use std::{
    fs,
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, chown},
    },
    path::PathBuf,
};

use support::{
    Client, Connection, Era, Mux, Peer, Reply, Script, Setup, Step, at, eventually, legacy, modern,
    refusing, result, text,
};

const X: &str = "file:///x";

/// What stays while mcpmux comes and goes: its address and its directories.
struct Place {
    _port: OwnedFd,
    address: SocketAddr,
    kept: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (port, address) = refusing();
        Self {
            _port: port,
            address,
            kept: tempfile::tempdir().expect("a directory can be made"),
        }
    }

    #[track_caller]
    fn serve(&self, setup: Setup) -> Mux {
        let at = |name: &str| self.kept.path().join(name).display().to_string();
        setup
            .address(&self.address.to_string())
            .env("XDG_RUNTIME_DIR", &at("run"))
            .env("XDG_STATE_HOME", &at("state"))
            .serve()
    }

    /// The one file in a directory.
    fn file(&self, directory: &str) -> Option<PathBuf> {
        let entries = fs::read_dir(self.kept.path().join(directory)).ok()?;
        let mut files = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file() && path.extension().is_none());
        let first = files.next();
        assert_eq!(files.next(), None, "one file");
        first
    }

    /// Waits until the file in a directory holds `text`.
    #[track_caller]
    fn holds(&self, directory: &str, text: &str) -> PathBuf {
        eventually(&format!("{text} in {directory}"), || {
            let path = self.file(directory)?;
            fs::read_to_string(&path)
                .ok()?
                .contains(text)
                .then_some(path)
        })
    }
}

const RUN: &str = "run/mcpmux";
const INVENTORIES: &str = "state/mcpmux/inventories";

/// A server with a tool and a resource that can be subscribed to.
fn server() -> Script {
    legacy(&["t"])
        .on(
            "initialize",
            [result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"peer","version":"1"}}"#,
            )],
        )
        .list("resources", &format!(r#"{{"uri":"{X}","name":"x"}}"#))
        .list("resourceTemplates", "")
        .on("logging/setLevel", [result("{}")])
        .on("resources/subscribe", [result("{}")])
        .on("resources/unsubscribe", [result("{}")])
}

fn updated() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{X}"}}}}"#
    )
}

fn subscribe(client: &Client) {
    let answer = client.request("resources/subscribe", &format!(r#""uri":"{X}""#));
    assert_eq!(answer.result(), "{}");
}

/// The method of the next event.
#[track_caller]
fn told(stream: &mut Reply) -> String {
    let event = stream.event().expect("an event");
    text(&at(&event, &["method"]))
}

/// The status of a list request with this session.
fn status(place: &Place, session: &str) -> u16 {
    let mut connection = Connection::open(place.address);
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", session),
    ];
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    connection
        .request("POST", "/mcp", &headers, list)
        .expect("mcpmux reads the request");
    connection.reply().status
}

#[test]
fn a_session_goes_on_after_a_stop_with_its_subscriptions_and_its_stream() {
    let peer = Peer::new(server());
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    subscribe(&client);
    client
        .request("logging/setLevel", r#""level":"error""#)
        .result();
    let mut stream = client.listen();
    peer.emit(&updated());
    assert_eq!(told(&mut stream), "notifications/resources/updated");
    let last = stream.last_id().expect("an id").to_owned();
    mux.stop();
    assert_eq!(stream.event(), None, "the stream ends");
    let before = mux.keep_log();
    drop(mux);

    let mux = place.serve(Setup::one("b", &peer));
    assert_eq!(client.names(), ["b__t"]);
    client.call("b__t", None).result();
    // What changed meanwhile was not said, so it may have.
    let mut stream = client.stream(&[("Last-Event-ID", &last)]);
    peer.message("resources/subscribe", 2);
    assert_eq!(told(&mut stream), "notifications/resources/updated");
    let again = stream.last_id().expect("an id").to_owned();
    assert_ne!(again, last);
    peer.emit(&updated());
    assert_eq!(told(&mut stream), "notifications/resources/updated");
    // An id of the run before leads to all of this one.
    let mut stream = client.stream(&[("Last-Event-ID", &last)]);
    assert_eq!(told(&mut stream), "notifications/resources/updated");
    assert_eq!(stream.last_id(), Some(again.as_str()));
    client.leave();
    assert_eq!(status(&place, client.session()), 404);
    let mut log = before();
    log += &mux.log();
    assert!(!log.contains(client.session()), "it lets in who knows it");
    drop(mux);
}

#[test]
fn a_session_goes_on_after_a_kill_once_it_was_kept() {
    let peer = Peer::new(server());
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    let gone = Client::legacy(&mux);
    subscribe(&client);
    place.holds(RUN, X);
    place.holds(RUN, gone.session());
    gone.leave();
    let kept = eventually("the end of a session to be kept", || {
        let path = place.file(RUN)?;
        let text = fs::read_to_string(&path).ok()?;
        (!text.contains(gone.session())).then_some(path)
    });
    let mode = fs::metadata(kept).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    mux.kill();
    drop(mux);

    let mux = place.serve(Setup::one("b", &peer));
    assert_eq!(status(&place, client.session()), 200);
    assert_eq!(status(&place, gone.session()), 404);
    peer.message("resources/subscribe", 2);
    drop(mux);
}

#[test]
fn a_lazy_backend_is_started_for_who_is_subscribed_to_it_and_no_other_is() {
    let (watched, other) = (Peer::new(server()), Peer::new(server()));
    let place = Place::new();
    let setup = || {
        Setup::default()
            .backend("b", &watched, "start: lazy")
            .backend("other", &other, "start: lazy")
    };
    let mux = place.serve(setup());
    let client = Client::legacy(&mux);
    client.tool("b__t");
    client.tool("other__t");
    subscribe(&client);
    eventually("the lists of both to be kept", || {
        let files = fs::read_dir(place.kept.path().join(INVENTORIES)).ok()?;
        (files.count() == 2).then_some(())
    });
    mux.stop();
    drop(mux);
    let mux = place.serve(setup());
    watched.message("resources/subscribe", 2);
    assert_eq!(client.names(), ["b__t", "other__t"]);
    assert_eq!(other.starts(), 1);
    drop(mux);
}

#[test]
fn a_backend_of_the_clients_own_is_started_again_in_its_name() {
    let peer = Peer::new(legacy(&["t"]));
    let place = Place::new();
    let setup = || Setup::default().backend("b", &peer, "session: client");
    let mux = place.serve(setup());
    Client::wait_for(&mux, "b__t");
    let client = Client::able(&mux, Era::Legacy("2025-06-18"), r#"{"sampling":{"x":1.0}}"#);
    client.call("b__t", None).result();
    mux.stop();
    drop(mux);

    let mux = place.serve(setup());
    let before = peer.messages("initialize").len();
    client.call("b__t", None).result();
    let own = eventually("an initialize in the client's name", || {
        let all = peer.messages("initialize");
        let own = all[before.saturating_sub(1)..]
            .iter()
            .find(|message| message.contains(r#""name":"test""#));
        own.cloned()
    });
    assert_eq!(
        at(&own, &["params", "capabilities"]),
        r#"{"sampling":{"x":1.0}}"#
    );
    drop(mux);
}

#[test]
fn lists_are_there_before_the_backend_is_and_its_era_is_not_asked_again() {
    let peer = Peer::new(server());
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    place.holds(INVENTORIES, r#""name":"t""#);
    mux.stop();
    drop(mux);
    assert_eq!(peer.messages("server/discover").len(), 1);

    peer.rewrite(server().start([Step::Await("go".to_owned())]));
    let mux = place.serve(Setup::one("b", &peer));
    let mut stream = client.listen();
    assert_eq!(client.names(), ["b__t"]);
    assert_eq!(peer.messages("initialize").len(), 1, "it has not begun");
    eventually("its second process", || (peer.starts() == 2).then_some(()));
    peer.open("go");
    // A call waits for it.
    client.call("b__t", None).result();
    assert_eq!(peer.messages("server/discover").len(), 1);
    // The same lists are no news; others are.
    peer.set(server().on(
        "tools/list",
        [result(
            r#"{"tools":[{"name":"u","inputSchema":{"type":"object"}}]}"#,
        )],
    ));
    peer.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    assert_eq!(told(&mut stream), "notifications/tools/list_changed");
    client.await_names(&["b__u"]);
    drop(mux);
}

#[test]
fn lists_that_changed_meanwhile_are_told_to_who_goes_on() {
    let peer = Peer::new(legacy(&["t"]));
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    client.tool("b__t");
    place.holds(INVENTORIES, r#""name":"t""#);
    mux.stop();
    drop(mux);
    // Another server, of the other era.
    peer.rewrite(modern(&["v"]));
    let mux = place.serve(Setup::one("b", &peer));
    client.await_names(&["b__v"]);
    let mut stream = client.listen();
    assert_eq!(told(&mut stream), "notifications/tools/list_changed");
    client.call("b__v", None).result();
    assert!(!mux.log().contains("tried again in"), "{}", mux.log());
    drop(mux);
}

#[test]
fn a_backend_that_is_reached_otherwise_is_another_one() {
    let (one, two) = (Peer::new(legacy(&["t"])), Peer::new(legacy(&["u"])));
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &one));
    Client::wait_for(&mux, "b__t");
    place.holds(INVENTORIES, r#""name":"t""#);
    mux.stop();
    drop(mux);
    let mux = place.serve(Setup::one("b", &two));
    let client = Client::modern(&mux);
    assert_eq!(client.names(), ["b__u"]);
    drop(mux);
}

#[test]
fn what_is_damaged_foreign_or_of_another_version_stops_no_start() {
    type Harm = (&'static str, fn(&PathBuf));
    let mut harms: Vec<Harm> = vec![
        ("damaged", |path| {
            let mut content = fs::read(path).expect("a file");
            let last = content.len() - 3;
            content[last] ^= 1;
            fs::write(path, content).expect("a file");
        }),
        ("damaged", |path| fs::write(path, "").expect("a file")),
        ("another version", |path| {
            let content = fs::read_to_string(path).expect("a file");
            let content = content.replacen("sessions 1 ", "sessions 2 ", 1).replacen(
                "inventory 1 ",
                "inventory 2 ",
                1,
            );
            fs::write(path, content).expect("a file");
        }),
        ("open to others", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("a file");
        }),
        ("no plain file", |path| {
            fs::remove_file(path).expect("a file");
            fs::create_dir(path).expect("a directory");
        }),
    ];
    if rustix::process::geteuid().is_root() {
        harms.push(("belongs to user", |path| {
            chown(path, Some(4711), None).expect("a file");
        }));
    }
    let peer = Peer::new(legacy(&["t"]));
    for (said, harm) in harms {
        let place = Place::new();
        let mux = place.serve(Setup::one("b", &peer));
        let client = Client::legacy(&mux);
        client.tool("b__t");
        let lists = place.holds(INVENTORIES, r#""name":"t""#);
        mux.stop();
        drop(mux);
        let sessions = place.holds(RUN, client.session());
        harm(&lists);
        harm(&sessions);

        let mux = place.serve(Setup::one("b", &peer));
        for what in ["sessions", "inventory"] {
            let line = mux.logged(&format!("the {what} kept by"));
            assert!(line.contains(said) && line.contains("WARN"), "{line}");
            assert!(!line.contains(client.session()), "{line}");
        }
        assert_eq!(status(&place, client.session()), 404, "{said}");
        Client::wait_for(&mux, "b__t");
        let anew = Client::legacy(&mux);
        mux.stop();
        drop(mux);
        if said == "no plain file" {
            continue;
        }
        // And it is put right.
        let mux = place.serve(Setup::one("b", &peer));
        assert_eq!(status(&place, anew.session()), 200, "{said}");
        drop(mux);
    }
}

#[test]
fn a_session_is_known_where_it_was_begun_only() {
    let peer = Peer::new(legacy(&["t"]));
    let place = Place::new();
    let mux = place.serve(Setup::one("b", &peer));
    let client = Client::legacy(&mux);
    mux.stop();
    drop(mux);
    let (port, other) = refusing();
    let elsewhere = Place {
        address: other,
        _port: port,
        ..place
    };
    let mux = elsewhere.serve(Setup::one("b", &peer));
    assert_eq!(status(&elsewhere, client.session()), 404);
    drop(mux);
}

#[test]
fn idle_exit_without_a_socket_of_systemds_is_said_to_have_no_effect() {
    let mux = Setup::default().listen("idle_exit: 1s").serve();
    let line = mux.logged("idle_exit has no effect");
    assert!(line.contains("WARN"), "{line}");
    Client::legacy(&mux);
    mux.stop();
}
