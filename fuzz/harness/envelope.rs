//! Messages, objects, lines and events: whatever the bytes are, what is read
//! stands in them, and what is rewritten is read again.

use bytes::Bytes;
use mcpmux::protocol::{
    Id, Message, RawObject,
    frame::{Line, Lines, one_line},
    header, name, raw, sse,
};

/// The longest line and event that is taken.
const LIMIT: usize = 256;

pub fn check(input: &[u8]) {
    let whole = Bytes::copy_from_slice(input);
    for message in Message::parse_each(whole.clone()).into_iter().flatten() {
        message_is_kept(&message);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        object_is_kept(text);
        names_are_kept(text);
        let _ = header::param_headers(text);
    }
    let cut = input.first().map_or(1, |byte| usize::from(*byte) % 31 + 1);
    lines_do_not_depend_on_pieces(input, cut);
    events_do_not_depend_on_pieces(input, cut);
    events_come_back(&whole);
}

fn message_is_kept(message: &Message) {
    let again = Message::parse(message.bytes().clone()).expect("what was read is read again");
    assert_eq!(again.kind(), message.kind());
    // Nothing is changed where nothing is replaced.
    assert_eq!(message.rewritten(None, None).bytes(), message.bytes());
    let line = Message::parse(one_line(message.bytes())).expect("one line says the same");
    assert_eq!(line.kind(), message.kind());
    assert!(!line.bytes().contains(&b'\n'));
    let id = Id::from(7);
    let rewritten = message.rewritten(message.id().map(|_| &id), message.payload().map(|_| "{}"));
    let read = Message::parse(rewritten.bytes().clone()).expect("what was written is read");
    assert_eq!(read.id(), message.id().map(|_| &id));
    if message.payload().is_some() {
        assert_eq!(read.payload(), Some("{}"));
    }
    assert_eq!(read.method(), message.method());
}

fn object_is_kept(text: &str) {
    let Ok(object) = RawObject::parse(text) else {
        return;
    };
    assert_eq!(object.edit().finish(), text);
    for member in object.members() {
        assert_eq!(&text[object.range_of(member.value())], member.value());
        // The same key twice is an error of its own.
        let Ok(Some(value)) = object.get(&member.key()) else {
            continue;
        };
        let key = member.key();
        let mut edit = object.edit();
        edit.set(&key, "null").expect("the key is there once");
        let edited = edit.finish();
        let read = RawObject::parse(&edited).expect("an object stays one");
        assert_eq!(read.members().len(), object.members().len());
        assert_eq!(read.get(&key).expect("once"), Some("null"));
        assert_eq!(edited.len() + value.len(), text.len() + "null".len());
    }
}

fn names_are_kept(text: &str) {
    assert_eq!(
        raw::decode_str(&raw::encode_str(text)).as_deref(),
        Some(text)
    );
    let value = header::encode(text);
    assert_eq!(header::decode(&value).as_deref(), Some(text));
    if let Some((server, tool)) = name::split(text) {
        assert_eq!(name::join(server, tool), text);
    }
}

fn lines_do_not_depend_on_pieces(input: &[u8], cut: usize) {
    let read = |size: usize| {
        let mut lines = Lines::new(LIMIT);
        let mut all = Vec::new();
        for piece in input.chunks(size) {
            lines.buffer().extend_from_slice(piece);
            while let Some(line) = lines.next_line() {
                all.push(line);
            }
        }
        all
    };
    let all = read(cut);
    assert_eq!(all, read(1));
    for line in all {
        if let Line::Whole(line) = line {
            assert!(!line.contains(&b'\n') && line.len() <= LIMIT);
        }
    }
}

fn events_do_not_depend_on_pieces(input: &[u8], cut: usize) {
    let read = |size: usize| {
        let mut decoder = sse::Decoder::new(LIMIT);
        let mut all = Vec::new();
        for piece in input.chunks(size) {
            decoder.push(piece);
            loop {
                match decoder.next_event() {
                    Ok(Some(event)) => all.push(event),
                    Ok(None) => break,
                    Err(_) => return (all, true),
                }
            }
        }
        (all, false)
    };
    let (pieces, bytes) = (read(cut), read(1));
    // Where one is too large, how much of it is needed to know depends on them.
    if !pieces.1 && !bytes.1 {
        assert_eq!(pieces, bytes);
    }
}

fn events_come_back(data: &Bytes) {
    if data.is_empty() || data.contains(&b'\r') {
        return;
    }
    let mut decoder = sse::Decoder::new(usize::MAX / 2);
    decoder.push(&sse::event(data));
    let event = decoder.next_event().expect("no limit").expect("an event");
    assert_eq!(event.data, data);
}
