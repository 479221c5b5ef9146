//! The list as one JSON document.

use serde_json::{Map, Value, json};

use super::entry::{Entry, Found};
use crate::mux::{Kind, Shown};

/// The document: every backend with how it is, and what it has of `kinds`.
pub(super) fn document(entries: &[Entry], kinds: &[Kind]) -> String {
    let backends: Vec<Value> = entries.iter().map(|entry| of(entry, kinds)).collect();
    format!("{:#}\n", json!({ "backends": backends }))
}

fn of(entry: &Entry, kinds: &[Kind]) -> Value {
    let mut object = match &entry.state {
        Found::Up {
            era,
            revision,
            server,
        } => json!({
            "name": entry.name,
            "state": "up",
            "lastKnown": false,
            "era": era,
            "revision": revision,
            "server": server,
        }),
        Found::Away { reason, known } => json!({
            "name": entry.name,
            "state": "unavailable",
            "lastKnown": known,
            "reason": &**reason,
        }),
    };
    for kind in kinds {
        let (list, ..) = keys(*kind);
        object[list] = entry.of_kind(*kind).map(item).collect();
    }
    object
}

/// The member that holds things of this kind, and of each the members that hold
/// what clients call it and what its backend does.
fn keys(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Tool => ("tools", "name", "tool"),
        Kind::Resource => ("resources", "uri", "resource"),
        Kind::Template => ("resourceTemplates", "uriTemplate", "template"),
        Kind::Prompt => ("prompts", "name", "prompt"),
    }
}

fn item(shown: &Shown) -> Value {
    let (_, name, own) = keys(shown.kind);
    let mut object = Map::new();
    object.insert(name.to_owned(), shown.name.as_str().into());
    object.insert(own.to_owned(), shown.own.as_str().into());
    let optional = [
        ("name", &shown.label),
        ("title", &shown.title),
        ("description", &shown.description),
        ("mimeType", &shown.mime_type),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            object.insert(key.to_owned(), value.as_str().into());
        }
    }
    object.into()
}
