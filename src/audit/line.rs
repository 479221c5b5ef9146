//! A record as a line of JSON. Written by hand, since it is on the way of every call:
//! what need not be escaped, which is nearly everything, is copied as it is.

use chrono::{DateTime, SecondsFormat, Utc};

use super::record::Record;

/// What a time begins with in all of one second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: i64,
    /// The time up to that second; empty before the first one.
    text: String,
}

impl Clock {
    /// Appends `time` as RFC 3339 has it: UTC, in milliseconds.
    fn write(&mut self, out: &mut Vec<u8>, time: DateTime<Utc>) {
        let second = time.timestamp();
        if self.text.is_empty() || self.second != second {
            self.text = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.text.truncate(self.text.len() - "Z".len());
            self.second = second;
        }
        out.extend_from_slice(self.text.as_bytes());
        // A leap second has more than a thousand of them.
        let milliseconds = time.timestamp_subsec_millis().min(999);
        let digit = |unit: u32| b'0' + u8::try_from(milliseconds / unit % 10).unwrap_or_default();
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }
}

/// Appends `record` and the end of its line to `out`. Members that are not known are
/// left out.
pub(super) fn write(out: &mut Vec<u8>, clock: &mut Clock, record: &Record<'_>) {
    // Of most records all of it.
    out.reserve(256);
    out.extend_from_slice(br#"{"time":""#);
    clock.write(out, record.time);
    out.push(b'"');
    text(out, r#","caller":"#, Some(record.caller));
    text(out, r#","role":"#, record.role);
    text(out, r#","method":"#, record.method);
    text(out, r#","backend":"#, record.backend);
    text(out, r#","name":"#, record.name);
    text(out, r#","outcome":"#, Some(record.outcome));
    number(out, r#","code":"#, record.code);
    text(out, r#","why":"#, record.why);
    number(out, r#","milliseconds":"#, record.milliseconds);
    number(out, r#","received":"#, record.received);
    number(out, r#","sent":"#, record.sent);
    text(out, r#","trace":"#, record.trace);
    if let Some(arguments) = record.arguments {
        out.extend_from_slice(br#","arguments":"#);
        // Between its tokens JSON may have ends of lines, and in its texts it has none.
        let is_end = |byte: u8| byte == b'\n' || byte == b'\r';
        let one_line = |byte| if is_end(byte) { b' ' } else { byte };
        out.extend(arguments.get().bytes().map(one_line));
    }
    out.extend_from_slice(b"}\n");
}

/// Appends a member that is a text; `key` is what stands before it.
fn text(out: &mut Vec<u8>, key: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    out.extend_from_slice(key.as_bytes());
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Not `any`: with all of them looked at, the compiler looks at many at once.
    if text.bytes().fold(false, |any, byte| any | escaped(byte)) {
        // A text always has its JSON, and a vector its room.
        let _ = serde_json::to_writer(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn number(out: &mut Vec<u8>, key: &str, number: Option<impl itoa::Integer>) {
    let Some(number) = number else { return };
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json, value::RawValue};

    use super::*;

    fn line(record: &Record<'_>) -> Value {
        let mut out = Vec::new();
        write(&mut out, &mut Clock::default(), record);
        assert_eq!(out.pop(), Some(b'\n'));
        assert!(!out.contains(&b'\n'), "a record is one line");
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn what_is_known_is_written_and_nothing_else() {
        let arguments = RawValue::from_string(r#"{"a":[1e400]}"#.to_owned()).unwrap();
        let mut out = Vec::new();
        let record = Record {
            time: DateTime::from_timestamp_millis(1_000_000_000_007).unwrap(),
            role: Some("reader"),
            method: Some("tools/call"),
            backend: Some("files"),
            name: Some("read"),
            outcome: "error",
            code: Some(-32_603),
            milliseconds: Some(12),
            received: Some(345),
            sent: Some(0),
            trace: Some("0af7"),
            arguments: Some(&arguments),
            ..Record::of("key:a")
        };
        write(&mut out, &mut Clock::default(), &record);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"time":"2001-09-09T01:46:40.007Z","caller":"key:a","role":"reader","#,
                r#""method":"tools/call","backend":"files","name":"read","outcome":"error","#,
                r#""code":-32603,"milliseconds":12,"received":345,"sent":0,"trace":"0af7","#,
                r#""arguments":{"a":[1e400]}}"#,
                "\n"
            )
        );
        let mut refused = line(&Record::refused("user:1000", "no key"));
        refused.as_object_mut().unwrap().remove("time");
        let expected = json!({ "caller": "user:1000", "outcome": "refused", "why": "no key" });
        assert_eq!(refused, expected);
    }

    #[test]
    fn arguments_of_several_lines_forge_no_record() {
        let text = "{\"a\":\r\n{\"time\":\"\",\"caller\":\"root\"}\n}";
        let arguments = RawValue::from_string(text.to_owned()).unwrap();
        let line = line(&Record {
            arguments: Some(&arguments),
            ..Record::of("key:a")
        });
        assert_eq!(line["caller"], "key:a");
        assert_eq!(line["arguments"]["a"]["caller"], "root");
    }

    #[test]
    fn a_time_is_what_chrono_makes_of_it() {
        let mut clock = Clock::default();
        for milliseconds in [0, 7, 999, 1_000, 1_764_500_000_123, 999, -1] {
            let time = DateTime::from_timestamp_millis(milliseconds).unwrap();
            let mut out = Vec::new();
            clock.write(&mut out, time);
            let expected = time.to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(caller in any::<String>(), why in any::<String>()) {
            let line = line(&Record::refused(&caller, &why));
            prop_assert_eq!(&line["caller"], &json!(caller));
            prop_assert_eq!(&line["why"], &json!(why));
        }
    }
}
