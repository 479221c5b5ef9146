//! Tests of a session's stream: what is kept, lost and told again.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::ring::{MAX_BYTES, MAX_EVENTS},
    *,
};

fn message(text: &str) -> Message {
    Message::notification(text, "{}")
}

fn put(outbox: &Outbox, message: &Message) {
    outbox.put(message.bytes().clone(), None);
}

/// Everything that can be read now: numbers and methods.
fn drain(outbox: &Outbox, reader: &mut Reader) -> Vec<(u64, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut all = Vec::new();
        while let Ok(Some(sent)) = tokio::time::timeout(Duration::ZERO, outbox.next(reader)).await {
            let message = Message::parse(sent.message).unwrap();
            all.push((sent.id.number, message.method().unwrap().to_owned()));
        }
        all
    })
}

fn methods(outbox: &Outbox, reader: &mut Reader) -> Vec<String> {
    drain(outbox, reader).into_iter().map(|(_, m)| m).collect()
}

#[test]
fn a_reader_that_comes_back_gets_what_followed_its_last_event() {
    let outbox = Outbox::default();
    for text in ["a", "b", "c"] {
        put(&outbox, &message(text));
    }
    let mut first = outbox.read(None);
    let had = drain(&outbox, &mut first);
    assert_eq!(had.len(), 3);
    put(&outbox, &message("d"));
    assert_eq!(
        methods(&outbox, &mut outbox.read(Some(had[0].0))),
        ["b", "c", "d"]
    );
    // What was sent once is not sent again to one that does not ask for it.
    assert!(methods(&outbox, &mut outbox.read(None)).is_empty());
    assert!(methods(&outbox, &mut outbox.read(Some(99))).is_empty());
    assert!(methods(&outbox, &mut first).is_empty(), "another one reads");
}

#[test]
fn one_about_the_same_waits_once() {
    let outbox = Outbox::default();
    for (about, text) in [("x", "a"), ("y", "b"), ("x", "c")] {
        outbox.push_once(about, &message(text));
    }
    let mut reader = outbox.read(None);
    assert_eq!(methods(&outbox, &mut reader), ["a", "b"]);
    outbox.push_once("x", &message("d"));
    assert_eq!(methods(&outbox, &mut reader), ["d"]);
}

#[test]
fn a_reader_can_go_on_from_its_priming_event() {
    let outbox = Outbox::default();
    let mut reader = outbox.read(None);
    let primed = outbox.prime(&mut reader).unwrap();
    put(&outbox, &message("a"));
    let had = drain(&outbox, &mut reader);
    assert_ne!(primed.id.number, had[0].0);
    let mut again = outbox.read(Some(primed.id.number));
    assert_eq!(
        outbox.prime(&mut again),
        None,
        "there is an event to begin with"
    );
    assert_eq!(methods(&outbox, &mut again), ["a"]);
    let mut last = outbox.read(Some(had[0].0));
    assert!(outbox.prime(&mut last).is_some());
}

#[test]
fn it_is_bounded_and_forgets_the_oldest() {
    let outbox = Outbox::default();
    for n in 0..=MAX_EVENTS {
        put(&outbox, &message(&n.to_string()));
    }
    assert_eq!(methods(&outbox, &mut outbox.read(None))[0], "1");
    let large = message(&"x".repeat(MAX_BYTES));
    put(&outbox, &large);
    put(&outbox, &large);
    assert_eq!(methods(&outbox, &mut outbox.read(None)).len(), 1);
}

#[test]
fn who_must_have_all_is_not_given_what_is_left() {
    let outbox = Outbox::of_call(1);
    let mut reader = outbox.read(None);
    let primed = outbox.prime(&mut reader).unwrap();
    assert_eq!(primed.id.to_string(), "post1-1");
    for n in 0..=MAX_EVENTS {
        put(&outbox, &message(&n.to_string()));
    }
    assert!(outbox.read_all(primed.id.number).is_none());
    assert!(outbox.is_read_by(&reader), "nobody takes over in vain");
    let mut other = outbox.read_all(primed.id.number + 1).unwrap();
    assert!(!outbox.is_read_by(&reader));
    outbox.close();
    assert_eq!(methods(&outbox, &mut other).len(), MAX_EVENTS);
    assert!(outbox.read_all(9999).is_none());
}

#[test]
fn an_event_of_an_earlier_run_is_before_all_of_this_one() {
    let outbox = Outbox::above(1000);
    put(&outbox, &message("a"));
    for last in [None, Some(7), Some(1000)] {
        let mut reader = outbox.read(last);
        assert!(outbox.prime(&mut reader).is_none());
    }
    let mut reader = outbox.read(Some(7));
    assert_eq!(drain(&outbox, &mut reader), [(1001, "a".to_owned())]);
}

#[test]
fn it_ends_with_the_session() {
    let outbox = Outbox::default();
    let mut reader = outbox.read(None);
    outbox.end();
    put(&outbox, &message("a"));
    assert!(drain(&outbox, &mut reader).is_empty());
}

proptest! {
    /// Cut wherever it is, a client that names its last event gets every
    /// message once and in order.
    #[test]
    fn cuts_lose_and_repeat_nothing(acts in prop::collection::vec(0..3_u8, 0..200)) {
        let outbox = Outbox::default();
        let mut reader = outbox.read(None);
        let mut last: Option<u64> = None;
        let mut had = Vec::new();
        let mut count = 0;
        for act in acts {
            match act {
                0 => {
                    put(&outbox, &message(&count.to_string()));
                    count += 1;
                }
                1 => for (id, method) in drain(&outbox, &mut reader) {
                    had.push(method);
                    last = Some(id);
                },
                _ => {
                    reader = outbox.read(last);
                    if let Some(primed) = outbox.prime(&mut reader) {
                        last = Some(primed.id.number);
                    }
                }
            }
        }
        had.extend(methods(&outbox, &mut reader));
        let expected: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        prop_assert_eq!(had, expected);
    }
}
