//! `mcpmux check` and what every verb says of a bad configuration.

use std::fs;

use super::{Desk, err, exits, out};

#[test]
fn a_good_configuration_is_checked_quietly_enough() {
    let desk =
        Desk::new("backends:\n  - name: files\n    transport: command\n    command: [cat]\n");
    let output = desk.run(&["check"]);
    exits(&output, 0);
    assert!(
        !err(&output).to_lowercase().contains("warn"),
        "{}",
        err(&output)
    );
    let named = desk.run(&["check", "-c", "mcpmux.yaml"]);
    exits(&named, 0);
}

#[test]
fn all_errors_of_a_configuration_are_told_at_once_with_their_places() {
    let desk = Desk::new(
        "listen:\n  adress: 127.0.0.1:1\nbackends:\n  - name: a__b\n    transport: command\n    command: [cat]\n  - name: web\n    transport: http\n    endpoint: \"not a url\"\n    timeout: soon\n",
    );
    for verb in ["check", "serve", "list"] {
        let output = desk.run(&[verb]);
        exits(&output, 78);
        let said = err(&output);
        for part in [
            "mcpmux.yaml:2:",
            "listen.adress",
            "address",
            "mcpmux.yaml:4:",
            "backends[0].name",
            "mcpmux.yaml:9:",
            "backends[1].endpoint",
            "mcpmux.yaml:10:",
            "backends[1].timeout",
        ] {
            assert!(
                said.contains(part),
                "{verb}: {part:?} is missing in:\n{said}"
            );
        }
    }
}

#[test]
fn a_document_that_is_no_yaml_is_a_configuration_error_with_its_place() {
    let desk = Desk::new("backends:\n  - name: [unclosed\n");
    let output = desk.run(&["check"]);
    exits(&output, 78);
    assert!(err(&output).contains("mcpmux.yaml"), "{}", err(&output));
}

#[test]
fn a_configuration_that_is_not_there_is_said_with_where_it_was_sought() {
    let desk = Desk::new("");
    fs::remove_file(desk.path().join("mcpmux.yaml")).expect("it was there");
    let output = desk.run(&["check", "-c", "other.yaml"]);
    exits(&output, 78);
    assert!(err(&output).contains("other.yaml"), "{}", err(&output));
    let output = desk.run(&["check"]);
    exits(&output, 78);
    for place in [
        "mcpmux.yaml",
        ".config/mcpmux/config.yaml",
        ".config/mcpmux.yaml",
    ] {
        assert!(
            err(&output).contains(place),
            "{place} is missing: {}",
            err(&output)
        );
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let desk = Desk::new("token_store: { key_file: /somewhere/key }\nbackends: []\n");
    let output = desk.run(&["check"]);
    exits(&output, 0);
    let all = format!("{}{}", out(&output), err(&output));
    assert!(
        all.contains("warning: `token_store.key_file` has no effect"),
        "{all}"
    );
}

#[test]
fn the_schema_is_a_json_schema_of_the_document() {
    let output = Desk::new("").run(&["check", "--schema"]);
    exits(&output, 0);
    let schema: serde_json::Value = serde_json::from_str(&out(&output)).expect("it is JSON");
    assert!(schema["$schema"].is_string());
    assert!(schema["properties"]["backends"].is_object(), "{schema}");
}
