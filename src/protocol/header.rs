//! The `Mcp-*` HTTP headers, and tool parameters mirrored into them
//! (2026-07-28, `basic/transports/streamable-http`, Request Metadata).

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::raw::{RawObject, decode_str};

/// The revision of a request; legacy since 2025-06-18, and modern.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// A legacy session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Mirrors `method`; modern.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Mirrors `params.name` or `params.uri`; modern.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Begins the name of a header that mirrors a tool's parameter; modern.
pub const PARAM_PREFIX: &str = "mcp-param-";

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// `value` as a header value, in the base64 form where a header cannot hold it
/// as it is.
pub fn encode(value: &str) -> HeaderValue {
    let plain = value
        .bytes()
        .all(|b| (0x20..=0x7e).contains(&b) || b == b'\t')
        && value.trim_matches([' ', '\t']) == value
        && !(value.starts_with(OPEN) && value.ends_with(CLOSE));
    let text = if plain {
        value.to_owned()
    } else {
        format!("{OPEN}{}{CLOSE}", STANDARD.encode(value))
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The value that a header stands for; `None` if it is malformed.
pub fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    match text
        .strip_prefix(OPEN)
        .and_then(|rest| rest.strip_suffix(CLOSE))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

/// A tool's parameter that is mirrored into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// `Mcp-Param-<name>`.
    pub name: HeaderName,
    /// The `properties` keys that lead to the parameter.
    path: Vec<String>,
}

/// The parameters that `input_schema` (JSON text) asks to mirror.
///
/// Error: what makes the definition invalid; over HTTP such a tool must not be
/// offered.
pub fn param_headers(input_schema: &str) -> Result<Vec<ParamHeader>, String> {
    if !input_schema.contains("x-mcp-header") {
        return Ok(Vec::new());
    }
    let schema: Value = serde_json::from_str(input_schema).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let mut reached = 0;
    collect(&schema, &mut Vec::new(), &mut found, &mut reached)?;
    if annotations(&schema) != reached {
        return Err(
            "x-mcp-header on a property that is not reached by `properties` alone".to_owned(),
        );
    }
    let mut names = HashSet::new();
    match found
        .iter()
        .find(|header| !names.insert(header.name.clone()))
    {
        Some(header) => Err(format!("two parameters ask for the header {}", header.name)),
        None => Ok(found),
    }
}

fn collect(
    schema: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<ParamHeader>,
    reached: &mut usize,
) -> Result<(), String> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (key, property) in properties {
        path.push(key.clone());
        if let Some(wanted) = property.get("x-mcp-header") {
            *reached += 1;
            let place = path.join(".");
            if !matches!(
                property.get("type").and_then(Value::as_str),
                Some("string" | "integer" | "boolean")
            ) {
                return Err(format!(
                    "x-mcp-header on {place}, which is no string, integer or boolean"
                ));
            }
            let name = wanted
                .as_str()
                .filter(|name| !name.is_empty())
                .and_then(|name| HeaderName::try_from(format!("{PARAM_PREFIX}{name}")).ok())
                .ok_or_else(|| format!("x-mcp-header on {place} is no header name"))?;
            found.push(ParamHeader {
                name,
                path: path.clone(),
            });
        }
        collect(property, path, found, reached)?;
        path.pop();
    }
    Ok(())
}

/// How many schemas below `value` carry an annotation, wherever they stand.
fn annotations(value: &Value) -> usize {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, inner)| match (key.as_str(), inner) {
                ("x-mcp-header", _) => 1,
                // A property may itself be called x-mcp-header.
                ("properties", Value::Object(inner)) => inner.values().map(annotations).sum(),
                ("default" | "const" | "enum" | "examples", _) => 0,
                _ => annotations(inner),
            })
            .sum(),
        Value::Array(items) => items.iter().map(annotations).sum(),
        _ => 0,
    }
}

impl ParamHeader {
    /// The text that mirrors this parameter's value in `arguments` (JSON text);
    /// `None` if it is absent, null or of no primitive type.
    pub fn value(&self, arguments: &str) -> Option<String> {
        let mut at = arguments;
        for key in &self.path {
            at = RawObject::parse(at).ok()?.get(key).ok()??;
        }
        match at.as_bytes().first()? {
            b'"' => decode_str(at).map(std::borrow::Cow::into_owned),
            b't' | b'f' | b'-' | b'0'..=b'9' => Some(at.to_owned()),
            _ => None,
        }
    }

    /// Whether `header` says the same as the parameter in the body; numbers are
    /// compared as numbers.
    pub fn matches(&self, header: Option<&HeaderValue>, arguments: &str) -> bool {
        match (header.map(decode), self.value(arguments)) {
            (None, None) => true,
            (Some(Some(said)), Some(meant)) => {
                said == meant
                    || matches!((said.parse::<f64>(), meant.parse::<f64>()), (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq())
            }
            _ => false,
        }
    }
}

/// What a header that may stand there once says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is absent.
    Nothing,
    /// This, decoded.
    Value(String),
    /// It stands there twice, or is malformed.
    Nonsense,
}

/// What the header `name` says.
pub fn single(headers: &HeaderMap, name: &HeaderName) -> Said {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Said::Nothing,
        (Some(value), None) => decode(value).map_or(Said::Nonsense, Said::Value),
        _ => Said::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_header_cannot_hold_travel_in_base64() {
        for (value, expected) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encode(value), expected);
            assert_eq!(decode(&encode(value)).as_deref(), Some(value));
        }
    }

    #[test]
    fn annotated_parameters_are_read_at_their_path() {
        let schema = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "at":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}"#;
        let headers = param_headers(schema).unwrap();
        let values: Vec<_> = headers
            .iter()
            .map(|h| (h.name.as_str(), h.value(r#"{"region":"eu","at":{"n":7}}"#)))
            .collect();
        assert!(values.contains(&("mcp-param-region", Some("eu".into()))));
        assert!(values.contains(&("mcp-param-n", Some("7".into()))));
        assert!(
            headers
                .iter()
                .all(|h| h.value(r#"{"region":null}"#).is_none())
        );
        let n = headers.iter().find(|h| h.name == "mcp-param-n").unwrap();
        assert!(n.matches(Some(&HeaderValue::from_static("7.0")), r#"{"at":{"n":7}}"#));
        assert!(!n.matches(None, r#"{"at":{"n":7}}"#));
    }

    #[test]
    fn invalid_annotations_make_the_tool_invalid() {
        for schema in [
            r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
            r#"{"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}}"#,
        ] {
            assert!(param_headers(schema).is_err(), "{schema}");
        }
        assert_eq!(
            param_headers(r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#),
            Ok(vec![])
        );
    }
}
