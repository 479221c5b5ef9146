//! Where the members of a JSON object stand in its text (RFC 8259): every byte is
//! checked, none decoded, at any depth without recursion.
//!
//! `serde_json` finds the same by way of its raw values, at several times the cost,
//! which was the largest single one of a small call; it remains what says what is
//! wrong with a text, and what this is tested against.

use super::raw::Member;

/// The least byte that may stand in a string as it is.
const SPACE: u8 = 0x20;

/// The members of the one object that `text` is; `None` if it is something else.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut scan = Scan { text, at: 0 };
    let mut members = Vec::with_capacity(8);
    scan.skip_space();
    scan.take(b'{')?;
    scan.skip_space();
    if scan.take(b'}').is_none() {
        loop {
            let start = scan.at;
            let escaped = scan.string()?;
            let key = &text[start..scan.at];
            scan.colon()?;
            let start = scan.at;
            scan.value()?;
            members.push(Member::new(key, escaped, &text[start..scan.at]));
            scan.skip_space();
            if scan.take(b',').is_none() {
                scan.take(b'}')?;
                break;
            }
            scan.skip_space();
        }
    }
    scan.skip_space();
    (scan.at == text.len()).then_some(members)
}

/// A text, and how much of it is known to be right.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    /// The next byte.
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes `byte`, if it is the next.
    fn take(&mut self, byte: u8) -> Option<()> {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes the colon behind a key, and the space around it.
    fn colon(&mut self) -> Option<()> {
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        Some(())
    }

    /// Passes one value, which begins here.
    fn value(&mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    self.skip_space();
                    if self.take(b'}').is_none() {
                        open.push(true);
                        self.string()?;
                        self.colon()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.skip_space();
                    if self.take(b']').is_none() {
                        open.push(false);
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return None,
            }
            // Behind a value: what is around it goes on or ends.
            loop {
                let Some(in_object) = open.innermost() else {
                    return Some(());
                };
                self.skip_space();
                if self.take(b',').is_some() {
                    self.skip_space();
                    if in_object {
                        self.string()?;
                        self.colon()?;
                    }
                    break;
                }
                self.take(if in_object { b'}' } else { b']' })?;
                open.pop();
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        rest.starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Passes at least one digit.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Passes a string; gives whether any of it is escaped.
    fn string(&mut self) -> Option<bool> {
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    self.at += 1;
                    escaped = true;
                    self.escape()?;
                }
                control if control < SPACE => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Passes what stands behind a backslash. Which character it is does not matter
    /// here, nor whether it is half of one.
    fn escape(&mut self) -> Option<()> {
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// Passes what a string may hold as it is, eight bytes at a time, for as long as
    /// there are eight.
    fn skip_plain(&mut self) {
        const EACH: u64 = u64::MAX / 0xff;
        const HIGH: u64 = EACH << 7;
        // The high bit of each byte that is less than `SPACE`, or zero; what stands
        // above the first such byte may be wrong.
        let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes;
        let is = |bytes: u64, byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
        while let Some((eight, _)) = self.text.as_bytes()[self.at..].split_first_chunk::<8>() {
            let bytes = u64::from_le_bytes(*eight);
            let found = (below(bytes, SPACE) | is(bytes, b'"') | is(bytes, b'\\')) & HIGH;
            if found != 0 {
                self.at += (found.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }
}

/// What is open around a value, one bit each: whether it is an object.
#[derive(Default)]
struct Open {
    depth: usize,
    /// The innermost of them.
    bits: u64,
    /// The others, by 64.
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is an object; `None` if none is open.
    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Whether this is an object, as `serde_json` has it.
    fn expected(text: &str) -> bool {
        serde_json::from_str::<&RawValue>(text).is_ok() && text.trim_start().starts_with('{')
    }

    fn agrees(text: &str) {
        let found = members(text);
        assert_eq!(found.is_some(), expected(text), "{text:?}");
        let last: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(text).ok();
        if let (Some(found), Some(last)) = (found, last) {
            for member in &found {
                assert!(last.contains_key(member.key().as_ref()), "{text:?}");
            }
            for (key, value) in last {
                let ours = found.iter().rev().find(|member| member.key() == key);
                assert_eq!(ours.expect("the member").value(), value.get(), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_json_is_told_from_what_is_not() {
        for value in [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".5",
            "1.5e",
            "1e+9",
            "1E-400",
            "-1.0e00",
            "+1",
            "1e400",
            "NaN",
            "true",
            "tru",
            "truely",
            "null",
            "nul",
            "\"\"",
            "\"",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\\",
            "\"a\tb\"",
            "\"a\u{1f}b\"",
            "\"a\u{7f}\"",
            "\"é😀\"",
            "\"12345678\"",
            "\"1234567\n\"",
            "\"12345678\n\"",
            "\"\u{e9}234567\\n\"",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[[[]]]",
            "[[[]]",
            "[}",
            "{]",
            "{}",
            "{ }",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 ,\"a\" : [ {} , \"x\" ] }",
            "{a:1}",
            "{1:1}",
            "",
            "//",
        ] {
            agrees(value);
            for around in [
                "{\"k\":#}",
                " { \"k\" : # } ",
                "{\"k\":#",
                "{\"k\":[#,{\"x\":#}]}",
            ] {
                agrees(&around.replace('#', value));
            }
        }
    }

    #[test]
    fn depth_does_not_matter() {
        for depth in [1, 63, 64, 65, 128, 129, 50_000] {
            let (open, close) = ("[{\"a\":".repeat(depth), "}]".repeat(depth));
            agrees(&format!("{{\"k\":{open}1{close}}}"));
            agrees(&format!("{{\"k\":{open}1{close}"));
            agrees(&format!("{{\"k\":{open}1{close}]}}"));
        }
    }

    proptest! {
        #[test]
        fn it_agrees_about_any_text(text in "[{}\\[\\]\",:\\\\ux0-9eE.+ntrufalse \n\u{0}\u{e9}-]{0,48}") {
            agrees(&text);
            agrees(&format!("{{\"k\":{text}}}"));
            agrees(&format!("{{\"k\":\"{text}\"}}"));
        }

        /// One byte of something right is made another.
        #[test]
        fn it_agrees_about_what_is_nearly_right(at in 0_usize..200, byte in 0_u8..128) {
            let text = r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"a","arguments":{"x":[1.5e-3,true,null,{"y":"\u00e9\"\\ z"}]}} , "é" : [ ] }"#;
            let mut bytes = text.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                agrees(&text);
            }
        }
    }
}
