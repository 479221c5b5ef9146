//! Answers whose stream the server ends before the response, to be asked for the
//! rest.

use super::{DONE, house, respond};
use crate::support::{Client, Connection, Era, Mux, Peer, Reply, Script, Step, at, legacy};

/// What a server says before it ends its stream.
fn primed(id: &str) -> Step {
    Step::Bytes(format!("id: {id}\nretry: 10\ndata:\n\n"))
}

/// A tool that ends its stream behind a gate. The first GET is for what belongs
/// to no call.
fn polls(then: Vec<Vec<Step>>) -> Script {
    let listening = vec![Step::Sse(Vec::new()), Step::Relay];
    let turns: Vec<_> = std::iter::once(listening).chain(then).collect();
    legacy(&["t", "polls"])
        .sessions(&["s-1", "s-2"])
        .turns("GET", turns)
        .tool(
            "polls",
            [
                Step::Sse(Vec::new()),
                primed("e1"),
                Step::Await("end".to_owned()),
            ],
        )
}

/// The response to the call, which another request than its own brings.
fn response(call: &str) -> Step {
    let id = at(call, &["id"]);
    Step::Send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{DONE}}}"#))
}

/// A mux whose backend listens, and a client.
fn listening(peer: &Peer) -> (Mux, Client) {
    let (mux, client) = house(peer);
    peer.relaying("GET");
    (mux, client)
}

/// Calls the tool; the answer may stream and is asked for as `accept` says.
fn start(mux: &Mux, client: &Client, accept: &str) -> Connection {
    let mut headers = client.headers(Some("tools/call"), Some("web__polls"));
    headers.retain(|(name, _)| *name != "Accept");
    headers.push(("Accept", accept.to_owned()));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut connection = Connection::open(mux.address());
    let message = client.spell("7", "tools/call", None, r#""name":"web__polls""#);
    connection
        .request("POST", "/mcp", &headers, &message)
        .expect("mcpmux reads the request");
    connection
}

/// Lets the stream end and answers the requests for the rest with these steps.
fn end(peer: &Peer, then: impl FnOnce(Step) -> Vec<Vec<Step>>) {
    let call = peer.message("tools/call", 1);
    let mut script = polls(Vec::new());
    script.on.insert("GET".to_owned(), then(response(&call)));
    peer.set(script);
    peer.open("end");
}

fn resumed(peer: &Peer) -> Vec<String> {
    let requests = peer.requests();
    let last_ids = requests.iter().filter_map(|r| r.header("last-event-id"));
    last_ids.map(str::to_owned).collect()
}

#[test]
fn a_stream_that_was_ended_is_taken_up_and_its_client_notices_nothing() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, _) = listening(&peer);
    let client = Client::new(&mux, Era::Legacy("2025-06-18"));
    let connection = start(&mux, &client, "text/event-stream, application/json");
    let mut reply = connection.reply();
    end(&peer, |response| {
        vec![vec![Step::Sse(Vec::new()), response]]
    });
    assert_eq!(at(&reply.event().expect("the response"), &["result"]), DONE);
    assert_eq!(resumed(&peer), ["e1"]);
}

#[test]
fn a_client_that_was_given_ids_is_told_to_come_back() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let reply = start(&mux, &client, "text/event-stream, application/json").reply();
    let go = Step::Await("go".to_owned());
    end(&peer, |response| {
        vec![vec![Step::Sse(Vec::new()), go, response]]
    });
    // The stream ends without a response, and with the time that the server wants.
    let whole = reply.text();
    assert!(whole.contains("retry: 10\n"), "{whole}");
    assert!(!whole.contains("jsonrpc"), "{whole}");
    let last = whole
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("id: "));
    let last = last.unwrap_or_else(|| panic!("an id: {whole}"));
    let mut rest: Reply = client.stream(&[("Last-Event-ID", last)]);
    peer.open("go");
    assert_eq!(at(&rest.event().expect("the response"), &["result"]), DONE);
    assert_eq!(rest.event(), None);
    assert_eq!(resumed(&peer), ["e1"]);
}

#[test]
fn a_client_that_waits_for_one_body_gets_it() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json, text/event-stream");
    end(&peer, |response| {
        vec![vec![Step::Sse(Vec::new()), response]]
    });
    let reply = connection.reply();
    assert!(!reply.streams());
    assert_eq!(at(&reply.text(), &["result"]), DONE);
}

#[test]
fn a_pause_that_is_over_ends_no_stream() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json, text/event-stream");
    let log =
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1}}"#;
    let steps = [
        Step::Sse(Vec::new()),
        Step::Send(log.to_owned()),
        Step::Await("go".to_owned()),
    ];
    end(&peer, |response| vec![[&steps[..], &[response]].concat()]);
    let mut reply = connection.reply();
    assert_eq!(reply.event().as_deref(), Some(log));
    peer.open("go");
    assert_eq!(at(&reply.event().expect("the response"), &["result"]), DONE);
}

#[test]
fn what_cannot_be_taken_up_yet_is_tried_again() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json");
    end(&peer, |response| {
        let busy = respond(503, "text/plain", "x");
        vec![
            busy.clone(),
            vec![Step::Close],
            vec![Step::Sse(Vec::new()), response],
        ]
    });
    assert_eq!(at(&connection.reply().text(), &["result"]), DONE);
    assert_eq!(resumed(&peer), ["e1", "e1", "e1"]);
}

#[test]
fn what_can_never_be_taken_up_is_an_error_that_says_so() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json");
    end(&peer, |_| vec![respond(404, "text/plain", "x")]);
    let answer = connection.reply().text();
    let message = at(&answer, &["error", "message"]);
    assert!(
        message.contains("web") && message.contains("HTTP 404"),
        "{message}"
    );
    assert_eq!(resumed(&peer), ["e1"]);
}

#[test]
fn a_server_that_restarts_meanwhile_is_waited_for() {
    let peer = Peer::http(polls(Vec::new()));
    let address = peer.address();
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json");
    let call = peer.message("tools/call", 1);
    // A server that keeps its streams where a restart does not reach them.
    let mut after = polls(Vec::new());
    let listening = vec![Step::Sse(Vec::new()), response(&call), Step::Relay];
    after.on.insert("GET".to_owned(), vec![listening]);
    peer.rewrite(after);
    peer.open("end");
    mux.logged("a stream broke off");
    peer.close();
    mux.logged("cannot take up a stream yet");
    peer.listen(&address);
    assert_eq!(at(&connection.reply().text(), &["result"]), DONE);
    assert!(resumed(&peer).iter().any(|id| id == "e1"));
}

#[test]
fn a_response_on_the_servers_other_stream_is_one_all_the_same() {
    let peer = Peer::http(polls(Vec::new()));
    let (mux, client) = listening(&peer);
    let connection = start(&mux, &client, "application/json");
    let Step::Send(response) = response(&peer.message("tools/call", 1)) else {
        unreachable!("it is sent")
    };
    peer.emit(&response);
    assert_eq!(at(&connection.reply().text(), &["result"]), DONE);
    client.call("web__t", None).result();
    assert!(peer.messages("notifications/cancelled").is_empty());
}
