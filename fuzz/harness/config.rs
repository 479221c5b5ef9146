//! The configuration: whatever the text is, reading it ends, tells no secret,
//! and finds no defect of its own.

use mcpmux::config::{Config, Environment};

/// What is said of a document that passes the validation and is no settings.
const DEFECT: &str = "a defect of mcpmux";

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let environment: Environment = [
        ("HOME", "/home/me"),
        ("TOKEN", "s3cret"),
        ("BAD", "s3cret\nx"),
    ]
    .into_iter()
    .collect();
    // What the text itself says may be quoted.
    if text.contains("s3cret") || text.contains(DEFECT) {
        return;
    }
    let said: String = match Config::parse(text, "m.yaml", &environment) {
        Ok(config) => {
            let unresolved = config
                .backends
                .iter()
                .filter_map(|b| b.transport.as_ref().err());
            let warnings = config.warnings.clone();
            unresolved
                .map(ToString::to_string)
                .chain(warnings)
                .collect()
        }
        Err(error) => error.to_string(),
    };
    assert!(!said.contains("s3cret"), "{said}");
    assert!(!said.contains(DEFECT), "{said}");
}
