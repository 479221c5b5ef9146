//! A JSON object read one level deep, and edits that leave every byte they do
//! not name as it was: member order, unknown members, number spelling, escapes
//! and white space.

use std::{borrow::Cow, ops::Range};

use serde_json::value::RawValue;

use super::scan;

/// A JSON object whose members are known by where they stand in the text.
///
/// Building one validates the syntax of the whole text, at any depth, without
/// decoding a value.
#[derive(Debug, Clone)]
pub struct RawObject<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

/// One member: its key and its value, both as written.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    key: &'a str,
    /// Any of the key is escaped.
    escaped: bool,
    value: &'a str,
}

/// Why a text is not the object that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Not JSON.
    #[error("{0}")]
    Syntax(String),
    /// JSON, but no object.
    #[error("not an object")]
    NotAnObject,
    /// A member that is acted upon stands there twice, so that two readers
    /// could see two different messages.
    #[error("duplicate member {0:?}")]
    Duplicate(String),
}

impl<'a> Member<'a> {
    /// One as written; `escaped` if any of its key is.
    pub(super) fn new(key: &'a str, escaped: bool, value: &'a str) -> Self {
        Self {
            key,
            escaped,
            value,
        }
    }

    /// The key with its escapes resolved. A key that holds a lone surrogate is
    /// returned as written; it equals no key that mcpmux knows.
    pub fn key(&self) -> Cow<'a, str> {
        let inner = &self.key[1..self.key.len() - 1];
        if self.escaped {
            serde_json::from_str::<String>(self.key).map_or(Cow::Borrowed(inner), Cow::Owned)
        } else {
            Cow::Borrowed(inner)
        }
    }

    /// Whether the key is `name`.
    fn is(&self, name: &str) -> bool {
        let inner = &self.key[1..self.key.len() - 1];
        inner == name || (self.escaped && self.key() == name)
    }

    /// The value's text.
    pub fn value(&self) -> &'a str {
        self.value
    }
}

impl<'a> RawObject<'a> {
    /// Reads `text`, which must be one JSON object and nothing else.
    pub fn parse(text: &'a str) -> Result<Self, RawError> {
        match scan::members(text) {
            Some(members) => Ok(Self { text, members }),
            None => Err(match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => RawError::NotAnObject,
                Err(error) => RawError::Syntax(error.to_string()),
            }),
        }
    }

    /// The members in their order.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The text of the member named `key`; an error if it stands there twice.
    pub fn get(&self, key: &str) -> Result<Option<&'a str>, RawError> {
        Ok(self.find(key)?.map(|index| self.members[index].value))
    }

    /// As [`get`](Self::get), decoded as a string; `None` as well if it is not one.
    pub fn get_str(&self, key: &str) -> Result<Option<Cow<'a, str>>, RawError> {
        Ok(self.get(key)?.and_then(decode_str))
    }

    fn find(&self, key: &str) -> Result<Option<usize>, RawError> {
        let mut found = None;
        for (index, member) in self.members.iter().enumerate() {
            if member.is(key) {
                if found.is_some() {
                    return Err(RawError::Duplicate(key.to_owned()));
                }
                found = Some(index);
            }
        }
        Ok(found)
    }

    /// Where `part`, a slice of this object's text, stands in it, in bytes.
    pub fn range_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.len()
    }

    /// Starts a rewrite of this object.
    pub fn edit(&self) -> Edit<'_, 'a> {
        Edit {
            object: self,
            changes: Vec::new(),
            added: Vec::new(),
        }
    }
}

/// A rewrite of a [`RawObject`]: members replaced, removed or added; all else
/// is copied as it stands.
#[derive(Debug)]
pub struct Edit<'o, 'a> {
    object: &'o RawObject<'a>,
    changes: Vec<(usize, Option<Cow<'o, str>>)>,
    added: Vec<(&'o str, Cow<'o, str>)>,
}

impl<'o> Edit<'o, '_> {
    /// Sets the member `key` to the JSON text `value`, in place if it is there,
    /// else as the last member.
    pub fn set(&mut self, key: &'o str, value: impl Into<Cow<'o, str>>) -> Result<(), RawError> {
        match self.object.find(key)? {
            Some(index) => self.changes.push((index, Some(value.into()))),
            None => self.added.push((key, value.into())),
        }
        Ok(())
    }

    /// Removes every member that `gone` says is gone, by its decoded key.
    pub fn remove_if(&mut self, gone: impl Fn(&str) -> bool) {
        for (index, member) in self.object.members.iter().enumerate() {
            if gone(&member.key()) {
                self.changes.push((index, None));
            }
        }
    }

    /// Whether anything would change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.added.is_empty()
    }

    /// The text of the rewritten object.
    pub fn finish(mut self) -> String {
        let RawObject { text, members } = self.object;
        self.changes.sort_by_key(|(index, _)| *index);
        let growth: usize = self
            .changes
            .iter()
            .filter_map(|(_, v)| v.as_ref().map(|v| v.len()))
            .sum::<usize>()
            + self
                .added
                .iter()
                .map(|(k, v)| k.len() + v.len() + 4)
                .sum::<usize>();
        let mut out = String::with_capacity(text.len() + growth);
        let close = text.rfind('}').unwrap_or(text.len());
        let mut at = 0;
        let mut left = members.len();
        for (index, change) in &self.changes {
            let member = &members[*index];
            let key = self.object.range_of(member.key);
            let value = self.object.range_of(member.value);
            if let Some(new) = change {
                out.push_str(&text[at..value.start]);
                out.push_str(new);
                at = value.end;
            } else {
                left -= 1;
                // A removed member takes one comma with it: the one behind it,
                // or, where no member follows that stays, the one before.
                out.push_str(&text[at..key.start]);
                if let Some(next) = members.get(index + 1) {
                    at = self.object.range_of(next.key).start;
                } else {
                    let kept = out.trim_end_matches([' ', '\t', '\r', '\n']).len();
                    if out[..kept].ends_with(',') {
                        out.truncate(kept - 1);
                    }
                    at = value.end;
                }
            }
        }
        out.push_str(&text[at..close]);
        for (index, (key, value)) in self.added.iter().enumerate() {
            if left > 0 || index > 0 {
                out.push(',');
            }
            out.push('"');
            out.push_str(key);
            out.push_str("\":");
            out.push_str(value);
        }
        out.push_str(&text[close..]);
        out
    }
}

/// Decodes a JSON string; `None` if `text` is something else or holds a lone
/// surrogate.
pub fn decode_str(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Encodes `value` as a JSON string.
pub fn encode_str(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// The elements of a JSON array as written; `None` if `text` is no array.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str, key: &str, value: &str) -> String {
        let object = RawObject::parse(text).unwrap();
        let mut edit = object.edit();
        edit.set(key, value).unwrap();
        edit.finish()
    }

    fn without(text: &str, keys: &[&str]) -> String {
        let object = RawObject::parse(text).unwrap();
        let mut edit = object.edit();
        edit.remove_if(|key| keys.contains(&key));
        edit.finish()
    }

    #[test]
    fn replacing_a_member_leaves_every_other_byte() {
        let text = "{ \"a\" : 1.0 ,\t\"b\":\"\\ud800\", \"c\":1e400}";
        assert_eq!(
            set(text, "b", "7"),
            "{ \"a\" : 1.0 ,\t\"b\":7, \"c\":1e400}"
        );
    }

    #[test]
    fn a_missing_member_is_put_last() {
        assert_eq!(set("{}", "a", "1"), "{\"a\":1}");
        assert_eq!(set("{ }", "a", "1"), "{ \"a\":1}");
        assert_eq!(set("{\"x\":[]}", "a", "1"), "{\"x\":[],\"a\":1}");
    }

    #[test]
    fn removing_takes_exactly_one_comma() {
        let text = "{\"a\":1, \"b\":2, \"c\":3}";
        assert_eq!(without(text, &["a"]), "{\"b\":2, \"c\":3}");
        assert_eq!(without(text, &["b"]), "{\"a\":1, \"c\":3}");
        assert_eq!(without(text, &["c"]), "{\"a\":1, \"b\":2}");
        assert_eq!(without(text, &["b", "c"]), "{\"a\":1}");
        assert_eq!(without(text, &["a", "b", "c"]), "{}");
    }

    #[test]
    fn an_escaped_key_is_the_same_key() {
        assert_eq!(set("{\"n\\u0061me\":1}", "name", "2"), "{\"n\\u0061me\":2}");
    }

    #[test]
    fn a_duplicate_that_matters_is_refused() {
        let object = RawObject::parse("{\"name\":1,\"n\\u0061me\":2,\"x\":1,\"x\":2}").unwrap();
        assert_eq!(object.get("name"), Err(RawError::Duplicate("name".into())));
        assert_eq!(object.get("y"), Ok(None));
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(RawObject::parse(&deep).is_ok());
    }

    fn json(depth: u32) -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1.0".to_owned()),
            Just("1e400".to_owned()),
            Just("\"\\ud800\"".to_owned()),
            "[ -~&&[^\"\\\\]]{0,6}".prop_map(|s| format!("\"{s}\"")),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|v| format!("[{}]", v.join(" , "))),
                prop::collection::vec(("[a-z]{1,3}", inner), 0..4).prop_map(|v| {
                    let members: Vec<_> =
                        v.iter().map(|(k, v)| format!(" \"{k}\" : {v} ")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        /// Whatever is edited, the rest is found again as it was, in its order.
        #[test]
        fn an_edit_keeps_the_other_members(
            values in prop::collection::vec(json(3), 0..6),
            removed in prop::collection::vec(any::<bool>(), 6),
            new in json(2),
        ) {
            let members: Vec<_> =
                values.iter().enumerate().map(|(i, v)| format!("\"k{i}\" :\n {v}")).collect();
            let text = format!(" {{ {} }} ", members.join(" ,"));
            let object = RawObject::parse(&text).unwrap();
            let mut edit = object.edit();
            edit.remove_if(|key| key[1..].parse::<usize>().is_ok_and(|i| removed[i]));
            edit.set("extra", new.as_str()).unwrap();
            let out = edit.finish();
            let read = RawObject::parse(&out).unwrap();
            let mut expected: Vec<_> = values.iter().enumerate()
                .filter(|(i, _)| !removed[*i]).map(|(i, v)| (format!("k{i}"), v.as_str())).collect();
            expected.push(("extra".to_owned(), &new));
            let seen: Vec<_> =
                read.members().iter().map(|m| (m.key().into_owned(), m.value())).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn nothing_panics(text in ".{0,64}") {
            if let Ok(object) = RawObject::parse(&text) {
                let mut edit = object.edit();
                edit.remove_if(|_| true);
                let out = edit.finish();
                prop_assert!(RawObject::parse(&out).is_ok());
            }
        }
    }
}
