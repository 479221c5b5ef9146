//! The stream that answers a call: cut, and taken up again by a GET.

use std::fmt::Write as _;

use super::{DONE, code};
use crate::support::{
    Client, Connection, Era, Mux, Peer, Reply, Setup, Step, at, eventually, legacy, member,
    progress, result, text,
};

const STREAM_FIRST: &str = "text/event-stream, application/json";

/// A tool that reports progress three times, each behind a gate, and answers.
fn house() -> (Peer, Mux) {
    let steps = ["one", "two", "three"].map(|n| {
        let say = progress(&format!(r#""progress":1,"message":"{n}""#));
        [say, Step::Await(n.to_owned())]
    });
    let steps: Vec<Step> = steps.into_iter().flatten().chain([result(DONE)]).collect();
    let peer = Peer::new(legacy(&["t", "slow"]).tool("slow", steps));
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    (peer, mux)
}

/// Posts this message of a client that wants a stream.
#[track_caller]
fn post(mux: &Mux, client: &Client, accept: &str, message: &str) -> Reply {
    let method = text(&at(message, &["method"]));
    let name = at(message, &["params"]);
    let name = member(&name, "name").map(|name| text(&name));
    let mut headers = client.headers(Some(&method), name.as_deref());
    headers.retain(|(name, _)| *name != "Accept");
    headers.push(("Accept", accept.to_owned()));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut connection = Connection::open(mux.address());
    connection
        .request("POST", "/mcp", &headers, message)
        .expect("mcpmux reads the request");
    connection.reply()
}

#[track_caller]
fn start(mux: &Mux, client: &Client) -> Reply {
    let message = client.spell("7", "tools/call", Some("\"p\""), r#""name":"b__slow""#);
    let reply = post(mux, client, STREAM_FIRST, &message);
    assert!(reply.streams());
    reply
}

/// The status of a GET for what follows this event, and the code of its error.
fn refused(mux: &Mux, client: &Client, last_id: &str) -> (u16, Option<i64>) {
    let mut headers = client.headers(None, None);
    headers.push(("Last-Event-ID", last_id.to_owned()));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut connection = Connection::open(mux.address());
    connection
        .request("GET", "/mcp", &headers, "")
        .expect("mcpmux reads the request");
    let reply = connection.reply();
    let status = reply.status;
    let code = (status != 200).then(|| code(&reply.text())).flatten();
    (status, code)
}

fn resume(client: &Client, last_id: &str) -> Reply {
    client.stream(&[("Last-Event-ID", last_id)])
}

/// What a message of the tool above is about.
#[track_caller]
fn about(message: &str) -> String {
    if member(message, "result").is_some() {
        assert_eq!(at(message, &["id"]), "7");
        return "done".to_owned();
    }
    assert_eq!(at(message, &["params", "progressToken"]), "\"p\"");
    text(&at(message, &["params", "message"]))
}

/// All that is left of a stream.
#[track_caller]
fn rest(mut stream: Reply) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(message) = stream.event() {
        all.push(about(&message));
    }
    all
}

const ALL: [&str; 4] = ["one", "two", "three", "done"];

#[test]
fn a_call_that_is_cut_anywhere_loses_and_repeats_nothing() {
    for cut in 0..ALL.len() {
        let (peer, mux) = house();
        let client = Client::legacy(&mux);
        let mut stream = start(&mux, &client);
        // With the first message there is the id to begin with at the latest.
        assert_eq!(stream.event().as_deref().map(about).as_deref(), Some("one"));
        for n in &ALL[..cut] {
            peer.open(n);
            if *n != "three" {
                stream.event().expect("what follows");
            }
        }
        let last = stream.last_id().expect("events have ids").to_owned();
        drop(stream);
        let had = (cut + 1).min(3);
        for n in &ALL[..3] {
            peer.open(n);
        }
        assert_eq!(rest(resume(&client, &last)), ALL[had..], "cut {cut}");
        // Its end is kept for a while, also for who was not heard of again.
        assert_eq!(rest(resume(&client, &last)), ALL[had..]);
        assert_eq!(peer.messages("tools/call").len(), 1);
        assert!(peer.messages("notifications/cancelled").is_empty());
    }
}

#[test]
fn a_stream_begins_with_an_id_to_go_on_from() {
    let (peer, mux) = house();
    let client = Client::legacy(&mux);
    for n in &ALL[..3] {
        peer.open(n);
    }
    let whole = start(&mux, &client).text();
    let mut first = whole.lines();
    let id = first.next().and_then(|line| line.strip_prefix("id: "));
    let id = id.unwrap_or_else(|| panic!("an id comes first: {whole}"));
    assert_eq!(first.next(), Some("retry: 1000"));
    assert_eq!(first.next().map(str::trim_end), Some("data:"));
    assert_eq!(rest(resume(&client, id)), ALL);
    let ids: Vec<_> = whole
        .lines()
        .filter(|line| line.starts_with("id: "))
        .collect();
    assert_eq!(ids.len(), 5, "{whole}");
    let mut unique = ids.clone();
    unique.dedup();
    assert_eq!(ids, unique);
    // Another stream has other ids.
    let other = start(&mux, &client).text();
    assert!(!ids.iter().any(|id| other.contains(*id)), "{other}");
}

#[test]
fn only_requests_of_2025_11_25_are_answered_with_ids() {
    let (peer, mux) = house();
    for n in &ALL[..3] {
        peer.open(n);
    }
    let newest = Client::legacy(&mux);
    let old = Client::new(&mux, Era::Legacy("2025-06-18"));
    let message =
        |client: &Client| client.spell("7", "tools/call", Some("\"p\""), r#""name":"b__slow""#);
    for accept in [STREAM_FIRST, "application/json, text/event-stream"] {
        let whole = post(&mux, &newest, accept, &message(&newest)).text();
        assert!(whole.starts_with("id: "), "{whole}");
        let whole = post(&mux, &old, accept, &message(&old)).text();
        assert!(
            !whole.contains("id: ") && !whole.contains("retry: "),
            "{whole}"
        );
        assert!(
            !whole.contains("data:\n") && !whole.contains("data: \n"),
            "{whole}"
        );
    }
    // It is the request that says it, not what was agreed upon.
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", STREAM_FIRST),
        ("Mcp-Session-Id", newest.session()),
        ("MCP-Protocol-Version", "2025-03-26"),
    ];
    let mut connection = Connection::open(mux.address());
    connection
        .request("POST", "/mcp", &headers, &message(&newest))
        .expect("mcpmux reads the request");
    let whole = connection.reply().text();
    assert!(!whole.contains("id: "), "{whole}");
}

#[test]
fn who_comes_back_takes_the_call_over() {
    let (peer, mux) = house();
    let client = Client::legacy(&mux);
    let mut first = start(&mux, &client);
    first.event().expect("the first message");
    let last = first.last_id().expect("events have ids").to_owned();
    let mut second = resume(&client, &last);
    assert_eq!(first.event(), None, "the first stream has ended");
    peer.open("one");
    assert_eq!(second.event().as_deref().map(about).as_deref(), Some("two"));
    let third = resume(&client, &last);
    assert_eq!(second.event(), None, "the second stream has ended");
    peer.open("two");
    peer.open("three");
    assert_eq!(rest(third), ALL[1..]);
}

#[test]
fn a_cut_call_can_be_cancelled() {
    let (peer, mux) = house();
    let client = Client::legacy(&mux);
    let mut stream = start(&mux, &client);
    stream.event().expect("the first message");
    let last = stream.last_id().expect("events have ids").to_owned();
    drop(stream);
    let stream = resume(&client, &last);
    client
        .notify(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
    peer.message("notifications/cancelled", 1);
    assert_eq!(rest(stream), [""; 0]);
}

#[test]
fn nobody_takes_up_what_is_not_there_or_of_another_session() {
    let (peer, mux) = house();
    let client = Client::legacy(&mux);
    let mut stream = start(&mux, &client);
    stream.event().expect("the first message");
    let last = stream.last_id().expect("events have ids").to_owned();
    let other = Client::legacy(&mux);
    assert_eq!(refused(&mux, &other, &last), (400, Some(-32600)));
    for unknown in ["", "other", "post9-1", "post1-99", "post1", "post1-x"] {
        assert_eq!(
            refused(&mux, &client, unknown),
            (400, Some(-32600)),
            "{unknown}"
        );
    }
    // None of them has taken the stream from its reader.
    for n in &ALL[..3] {
        peer.open(n);
    }
    assert_eq!(rest(stream), ALL[1..]);
    // A session that has ended has no streams.
    assert_eq!(refused(&mux, &client, &last).0, 200);
    client.leave();
    assert_eq!(refused(&mux, &client, &last).0, 404);
}

#[test]
fn a_stream_of_which_too_much_came_meanwhile_is_not_gone_on_with() {
    let large = "x".repeat(100 << 10);
    let mut steps = vec![progress(r#""progress":0"#), Step::Await("go".to_owned())];
    steps.extend((1..6).map(|n| progress(&format!(r#""progress":{n},"message":"{large}""#))));
    steps.push(result(DONE));
    let peer = Peer::new(legacy(&["t", "slow"]).tool("slow", steps));
    let mux = Setup::one("b", &peer).log_level("debug").serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = start(&mux, &client);
    stream.event().expect("the first message");
    let last = stream.last_id().expect("events have ids").to_owned();
    drop(stream);
    peer.open("go");
    mux.logged("called");
    eventually("the end of the call to be kept", || {
        (refused(&mux, &client, &last) == (400, Some(-32600))).then_some(())
    });
    // What is left is there for one that had more.
    let mut left = resume(&client, "post1-6");
    let mut seen = String::new();
    while let Some(event) = left.event() {
        let _ = write!(seen, "{}", event.len() / 100_000);
    }
    assert_eq!(seen, "10");
}

#[test]
fn of_streams_that_are_over_the_newest_are_kept() {
    let (_peer, mux) = house();
    let client = Client::legacy(&mux);
    let call = client.spell("7", "tools/call", None, r#""name":"b__t""#);
    for n in 1..=20 {
        let whole = post(&mux, &client, STREAM_FIRST, &call).text();
        assert!(whole.starts_with(&format!("id: post{n}-1\n")), "{whole}");
    }
    for n in 1..=20 {
        let (status, _) = refused(&mux, &client, &format!("post{n}-1"));
        assert_eq!(status, if n > 4 { 200 } else { 400 }, "{n}");
    }
    // Those of others are their own.
    let other = Client::legacy(&mux);
    _ = post(&mux, &other, STREAM_FIRST, &call).text();
    assert_eq!(rest(resume(&client, "post5-1")), ["done"]);
}

#[test]
fn the_kind_of_answer_that_is_named_first_is_given() {
    let (_peer, mux) = house();
    let clients = [
        (true, Client::legacy(&mux)),
        (true, Client::new(&mux, Era::Legacy("2025-03-26"))),
        (false, Client::modern(&mux)),
    ];
    for (legacy, client) in clients {
        for (accept, streams) in [
            // In the modern era one body is the rule, for who takes it.
            (STREAM_FIRST, legacy),
            ("text/event-stream;q=0.9,*/*", legacy),
            ("text/event-stream", true),
            ("application/json, text/event-stream", false),
            ("application/json", false),
            ("*/*", false),
        ] {
            for (method, members) in [("tools/call", r#""name":"b__t""#), ("tools/list", "")] {
                let mut reply = post(
                    &mux,
                    &client,
                    accept,
                    &client.spell("1", method, None, members),
                );
                assert_eq!((reply.status, reply.streams()), (200, streams), "{accept}");
                let answer = if streams {
                    reply.event().expect("the response")
                } else {
                    reply.text()
                };
                assert_eq!(at(&answer, &["id"]), "1");
            }
        }
    }
    // The status of an answer is not given away for a stream.
    let modern = Client::modern(&mux);
    let reply = post(
        &mux,
        &modern,
        "text/event-stream",
        &modern.spell("1", "no/such", None, ""),
    );
    assert_eq!((reply.status, reply.streams()), (404, false));
}
