//! What of a tool's definition is remembered, in a form in which neither the order
//! of members nor spaces nor the spelling of a string counts.

use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol::{
    RawObject,
    raw::{decode_str, elements, encode_str},
};

/// The members that count beside the name.
const MEMBERS: [&str; 5] = [
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
];

/// The most bytes of a member that are kept to be shown.
const MAX: usize = 16 * 1024;

/// How deep a value is read; what is deeper counts as it is spelled.
const DEPTH: usize = 64;

/// What a tool is, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// Of all members, whole, in hexadecimal.
    pub(super) digest: String,
    /// Each member that is there, JSON text, cut at [`MAX`] bytes.
    pub(super) members: BTreeMap<String, String>,
}

impl Content {
    /// That of a tool's definition.
    pub(super) fn of(definition: &str) -> Self {
        let mut hash = Sha256::new();
        let mut members = BTreeMap::new();
        let object = RawObject::parse(definition).ok();
        for name in MEMBERS {
            let member = match object.as_ref().map(|object| object.get(name)) {
                Some(Ok(None)) => continue,
                Some(Ok(Some(value))) => canonical(value, DEPTH),
                // What is there twice may be read either way, so all of it counts.
                Some(Err(_)) | None => definition.to_owned(),
            };
            hash.update(name);
            hash.update([0]);
            hash.update(&member);
            hash.update([0]);
            let mut end = member.len().min(MAX);
            while !member.is_char_boundary(end) {
                end -= 1;
            }
            members.insert(name.to_owned(), member[..end].to_owned());
        }
        let mut digest = String::new();
        for byte in &hash.finalize()[..16] {
            // Writing to a string cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { digest, members }
    }
}

/// A JSON value with its members in order and without spaces; one that is there
/// twice is there twice.
fn canonical(value: &str, depth: usize) -> String {
    if let Some(text) = decode_str(value) {
        return encode_str(&text);
    }
    if depth > 0
        && let Ok(object) = RawObject::parse(value)
    {
        let members = object.members().iter();
        let mut members: Vec<_> = members
            .map(|member| (member.key(), member.value()))
            .collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        let member = |(key, value): &(_, &str)| {
            let key: &std::borrow::Cow<'_, str> = key;
            format!("{}:{}", encode_str(key), canonical(value, depth - 1))
        };
        return format!(
            "{{{}}}",
            members.iter().map(member).collect::<Vec<_>>().join(",")
        );
    }
    if depth > 0
        && value.starts_with('[')
        && let Some(items) = elements(value)
    {
        let items = items.iter().map(|item| canonical(item, depth - 1));
        return format!("[{}]", items.collect::<Vec<_>>().join(","));
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: &str = r#"{"name":"t","description":"A \"b\"","inputSchema":{"type":"object","properties":{"a":{"type":"string"},"b":{}}},"annotations":{"readOnlyHint":true}}"#;

    #[test]
    fn spelling_does_not_count() {
        let other = r#" { "annotations":{ "readOnlyHint" : true }, "inputSchema":{"properties":{"b":{ },"a":{"type":"str\u0069ng"}},"type":"object"},"name":"u","description":"A \u0022b\"","x":1 }"#;
        assert_eq!(Content::of(TOOL), Content::of(other.trim()));
    }

    #[test]
    fn every_member_counts_and_so_does_one_that_is_there_twice() {
        let digest = |text: &str| Content::of(text).digest;
        let own = digest(TOOL);
        for (from, to) in [
            (r#"A \"b\""#, "A b"),
            (r#"{"name":"t","#, r#"{"name":"t","title":"T","#),
            (r#""b":{}"#, r#""b":{"default":1}"#),
            (":true", ":false"),
            (r#""type":"object""#, r#""type":"object","type":"array""#),
            (r#"{"name":"t","#, r#"{"name":"t","description":"B","#),
            (r#"{"name":"t","#, r#"{"name":"t","outputSchema":{},"#),
        ] {
            let changed = TOOL.replacen(from, to, 1);
            assert_ne!(changed, TOOL);
            assert_ne!(digest(&changed), own, "{changed}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!(
            "{{\"inputSchema\":{}1{}}}",
            "[".repeat(5000),
            "]".repeat(5000)
        );
        assert_eq!(Content::of(&deep).members.len(), 1);
        let long = |end: char| format!("{{\"description\":\"{}{end}\"}}", "é".repeat(MAX));
        let (one, other) = (Content::of(&long('a')), Content::of(&long('b')));
        assert!(one.members["description"].len() <= MAX);
        assert_ne!(one.digest, other.digest);
        assert_eq!(one.members, other.members);
    }
}
