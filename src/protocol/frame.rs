//! Newline-delimited framing of the stdio transport, bounded
//! (specification, `basic/transports/stdio`).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// What the input holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end; never blank.
    Whole(Bytes),
    /// A line longer than the limit went by; its bytes are dropped.
    TooLong,
}

/// Cuts a byte stream into lines of at most a given length.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    input: BytesMut,
    scanned: usize,
    skipping: bool,
}

impl Lines {
    /// Accepts lines of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            input: BytesMut::new(),
            scanned: 0,
            skipping: false,
        }
    }

    /// Where the next bytes of the stream are to be read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.input.reserve(16 * 1024);
        &mut self.input
    }

    /// The next line, if the input holds one.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let end = memchr(b'\n', &self.input[self.scanned..]).map(|at| at + self.scanned);
            let Some(end) = end else {
                self.scanned = self.input.len();
                // A carriage return may be the first byte of the line's end.
                let end = usize::from(self.input.ends_with(b"\r"));
                if self.scanned > self.limit.saturating_add(end) {
                    self.input.clear();
                    self.scanned = 0;
                    if !std::mem::replace(&mut self.skipping, true) {
                        return Some(Line::TooLong);
                    }
                }
                return None;
            };
            let mut line = self.input.split_to(end).freeze();
            if line.ends_with(b"\r") {
                line.truncate(end - 1);
            }
            self.input.advance(1);
            self.scanned = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() > self.limit {
                return Some(Line::TooLong);
            }
            if !line.trim_ascii().is_empty() {
                return Some(Line::Whole(line));
            }
        }
    }
}

/// Makes `message` fit on one line: JSON may hold line breaks between its
/// tokens (inside a string they are always escaped), and those become spaces.
pub fn one_line(message: &Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', message).is_none() {
        return message.clone();
    }
    message
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(chunks: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(limit);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.buffer().extend_from_slice(chunk);
            while let Some(line) = lines.next_line() {
                out.push(line);
            }
        }
        out
    }

    #[test]
    fn a_line_over_the_limit_is_said_once_and_the_next_is_read() {
        let long = [b'x'; 50];
        let out = cut(&[&long, &long, b"\n{}\n\n \n[]\n"], 40);
        assert_eq!(
            out,
            [
                Line::TooLong,
                Line::Whole("{}".into()),
                Line::Whole("[]".into())
            ]
        );
    }

    #[test]
    fn a_message_on_several_lines_becomes_one() {
        assert_eq!(one_line(&Bytes::from_static(b"{\r\n}")), "{  }");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(lines in prop::collection::vec("[a-z{}]{1,30}", 0..6), at in 1usize..12) {
            let stream = lines.join("\n") + "\n";
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(at).collect();
            let expected: Vec<_> = lines.into_iter().map(|l| Line::Whole(l.into())).collect();
            prop_assert_eq!(cut(&chunks, 64), expected);
        }
    }
}
