//! `mcpmux auth`, as a person and as a script meet it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    process::{Child, Output},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake::{Asker, Fake, backend, hello};

const PAGE: &str = "https://as.example/authorize?client_id=c&state=s";

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{}\nstderr:\n{}",
        out(output),
        err(output)
    );
}

fn in_ten_minutes() -> Value {
    let time = (SystemTime::now() + Duration::from_secs(600)).duration_since(UNIX_EPOCH);
    json!({ "secs_since_epoch": time.unwrap().as_secs(), "nanos_since_epoch": 0 })
}

fn begun(backend: &Value, page: &Value) -> Value {
    json!({ "answer": "begun", "backend": backend, "page": page, "expires": in_ten_minutes() })
}

fn redirect() -> Value {
    json!({ "redirect": { "url": PAGE, "opened": false } })
}

fn ended(error: Option<&str>) -> Value {
    json!({ "answer": "ended", "error": error })
}

/// Begins a login and ends it so.
fn login(error: Option<&'static str>) -> impl Fn(&Value, Asker) + Send + Sync {
    move |request, mut asker| {
        asker.tell(&begun(&request["backend"], &redirect()));
        asker.tell(&ended(error));
    }
}

fn linear() -> [Value; 1] {
    [backend("linear", "oauth", "needs_login")]
}

#[test]
fn the_page_stands_alone_on_stdout_and_the_end_is_said() {
    let fake = Fake::new(&linear(), login(None));
    let output = fake.run(&["auth", "login", "linear"]);
    exits(&output, 0);
    assert_eq!(out(&output), format!("{PAGE}\nlinear: logged in\n"));
    assert!(err(&output).contains("Waiting until you have consented"));
    let asked = &fake.asked()[1];
    assert_eq!(asked["request"], "auth.login");
    assert_eq!(asked["wish"], json!({ "way": "redirect", "browser": true }));
}

#[test]
fn a_login_that_fails_says_why_and_exits_with_1() {
    let fake = Fake::new(&linear(), login(Some("consent was refused\u{1b}[2J")));
    let output = fake.run(&["auth", "login", "linear", "--no-browser"]);
    exits(&output, 1);
    assert!(err(&output).contains("mcpmux: linear: consent was refused[2J\n"));
    assert_eq!(fake.asked()[1]["wish"]["browser"], false);
}

#[test]
fn over_ssh_no_browser_is_wanted() {
    let fake = Fake::new(&linear(), login(None));
    let output = fake
        .command(&["auth", "login", "linear"])
        .env("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
        .output()
        .unwrap();
    exits(&output, 0);
    assert_eq!(fake.asked()[1]["wish"]["browser"], false);
}

#[test]
fn a_code_for_another_device_is_shown_with_its_page() {
    let fake = Fake::new(&linear(), |request, mut asker| {
        let page = json!({ "device": {
            "url": "https://as.example/device", "complete_url": null, "code": "WDJB-MJHT",
        } });
        asker.tell(&begun(&request["backend"], &page));
        asker.tell(&ended(None));
    });
    let output = fake.run(&["auth", "login", "linear", "--device"]);
    exits(&output, 0);
    assert!(out(&output).starts_with("https://as.example/device\n"));
    assert!(err(&output).contains("enter the code WDJB-MJHT"));
    assert_eq!(fake.asked()[1]["wish"]["way"], "device");
}

#[test]
fn a_script_gets_events() {
    let fake = Fake::new(&linear(), login(Some("consent was refused")));
    let output = fake.run(&["auth", "login", "linear", "--json"]);
    exits(&output, 1);
    let events: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[0]["event"], "begun");
    assert_eq!(events[0]["url"], PAGE);
    assert_eq!(
        events[1],
        json!({ "event": "ended", "backend": "linear", "ok": false, "error": "consent was refused" })
    );
}

/// A login that ends when the right address is pasted.
fn by_hand() -> Fake {
    let (pasted, told) = mpsc::channel();
    let told = std::sync::Mutex::new(told);
    Fake::new(&linear(), move |request, mut asker| {
        if request["request"] == "auth.login" {
            asker.tell(&begun(&request["backend"], &redirect()));
            let _ = told.lock().unwrap().recv();
            asker.tell(&ended(None));
        } else if request["url"] == "http://127.0.0.1:1/oauth/callback?code=good" {
            asker.tell(&ended(None));
            pasted.send(()).unwrap();
        } else {
            asker.tell(&ended(Some("no login is waiting for this answer")));
        }
    })
}

#[test]
fn an_address_is_pasted_until_it_is_the_right_one() {
    let fake = by_hand();
    let mut child = fake.start(&["auth", "login", "linear", "--paste"]);
    let mut stdin = child.stdin.take().unwrap();
    // The pipe stays open, as a terminal does.
    stdin
        .write_all(
            b"\nhttp://127.0.0.1:1/oauth/callback?code=old\n\
              http://127.0.0.1:1/oauth/callback?code=good\n",
        )
        .unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    exits(&output, 0);
    assert_eq!(out(&output), format!("{PAGE}\nlinear: logged in\n"));
    assert!(err(&output).contains("no login is waiting for this answer"));
    assert_eq!(fake.asked()[1]["wish"]["browser"], false);
    // Neither is shown: it is the person's own to see, and nobody's log's.
    assert!(!err(&output).contains("code="));
}

#[test]
fn an_address_out_of_a_file_suffices() {
    let fake = by_hand();
    let mut child = fake.start(&["auth", "login", "linear", "--paste"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(b"http://127.0.0.1:1/oauth/callback?code=good")
        .unwrap();
    drop(stdin);
    exits(&child.wait_with_output().unwrap(), 0);
}

#[test]
fn who_pastes_nothing_is_told_so() {
    let fake = by_hand();
    let output = fake.run(&["auth", "login", "linear", "--paste"]);
    exits(&output, 1);
    assert!(err(&output).contains("no address was pasted"));
}

/// Begins a login that nobody ends.
fn never(request: &Value, mut asker: Asker) {
    asker.tell(&begun(&request["backend"], &redirect()));
    asker.gone();
}

#[test]
fn nobody_is_waited_for_longer_than_wished() {
    let fake = Fake::new(&linear(), never);
    let output = fake.run(&["auth", "login", "linear", "--timeout", "50ms"]);
    exits(&output, 1);
    assert!(err(&output).contains("nobody has consented within"));
}

/// Reads stdout until the page is there.
fn page_shown(child: &mut Child) {
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, format!("{PAGE}\n"));
}

#[test]
fn who_leaves_is_told_that_the_login_goes_on() {
    let fake = Fake::new(&linear(), never);
    for arguments in [
        &["auth", "login", "linear"][..],
        // Also while a thread waits for stdin.
        &["auth", "login", "linear", "--paste"],
    ] {
        let mut child = fake.start(arguments);
        let stdin = child.stdin.take();
        page_shown(&mut child);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let status = child.wait().unwrap();
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        drop(stdin);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("can still be finished"), "{said}");
    }
}

#[test]
fn a_daemon_that_goes_away_is_unavailable() {
    let fake = Fake::new(&linear(), |request, mut asker| {
        asker.tell(&begun(&request["backend"], &redirect()));
    });
    let output = fake.run(&["auth", "login", "linear"]);
    exits(&output, 69);
    assert!(err(&output).contains("does not answer"));
}

#[test]
fn a_daemon_of_another_protocol_is_named() {
    let fake = Fake::silent();
    let mut hello = hello();
    hello["protocol"] = 2.into();
    fake.serve(hello, &linear(), login(None));
    for arguments in [&["auth", "status"][..], &["auth", "login", "linear"]] {
        let output = fake.run(arguments);
        exits(&output, 69);
        assert!(err(&output).contains("version 9.9.9"), "{}", err(&output));
    }
}

#[test]
fn a_backend_without_a_login_says_what_it_has() {
    let fake = Fake::new(&[backend("github", "bearer", "")], login(None));
    for verb in ["login", "logout"] {
        let output = fake.run(&["auth", verb, "github"]);
        exits(&output, 1);
        assert!(err(&output).contains("github has no login: its token"));
        let output = fake.run(&["auth", verb, "githup"]);
        exits(&output, 1);
        assert!(err(&output).contains("did you mean github?"));
    }
}

#[test]
fn all_that_need_a_login_get_one_and_one_that_fails_does_not_stop_the_rest() {
    let backends = [
        backend("a", "oauth", "needs_login"),
        backend("b", "oauth", "logged_in"),
        backend("c", "oauth", "not_asked"),
        backend("d", "bearer", ""),
    ];
    let fake = Fake::new(&backends, |request, mut asker| {
        if request["backend"] == "a" {
            asker.tell(&ended(Some("no authorization server")));
        } else {
            asker.tell(&begun(&request["backend"], &redirect()));
            asker.tell(&ended(None));
        }
    });
    let output = fake.run(&["auth", "login", "--all"]);
    exits(&output, 1);
    assert_eq!(out(&output), format!("{PAGE}\nc: logged in\n"));
    assert!(err(&output).contains("mcpmux: a: no authorization server"));
    exits(&fake.run(&["auth", "login"]), 64);
    exits(&fake.run(&["auth", "login", "a", "--all"]), 64);
    exits(
        &fake.run(&["auth", "login", "a", "--paste", "--device"]),
        64,
    );
}

#[test]
fn a_logout_says_what_became_of_the_tokens() {
    let backends = ["a", "b", "c"].map(|name| backend(name, "oauth", "logged_in"));
    let fake = Fake::new(&backends, |request, mut asker| {
        let (was, revoked) = match request["backend"].as_str() {
            Some("a") => (true, json!(true)),
            Some("b") => (true, Value::Null),
            _ => (false, Value::Null),
        };
        asker.tell(&json!({ "answer": "logged_out", "was_logged_in": was, "revoked": revoked }));
    });
    let output = fake.run(&["auth", "logout", "--all"]);
    exits(&output, 0);
    let said = out(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "a: logged out, and its tokens are revoked");
    assert!(lines[1].starts_with("b: logged out here; "), "{said}");
    assert_eq!(lines[2], "c: was not logged in");
}

#[test]
fn a_logout_that_is_refused_exits_with_1() {
    let fake = Fake::new(&linear(), |_, mut asker| {
        asker.tell(&json!({ "answer": "refused", "reason": "the store is locked" }));
    });
    let output = fake.run(&["auth", "logout", "linear"]);
    exits(&output, 1);
    assert!(err(&output).contains("the store is locked"));
}

#[test]
fn status_is_a_table_for_people_and_a_document_for_programs() {
    let mut linear = backend("linear", "oauth", "logged_in");
    linear["account"] = "jane@example.com".into();
    let fake = Fake::new(&[linear, backend("github", "bearer", "")], login(None));
    let output = fake.run(&["auth", "status"]);
    exits(&output, 0);
    assert_eq!(
        out(&output),
        "BACKEND  KIND    LOGIN      ACCOUNT\n\
         linear   oauth   logged in  jane@example.com\n\
         github   bearer\n"
    );
    let output = fake.run(&["auth", "status", "--json", "linear"]);
    exits(&output, 0);
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(document["source"], "running");
    assert_eq!(document["version"], "9.9.9");
    assert_eq!(document["backends"].as_array().unwrap().len(), 1);
    assert_eq!(document["backends"][0]["login"], "logged_in");
    let output = fake.run(&["auth", "status", "nobody"]);
    exits(&output, 1);
    assert!(err(&output).contains("no backend is called nobody"));
}

#[test]
fn without_a_daemon_the_configuration_is_asked() {
    let fake = Fake::silent();
    fs::write(
        fake.dir.path().join("mcpmux.yaml"),
        "backends:\n  - { name: github, transport: http, endpoint: 'https://h', \
         auth: { type: bearer, token: t } }\n",
    )
    .unwrap();
    let output = fake.run(&["auth", "status"]);
    exits(&output, 0);
    assert_eq!(out(&output), "BACKEND  KIND\ngithub   bearer\n");
    assert!(err(&output).contains("no mcpmux runs"));
    let output = fake.run(&["auth", "status", "--json"]);
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(document["source"], "configuration");

    fs::write(fake.dir.path().join("mcpmux.yaml"), "backend: []\n").unwrap();
    for arguments in [
        &["auth", "status"][..],
        &["auth", "login", "github"],
        &["auth", "logout", "github"],
    ] {
        exits(&fake.run(arguments), 78);
    }
}

#[test]
fn another_configuration_than_the_daemons_is_served_alone() {
    let fake = Fake::new(&linear(), login(None));
    let output = fake.run(&["auth", "status", "--config", "mcpmux.yaml"]);
    exits(&output, 0);
    assert_eq!(out(&output), "no backends\n");
    assert!(err(&output).contains("another configuration (/c.yaml)"));
}

#[test]
fn a_service_that_waits_for_its_first_client_is_started() {
    let fake = Fake::silent();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    fs::write(
        fake.dir.path().join("mcpmux.yaml"),
        format!("listen: {{ address: '{address}' }}\nbackends: []\n"),
    )
    .unwrap();
    let starting = thread::spawn(move || {
        let (mut client, _) = service.accept().unwrap();
        let mut head = [0; 1024];
        let read = client.read(&mut head).unwrap();
        assert!(head[..read].starts_with(b"GET /healthz HTTP/1.1\r\n"));
        client
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n")
            .unwrap();
    });
    let mut child = fake.start(&["auth", "login", "linear"]);
    starting.join().unwrap();
    fake.serve(hello(), &linear(), login(None));
    let status = child.wait().unwrap();
    assert!(status.success());
}

#[test]
fn a_socket_of_a_dead_daemon_is_none() {
    let fake = Fake::silent();
    drop(UnixListener::bind(fake.path()).unwrap());
    let output = fake.run(&["auth", "status"]);
    exits(&output, 0);
    assert_eq!(out(&output), "no backends\n");
}
