//! What a scalar's text is worth where the schema takes a single value.

use serde_json::Value as Json;

use super::{
    format,
    keyword::{has_type, strings},
};
use crate::nearest::nearest;

/// Why a scalar is not what its key takes.
pub(super) struct Wrong {
    pub(super) what: String,
    /// Whether a message may show the scalar.
    pub(super) shown: bool,
    /// What would have been right.
    pub(super) suggestion: Option<String>,
}

/// The JSON value of a scalar's text. Where a string is asked for, any scalar
/// will do, spelled as it is (`1.0` stays `1.0`).
pub(super) fn convert(text: &str, plain: bool, schema: &Json) -> Result<Json, Wrong> {
    let wrong = |what: String, shown: bool| Wrong {
        what,
        shown,
        suggestion: None,
    };
    let values: Vec<&str> = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|variant| variant["const"].as_str())
        .chain(strings(&schema["enum"]))
        .collect();
    if !values.is_empty() {
        if values.contains(&text) {
            return Ok(Json::from(text));
        }
        let suggestion = nearest(text, values.iter().copied());
        return Err(Wrong {
            suggestion,
            ..wrong(format!("is none of {}", values.join(", ")), true)
        });
    }
    if has_type(schema, "string") {
        let format = schema["format"].as_str().unwrap_or("");
        return match format::check(format, text) {
            Ok(()) => Ok(Json::from(text)),
            Err(what) => Err(wrong(what, format::is_public(format))),
        };
    }
    if has_type(schema, "boolean") {
        // The words of YAML 1.1 as well: many people know no others.
        return match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" if plain => Ok(Json::Bool(true)),
            "false" | "no" | "off" if plain => Ok(Json::Bool(false)),
            _ => Err(wrong(
                "must be true or false (without quotes)".to_owned(),
                false,
            )),
        };
    }
    let least = schema["minimum"].as_f64().unwrap_or(0.0);
    let most = schema["maximum"].as_f64().unwrap_or(f64::from(u32::MAX));
    match text.parse::<u32>() {
        Ok(number) if plain && (least..=most).contains(&f64::from(number)) => {
            Ok(Json::from(number))
        }
        _ => Err(wrong(
            format!("must be a whole number from {least} to {most}"),
            false,
        )),
    }
}
