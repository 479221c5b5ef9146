//! Questions to a JSON Schema: the keywords that the document's schema is made
//! of (<https://json-schema.org/draft/2020-12/json-schema-validation>).

use serde_json::{Map, Value as Json};

/// The tag and its value, if the condition of `rule` holds for `object`.
pub(super) fn applies<'r>(
    rule: &'r Json,
    object: &Map<String, Json>,
    given: impl Fn(&str) -> bool,
) -> Option<(&'r str, &'r str)> {
    let (tag, condition) = rule["if"]["properties"].as_object()?.iter().next()?;
    let expected = condition["const"].as_str()?;
    let holds = match object.get(tag) {
        Some(value) => value == expected,
        // A tag that is there and wrong says nothing about its siblings.
        None => !given(tag) && rule["if"]["required"].is_null(),
    };
    holds.then_some((tag, expected))
}

/// The schema of the key `name`, known or free.
pub(super) fn property<'s>(schema: &'s Json, name: &str) -> Option<&'s Json> {
    schema["properties"]
        .get(name)
        .or_else(|| Some(&schema["additionalProperties"]).filter(|free| free.is_object()))
}

/// Whether a value of the type `name` may stand there.
pub(super) fn has_type(schema: &Json, name: &str) -> bool {
    match &schema["type"] {
        Json::String(one) => one == name,
        Json::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// The strings of a list, as in `required` and `enum`.
pub(super) fn strings(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

/// What a key takes, in words.
pub(super) fn named(schema: &Json) -> &'static str {
    if has_type(schema, "object") {
        "a mapping"
    } else if has_type(schema, "array") {
        if has_type(&schema["items"], "object") {
            "a list of mappings"
        } else {
            "a list, such as [a, b]"
        }
    } else if has_type(schema, "boolean") {
        "true or false"
    } else if has_type(schema, "integer") && !has_type(schema, "string") {
        "a number"
    } else {
        "a string"
    }
}

/// Whether `value` says anything other than `default` does.
pub(super) fn differs(value: &Json, default: &Json) -> bool {
    match (value, default) {
        (Json::Object(value), Json::Object(default)) => value
            .iter()
            .any(|(key, value)| differs(value, default.get(key).unwrap_or(&Json::Null))),
        _ => value != default,
    }
}
