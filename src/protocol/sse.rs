//! Server-sent events: how a message becomes an event, and a bounded decoder
//! for the events of a backend (WHATWG HTML, section 9.2).

use std::fmt::{Display, Write};

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr_iter, memchr2};

/// The media type of an event stream.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// A comment, which keeps an idle stream open.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// `data` as one event of type `message`.
///
/// A line break in `data` (JSON may hold them between its tokens) becomes
/// several `data:` lines, which the reader joins again.
pub fn event(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 24);
    out.extend_from_slice(b"event: message\n");
    put_data(&mut out, data);
    out.freeze()
}

/// As [`event`], with an id to go on from and, if given, a time to wait before
/// that, in milliseconds. Without `data` it only carries them.
pub fn event_with(data: &[u8], id: impl Display, retry: Option<u64>) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 96);
    let kind = if data.is_empty() {
        ""
    } else {
        "event: message\n"
    };
    // Writing to memory does not fail.
    let _ = writeln!(out, "{kind}id: {id}");
    if let Some(retry) = retry {
        let _ = writeln!(out, "retry: {retry}");
    }
    put_data(&mut out, data);
    out.freeze()
}

fn put_data(out: &mut BytesMut, data: &[u8]) {
    let mut rest = data;
    while let Some(end) = memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(b"\n");
        rest = &rest[end
            + if rest[end..].starts_with(b"\r\n") {
                2
            } else {
                1
            }..];
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\n\n");
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// `event:`, where it is not `message`.
    pub name: Option<String>,
    /// `id:`, the last one seen.
    pub id: Option<String>,
    /// `retry:`, in milliseconds.
    pub retry: Option<u64>,
    /// The `data:` lines, joined.
    pub data: Bytes,
}

/// An event is larger than the decoder was told to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {limit} bytes")]
pub struct TooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// What may stand before a stream, and nowhere else means anything.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Turns chunks of a stream into events, holding at most one event.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    input: BytesMut,
    /// Bytes of `input` known to hold no line end.
    scanned: usize,
    event: Event,
    data: BytesMut,
    has_data: bool,
    started: bool,
    after_cr: bool,
}

impl Decoder {
    /// A decoder that accepts events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            input: BytesMut::new(),
            scanned: 0,
            event: Event::default(),
            data: BytesMut::new(),
            has_data: false,
            started: false,
            after_cr: false,
        }
    }

    /// Takes in the next chunk of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.input.extend_from_slice(chunk);
    }

    /// The next whole event, if the input holds one.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        if !self.started {
            if self.input.len() < BOM.len() && BOM.starts_with(&self.input) {
                return Ok(None);
            }
            self.started = true;
            if self.input.starts_with(BOM) {
                self.input.advance(BOM.len());
                self.scanned = 0;
            }
        }
        loop {
            if self.data.len() + self.input.len().min(self.scanned) > self.limit {
                return Err(TooLarge { limit: self.limit });
            }
            let Some(line) = self.line() else {
                return Ok(None);
            };
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                self.event.id.clone_from(&event.id);
                let data = self.data.split().freeze();
                if std::mem::take(&mut self.has_data) {
                    return Ok(Some(Event { data, ..event }));
                }
                if event.retry.is_some() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.field(&line);
        }
    }

    /// Takes the next line off the input, without its end.
    fn line(&mut self) -> Option<Bytes> {
        // The second half of a CRLF whose first half ended a line already.
        if self.after_cr && !self.input.is_empty() {
            self.after_cr = false;
            if self.input[0] == b'\n' {
                self.input.advance(1);
                self.scanned = self.scanned.saturating_sub(1);
            }
        }
        let Some(end) = memchr2(b'\n', b'\r', &self.input[self.scanned..]) else {
            self.scanned = self.input.len();
            return None;
        };
        let line = self.input.split_to(self.scanned + end).freeze();
        self.after_cr = self.input[0] == b'\r';
        self.input.advance(1);
        self.scanned = 0;
        Some(line)
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return,
            Some(at) => {
                let value = &line[at + 1..];
                (&line[..at], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.extend_from_slice(b"\n");
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.event.name = Some(text()).filter(|name| name != "message"),
            b"id" if memchr_iter(0, value).next().is_none() => self.event.id = Some(text()),
            b"retry" => self.event.retry = text().parse().ok().or(self.event.retry),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::new(1024);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        let stream =
            "\u{feff}: hello\nevent: endpoint\r\ndata: a\rdata:b\n\nid: 7\ndata\n\nretry: 10\n\n\n";
        let events = decode(&[stream.as_bytes()]);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].name.as_deref(), Some("endpoint"));
        assert_eq!(events[0].data, "a\nb");
        assert_eq!(
            (events[1].id.as_deref(), &events[1].data[..]),
            (Some("7"), &b""[..])
        );
        assert_eq!(events[2].retry, Some(10));
    }

    #[test]
    fn an_event_may_carry_an_id_and_a_time_to_wait() {
        let events = decode(&[
            &event_with(b"a", "s-1", None),
            &event_with(b"", "s-2", Some(5)),
        ]);
        assert_eq!(&events[0].data[..], b"a");
        assert_eq!(events[0].id.as_deref(), Some("s-1"));
        assert!(events[1].data.is_empty());
        assert_eq!(events[1].id.as_deref(), Some("s-2"));
        assert_eq!(events[1].retry, Some(5));
    }

    #[test]
    fn a_byte_order_mark_may_come_byte_by_byte() {
        let stream = "\u{feff}data: a\r\ndata: b\r\r".as_bytes();
        let chunks: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&chunks)[0].data, "a\nb");
    }

    #[test]
    fn a_byte_order_mark_further_on_is_text() {
        let stream = "\n\n\u{feff}data: a\n\ndata: b\n\n".as_bytes();
        for size in [1, 3, stream.len()] {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            let events = decode(&chunks);
            assert_eq!(
                (events.len(), &events[0].data[..]),
                (1, &b"b"[..]),
                "{size}"
            );
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept_forever() {
        let mut decoder = Decoder::new(64);
        decoder.push(&[b'x'; 100]);
        assert_eq!(decoder.next_event(), Ok(None));
        assert_eq!(decoder.next_event(), Err(TooLarge { limit: 64 }));
    }

    proptest! {
        /// Wherever the stream is cut, the same events come out.
        #[test]
        fn cuts_do_not_matter(
            messages in prop::collection::vec("[a-z\"{}: \n]{1,20}", 1..5),
            cut in 1usize..9,
        ) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|m| event(m.as_bytes()).to_vec()).collect();
            let chunks: Vec<&[u8]> = stream.chunks(cut).collect();
            let data: Vec<_> = decode(&chunks).into_iter().map(|e| e.data).collect();
            prop_assert_eq!(data, messages);
        }
    }
}
