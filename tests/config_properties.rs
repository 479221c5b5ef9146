//! Whatever the text of a configuration is: reading it ends, and tells no
//! secret.

use mcpmux::config::{Config, Environment};
use proptest::prelude::*;

fn environment() -> Environment {
    [
        ("HOME", "/home/me"),
        ("TOKEN", "s3cret"),
        ("BAD", "s3cret\nx"),
    ]
    .into_iter()
    .collect()
}

/// Documents of the right words in any order, which get further than any text.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "listen:",
        "backends:",
        "- name: a",
        "- name: b",
        "name:",
        "transport:",
        "command",
        "command:",
        "http",
        "env:",
        "auth:",
        "type:",
        "oauth",
        "bearer",
        "token:",
        "${TOKEN}",
        "\"${BAD}\"",
        "${NONE}",
        "$${",
        "${",
        "~",
        "null",
        "endpoint:",
        "https://a",
        "timeout:",
        "5m",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x",
        "*x",
        "<<: *x",
        "!t",
        "tools:",
        "limits:",
        "tasks:",
        "sandbox:",
        "headers:",
        "X-A: b",
        "enabled:",
        "true",
        "7",
        "'",
        "- ",
        "|",
        ": ",
        "#",
        "---",
        "\t",
    ]);
    let gap = prop::sample::select(vec![" ", "\n", "\n  ", "\n    ", "\n      "]);
    prop::collection::vec((word, gap), 0..40)
        .prop_map(|words| words.iter().flat_map(|(word, gap)| [*word, *gap]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = Config::parse(&text, "m.yaml", &environment());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::parse(&String::from_utf8_lossy(&bytes), "m.yaml", &environment());
    }

    #[test]
    fn no_document_makes_it_panic_or_tell_a_secret(text in words()) {
        let said = match Config::parse(&text, "m.yaml", &environment()) {
            Ok(config) => {
                let unresolved = config.backends.iter().filter_map(|b| b.transport.as_ref().err());
                unresolved.map(ToString::to_string).chain(config.warnings.clone()).collect()
            }
            Err(error) => error.to_string(),
        };
        prop_assert!(!said.contains("s3cret"), "{said}");
        prop_assert!(!said.contains("a defect of mcpmux"), "{said}");
    }
}
