//! Very many calls at once, each of which sends progress, logs and asks: every
//! message reaches its own client, in order, and none comes after the response.

use std::{collections::BTreeMap, thread};

use super::{
    able, able_legacy,
    support::{
        Answer, Client, Era, Event, Mux, Peer, Script, Setup, Step, at, legacy_with, member,
        members, modern_with, progress, result, text,
    },
};

/// How many clients there are, the first half legacy ones, the others modern.
const CLIENTS: usize = 64;

const TOOL: &str = r#"{"name":"ask","inputSchema":{"type":"object"}}"#;
const OFFERS: &str = r#"{"tools":{},"logging":{}}"#;

/// The progress of a call: before, beside and after its question.
const PROGRESS: [&str; 3] = ["p1", "p2", "p3"];

/// What came in the course of one call.
struct Course {
    mark: String,
    /// The events of its stream in order, and of the streams of its retries.
    events: Vec<Told>,
    /// The marks of the questions in the rounds of a modern client.
    rounds: Vec<String>,
    response: String,
}

/// One event: its kind and number, and the mark of the call that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    kind: String,
    mark: String,
}

/// Progress and a log message with this number.
fn tells(number: &str) -> [Step; 2] {
    let log = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"$MARK","number":{number}}}}}"#
    );
    [
        progress(&format!(r#""progress":{number},"message":"$MARK""#)),
        Step::Send(log),
    ]
}

const FORM: &str = r#"{"message":"$MARK","requestedSchema":{"type":"object","properties":{}}}"#;

fn last() -> Step {
    result(r#"{"content":[],"structuredContent":{"mark":"$MARK"}}"#)
}

/// A legacy server whose calls begin to speak once all have come, and do not end
/// before `end` is open.
fn legacy_crowd() -> Script {
    let asks = Step::Send(format!(
        r#"{{"jsonrpc":"2.0","id":"e-$MARK","method":"elicitation/create","params":{FORM}}}"#
    ));
    let steps = [
        vec![Step::Await("go".to_owned())],
        tells("1").to_vec(),
        vec![asks],
        tells("2").to_vec(),
        vec![Step::Await(r#"response "e-$MARK""#.to_owned())],
        tells("3").to_vec(),
        // Its answer shows that all before it was read.
        vec![Step::Send(
            r#"{"jsonrpc":"2.0","id":"p-$MARK","method":"ping"}"#.to_owned(),
        )],
        vec![Step::Await("end".to_owned()), last()],
    ];
    legacy_with(OFFERS)
        .list("tools", TOOL)
        .on("logging/setLevel", [result("{}")])
        .tool("ask", steps.concat())
}

/// The same, as a modern server does it.
fn modern_crowd() -> Script {
    let wants = result(&format!(
        r#"{{"resultType":"input_required","inputRequests":{{"k":{{"method":"elicitation/create","params":{FORM}}}}},"requestState":"again"}}"#
    ));
    let first = [
        vec![Step::Await("go".to_owned())],
        tells("1").to_vec(),
        vec![wants],
    ];
    let again = [
        tells("2").to_vec(),
        tells("3").to_vec(),
        vec![Step::Await("end".to_owned())],
        vec![result(
            r#"{"resultType":"complete","content":[],"structuredContent":{"mark":"$MARK"}}"#,
        )],
    ];
    modern_with(OFFERS)
        .list("tools", TOOL)
        .on("tools/call again", again.concat())
        .tool("ask", first.concat())
}

/// All clients, and for each how many calls it makes at once.
fn crowd(mux: &Mux, legacy: usize, modern: usize) -> Vec<(Client, usize)> {
    Client::wait_for(mux, "b__ask");
    let client = |number| {
        if number < CLIENTS / 2 {
            (able_legacy(mux), legacy)
        } else {
            (able(mux, Era::Modern), modern)
        }
    };
    (0..CLIENTS).map(client).collect()
}

/// Makes all calls at once; `meanwhile` is run once all have come to the peer.
/// Gives the courses by clients.
fn all_at_once(
    peer: &Peer,
    clients: &[(Client, usize)],
    meanwhile: impl FnOnce(),
) -> Vec<Vec<Course>> {
    let calls: usize = clients.iter().map(|(_, calls)| calls).sum();
    thread::scope(|scope| {
        let running: Vec<Vec<_>> = clients
            .iter()
            .enumerate()
            .map(|(number, (client, calls))| {
                let start = |call: usize| {
                    let mark = format!("c{number}-{call}");
                    scope.spawn(move || course(client, &mark))
                };
                (0..*calls).map(start).collect()
            })
            .collect();
        peer.wait("all calls", |events| {
            (count(events, r#""tools/call""#) == calls).then_some(())
        });
        peer.open("go");
        meanwhile();
        peer.open("end");
        running
            .into_iter()
            .map(|calls| {
                let course = calls.into_iter().map(|call| call.join().expect("a call"));
                course.collect()
            })
            .collect()
    })
}

fn received(events: &[Event]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.as_str()),
        Event::Request(request) => Some(request.body.as_str()),
        _ => None,
    })
}

fn count(events: &[Event], part: &str) -> usize {
    received(events)
        .filter(|message| message.contains(part))
        .count()
}

/// Makes one call and goes through all that it brings.
fn course(client: &Client, mark: &str) -> Course {
    let mut course = Course {
        mark: mark.to_owned(),
        events: Vec::new(),
        rounds: Vec::new(),
        response: String::new(),
    };
    let mut inputs = String::new();
    for round in 0..3 {
        let token = format!(r#""{mark}/{round}""#);
        let call = format!(r#""name":"b__ask","arguments":{{"mark":"{mark}"}}{inputs}"#);
        let message = client
            .spell(&client.id(), "tools/call", Some(&token), &call)
            .replace(
                r#""_meta":{"io"#,
                r#""_meta":{"io.modelcontextprotocol/logLevel":"info","io"#,
            );
        let answer = client.converse(&message, |request| {
            answer_to(&at(request, &["params", "message"]))
        });
        course.events.extend(tellings(&answer, &token));
        let result = answer.result();
        let Some(requests) = member(&result, "inputRequests") else {
            course.response = result;
            return course;
        };
        let mut responses = Vec::new();
        for (key, request) in members(&requests) {
            let whose = at(&request, &["params", "message"]);
            responses.push(format!(r#""{key}":{}"#, answer_to(&whose)));
            course.rounds.push(text(&whose));
        }
        let state = at(&result, &["requestState"]);
        inputs = format!(
            r#","inputResponses":{{{}}},"requestState":{state}"#,
            responses.join(",")
        );
    }
    panic!("{mark} takes too many rounds");
}

/// The answer of whoever is asked in the course of the call `whose`, JSON text.
fn answer_to(whose: &str) -> String {
    format!(r#"{{"action":"accept","content":{{"mark":{whose}}}}}"#)
}

/// What an answer brought before its response; progress must carry its token.
fn tellings(answer: &Answer, token: &str) -> Vec<Told> {
    let told = |message: &String| {
        let params = at(message, &["params"]);
        let (kind, mark) = match text(&at(message, &["method"])).as_str() {
            "notifications/progress" => {
                assert_eq!(at(&params, &["progressToken"]), token, "{message}");
                (format!("p{}", at(&params, &["progress"])), "message")
            }
            "notifications/message" => (format!("l{}", at(&params, &["number"])), "data"),
            "elicitation/create" => ("ask".to_owned(), "message"),
            other => panic!("{other} in {token}: {message}"),
        };
        let mark = text(&at(&params, &[mark]));
        Told { kind, mark }
    };
    answer.before.iter().map(told).collect()
}

impl Course {
    /// The kinds of its own events that begin with one of these letters.
    fn own(&self, letters: &str) -> Vec<&str> {
        let own = self.events.iter().filter(|told| told.mark == self.mark);
        own.map(|told| told.kind.as_str())
            .filter(|kind| letters.contains(&kind[..1]))
            .collect()
    }

    /// Its progress is there and in order, and its response is its own.
    fn assert_progress(&self) {
        assert_eq!(self.own("p"), PROGRESS, "{}", self.mark);
        let others = self.events.iter().filter(|told| told.kind.starts_with('p'));
        assert_eq!(
            others.count(),
            PROGRESS.len(),
            "{}: {:?}",
            self.mark,
            self.events
        );
        assert_eq!(
            text(&at(&self.response, &["structuredContent", "mark"])),
            self.mark
        );
    }

    /// All that its call sent came on its own stream in the order in which it was
    /// sent, and nothing else.
    fn assert_whole(&self, legacy: bool) {
        self.assert_progress();
        assert!(
            self.events.iter().all(|told| told.mark == self.mark),
            "{}: {:?}",
            self.mark,
            self.events
        );
        let mut wanted = vec!["p1", "l1", "ask", "p2", "l2", "p3", "l3"];
        if !legacy {
            wanted.retain(|kind| *kind != "ask");
            assert_eq!(self.rounds, [self.mark.as_str()]);
        }
        assert_eq!(self.own("pla"), wanted, "{}", self.mark);
    }
}

/// Every question was answered once, with what was answered to it.
fn assert_answered(peer: &Peer, courses: &[Vec<Course>]) {
    let mut answers = BTreeMap::new();
    for message in received(&peer.events()) {
        if message.starts_with('{')
            && member(message, "method").is_none()
            && let Some(id) = member(message, "id")
            && !id.starts_with("\"p-")
        {
            let before = answers.insert(text(&id), message.to_owned());
            assert_eq!(before, None, "one answer");
        }
    }
    let calls: Vec<_> = courses.iter().flatten().collect();
    assert_eq!(answers.len(), calls.len());
    for call in calls {
        let answer = &answers[&format!("e-{}", call.mark)];
        let content = at(answer, &["result", "content", "mark"]);
        assert_eq!(text(&content), call.mark);
    }
}

#[test]
fn over_http_every_call_gets_all_of_its_own_and_nothing_else() {
    let streamed = [
        ("legacy", legacy_crowd().streamed("tools/call ask")),
        (
            "modern",
            modern_crowd()
                .streamed("tools/call ask")
                .streamed("tools/call again"),
        ),
    ];
    for (era, script) in streamed {
        let peer = Peer::http(script);
        let mux = Setup::one("b", &peer).log_level("info").serve();
        let clients = crowd(&mux, 3, 3);
        let courses = all_at_once(&peer, &clients, || {});
        for (client, calls) in courses.iter().enumerate() {
            for call in calls {
                call.assert_whole(client < CLIENTS / 2);
            }
        }
        if era == "legacy" {
            assert_answered(&peer, &courses);
        }
    }
}

#[test]
fn with_a_process_of_its_own_every_client_gets_all_of_its_own_and_nothing_else() {
    let peer = Peer::new(legacy_crowd());
    let mux = Setup::default()
        .backend("b", &peer, "session: client")
        .log_level("info")
        .serve();
    // Each call of a modern client has a process to itself.
    let clients = crowd(&mux, 3, 1);
    let courses = all_at_once(&peer, &clients, || {});
    assert_eq!(peer.starts(), 1 + CLIENTS);
    let (old, new) = courses.split_at(CLIENTS / 2);
    for calls in old {
        // Which of a client's calls a question or a log message comes with does
        // not matter, and cannot be told.
        let mut told: Vec<_> = calls.iter().flat_map(|call| call.events.clone()).collect();
        told.sort();
        let all = calls.iter().flat_map(|call| {
            ["p1", "p2", "p3", "l1", "l2", "l3", "ask"].map(|kind| Told {
                kind: kind.to_owned(),
                mark: call.mark.clone(),
            })
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        assert_eq!(told, all, "each once");
        for call in calls {
            call.assert_progress();
            for mark in calls.iter().map(|call| &call.mark) {
                let logs = call.events.iter().filter(|told| told.mark == *mark);
                let logs = logs.filter(|told| told.kind.starts_with('l'));
                assert!(
                    logs.is_sorted_by_key(|told| &told.kind),
                    "{:?}",
                    call.events
                );
            }
        }
    }
    for call in new.iter().flatten() {
        call.assert_whole(false);
    }
    assert_answered(&peer, &courses);
}

#[test]
fn on_a_shared_pipe_what_names_no_call_reaches_nobody_and_progress_its_own() {
    let peer = Peer::new(legacy_crowd());
    let mux = Setup::one("b", &peer).log_level("info").serve();
    let clients = crowd(&mux, 3, 3);
    let calls = 3 * CLIENTS;
    let courses = all_at_once(&peer, &clients, || {
        peer.wait("all is read", |events| {
            (count(events, r#""id":"p-"#) == calls).then_some(())
        });
    });
    let refusals = count(&peer.events(), "several calls are in flight");
    assert_eq!(refusals, calls);
    for call in courses.iter().flatten() {
        call.assert_progress();
        assert_eq!(
            call.events.len(),
            PROGRESS.len(),
            "{}: {:?}",
            call.mark,
            call.events
        );
        assert_eq!(call.rounds.len(), 0);
    }
    // Whoever is alone gets all.
    course(&clients[0].0, "alone").assert_whole(true);
}
