//! A definition as clients are shown it: another name or URI, a description
//! before its own, all else as it was.

use std::fmt::Write;

use crate::protocol::{RawObject, raw::encode_str};

/// `definition` with `value` as its member `key`.
pub(super) fn shown(definition: &str, key: &str, value: &str) -> String {
    edited(definition, (key, value), None)
}

/// `definition` of a tool with this `name`, and with `about` before its
/// description, or before `description` if one is given.
pub(super) fn described(
    definition: &str,
    name: &str,
    about: Option<&str>,
    description: Option<&str>,
) -> String {
    let new = description.map(encode_str);
    let own = RawObject::parse(definition)
        .ok()
        .and_then(|object| object.get("description").ok().flatten());
    let own = new.as_deref().or(own);
    let about = about.filter(|about| !about.trim().is_empty());
    let Some(about) = about.map(encode_str) else {
        return edited(definition, ("name", name), new);
    };
    // Spliced as text: an escape in the tool's own description stays.
    let description = match own.and_then(|own| own.strip_prefix('"')) {
        Some(own) if own != "\"" => {
            let mut text = about[..about.len() - 1].to_owned();
            let _ = write!(text, "\\n\\n{own}");
            text
        }
        _ => about,
    };
    edited(definition, ("name", name), Some(description))
}

/// `definition` with a member of this value, and with `description` (JSON text),
/// if there is one.
fn edited(definition: &str, (key, value): (&str, &str), description: Option<String>) -> String {
    let Ok(object) = RawObject::parse(definition) else {
        return definition.to_owned();
    };
    let mut edit = object.edit();
    let mut changed = edit.set(key, encode_str(value));
    if let Some(description) = description {
        changed = changed.and_then(|()| edit.set("description", description));
    }
    // A definition that names itself twice has been refused by the inventory.
    if changed.is_ok() {
        edit.finish()
    } else {
        definition.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_changes_in_name_and_description_only() {
        let text = r#"{ "x":1.0, "description":"a\ud800\"b", "name":"t" ,"y":[ ]}"#;
        assert_eq!(
            described(text, "s__t", Some("Files \"of\" mine"), None),
            r#"{ "x":1.0, "description":"Files \"of\" mine\n\na\ud800\"b", "name":"s__t" ,"y":[ ]}"#
        );
        assert_eq!(
            described(r#"{"name":"t"}"#, "t", Some("A"), None),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(
            described(r#"{"name":"t","description":""}"#, "t", Some("A"), None),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(shown(r#"{"name":"t"}"#, "name", "u"), r#"{"name":"u"}"#);
        assert_eq!(
            described(text, "s__t", Some("A"), Some("B\"")),
            r#"{ "x":1.0, "description":"A\n\nB\"", "name":"s__t" ,"y":[ ]}"#
        );
        assert_eq!(
            described(r#"{"name":"t"}"#, "t", None, Some("B")),
            r#"{"name":"t","description":"B"}"#
        );
    }
}
