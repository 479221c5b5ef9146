//! A definition as clients are shown it: another name or URI, a description
//! before its own, all else as it was.

use std::fmt::Write;

use crate::protocol::{RawObject, raw::encode_str};

/// `definition` with `value` as its member `key`, and with `about` before its
/// description.
pub(super) fn shown(definition: &str, key: &str, value: &str, about: Option<&str>) -> String {
    let Ok(object) = RawObject::parse(definition) else {
        return definition.to_owned();
    };
    let mut edit = object.edit();
    let mut changed = edit.set(key, encode_str(value));
    if let Some(about) = about.filter(|about| !about.trim().is_empty()) {
        // Spliced as text: an escape in the tool's own description stays.
        let own = object
            .get("description")
            .ok()
            .flatten()
            .and_then(|text| text.strip_prefix('"'));
        let about = encode_str(about);
        let description = match own {
            Some(own) if own != "\"" => {
                let mut text = about[..about.len() - 1].to_owned();
                let _ = write!(text, "\\n\\n{own}");
                text
            }
            _ => about,
        };
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
            shown(text, "name", "s__t", Some("Files \"of\" mine")),
            r#"{ "x":1.0, "description":"Files \"of\" mine\n\na\ud800\"b", "name":"s__t" ,"y":[ ]}"#
        );
        assert_eq!(
            shown(r#"{"name":"t"}"#, "name", "t", Some("A")),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(
            shown(r#"{"name":"t","description":""}"#, "name", "t", Some("A")),
            r#"{"name":"t","description":"A"}"#
        );
        assert_eq!(
            shown(r#"{"name":"t"}"#, "name", "u", None),
            r#"{"name":"u"}"#
        );
    }
}
