//! The reference of all keys in Markdown, made from the schema as the
//! validation is. The README holds a copy, which a test keeps up to date.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::keyword::{has_type, strings};

/// A table of every key: path, type, default, meaning.
pub fn markdown() -> String {
    let mut table = "| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
    rows(&mut table, "", super::schema(), false);
    table
}

/// `not_yet` says that the whole of `schema` is not yet in effect.
fn rows(table: &mut String, path: &str, schema: &Json, not_yet: bool) {
    let properties = schema["properties"].as_object();
    for name in strings(&schema["x-order"]) {
        let Some(property) = properties.and_then(|properties| properties.get(name)) else {
            continue;
        };
        let (outer, property, mapping) = alternatives(property);
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        let required = strings(&schema["required"]).any(|required| required == name);
        let not_yet = not_yet || property["x-not-yet"] == true;
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{path}` | {} | {} | {} |",
            kind(property)
                + if mapping.is_some() {
                    ", or mapping"
                } else {
                    ""
                },
            default(property, required),
            meaning(outer, property, not_yet),
        );
        let property = mapping.unwrap_or(property);
        if has_type(&property["items"], "object") {
            rows(table, &format!("{path}[]"), &property["items"], not_yet);
        } else {
            rows(table, &path, property, not_yet);
        }
    }
}

/// The schema that says what a value is for, that of a single value, and that of
/// the mapping that may stand in its place.
fn alternatives(schema: &Json) -> (&Json, &Json, Option<&Json>) {
    let variants = schema["anyOf"].as_array().into_iter().flatten();
    let mut variants = variants.filter(|variant| variant["type"] != "null");
    let Some(first) = variants.next() else {
        return (schema, schema, None);
    };
    let (inner, value, mapping) = alternatives(first);
    let outer = if schema["description"].is_string() {
        schema
    } else {
        inner
    };
    let mapping = mapping.or_else(|| variants.find(|variant| has_type(variant, "object")));
    (outer, value, mapping)
}

fn kind(schema: &Json) -> String {
    let values: Vec<_> = variants(schema)
        .map(|(value, _)| format!("`{value}`"))
        .collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    let kind = match schema["format"].as_str() {
        Some("span") => "duration",
        Some("size") => "size",
        Some("share") => "percentage",
        Some("socket-address") => "address",
        Some("http-url") => "URL",
        Some("file" | "directory" | "url-path") => "path",
        _ if has_type(schema, "array") && has_type(&schema["items"], "object") => {
            "list of mappings"
        }
        _ if has_type(schema, "array") => "list of strings",
        _ if has_type(schema, "object") && schema["properties"].is_object() => "mapping",
        _ if has_type(schema, "object") => "mapping of strings",
        _ if has_type(schema, "boolean") => "`true`, `false`",
        _ if has_type(schema, "integer") => "number",
        _ => "string",
    };
    kind.to_owned()
}

fn default(schema: &Json, required: bool) -> String {
    match &schema["default"] {
        _ if required => "required".to_owned(),
        // That of a mapping with keys of its own is told by them.
        Json::Object(default) if !default.is_empty() => String::new(),
        Json::Null => String::new(),
        Json::String(text) if text.is_empty() => String::new(),
        Json::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn meaning(outer: &Json, schema: &Json, not_yet: bool) -> String {
    let mut meaning = sentence(&outer["description"]);
    for (value, variant) in variants(schema) {
        let not_yet = if variant["x-not-yet"] == true {
            " (not yet in effect)"
        } else {
            ""
        };
        let _ = write!(
            meaning,
            " `{value}`{not_yet}: {}",
            sentence(&variant["description"])
        );
    }
    if not_yet {
        meaning.push_str(" *Not yet in effect.*");
    }
    meaning.replace('|', "\\|")
}

/// The values that a key can have, with their descriptions.
fn variants(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.filter_map(|variant| Some((variant["const"].as_str()?, variant)))
}

/// A doc comment on one line.
fn sentence(description: &Json) -> String {
    let words: Vec<_> = description
        .as_str()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    words.join(" ").replace("`OAuth`", "OAuth")
}
