//! The tools that the benchmark's backend offers: `echo`, and as many more of
//! the same kind as are asked for, each with a schema of an ordinary size.

use serde::Serialize;
use serde_json::{Value, json};

/// A tool's definition (`server/tools` in the specification).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tool {
    name: String,
    description: String,
    input_schema: Value,
}

/// `count` tools; the first is `echo`, the others are `tool_001` and so on.
pub(super) fn tools(count: usize) -> Vec<Tool> {
    (0..count)
        .map(|n| Tool {
            name: if n == 0 { "echo".to_owned() } else { format!("tool_{n:03}") },
            description: "Gives back the text it is called with, unchanged. One of many tools of the same kind, \
                          with a description as long as most tools have."
                .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "text": { "type": "string", "description": "What to give back." },
                    "language": { "type": "string", "enum": ["en", "de", "fr"], "default": "en" },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 1000 },
                },
                "required": ["text"],
            }),
        })
        .collect()
}

/// Whether a tool of that name is offered.
pub(super) fn is_known(name: &str) -> bool {
    name == "echo" || name.starts_with("tool_")
}
