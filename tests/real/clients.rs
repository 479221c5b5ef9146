//! Every real client connects, lists and calls through mcpmux.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    backend::Backend,
    install,
    mcpmux::{Config, Mcpmux},
    process::Process,
    servers::demo,
    session::{
        Negotiate::{Auto, Legacy},
        Sdk, Session,
    },
};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

#[test]
fn the_typescript_sdk_1_works_over_http() {
    works_over_http(Sdk::TypeScript1, LEGACY);
}

#[test]
fn the_typescript_sdk_2_works_over_http_by_default() {
    works_over_http(Sdk::TypeScript2(Legacy), LEGACY);
}

#[test]
fn the_typescript_sdk_2_works_over_http_when_it_negotiates() {
    works_over_http(Sdk::TypeScript2(Auto), MODERN);
}

#[test]
fn the_python_sdk_1_works_over_http() {
    works_over_http(Sdk::Python1, LEGACY);
}

#[test]
fn the_python_sdk_2_works_over_http_by_default() {
    works_over_http(Sdk::Python2(Auto), MODERN);
}

#[test]
fn the_python_sdk_2_works_over_http_in_legacy_mode() {
    works_over_http(Sdk::Python2(Legacy), LEGACY);
}

#[test]
fn the_typescript_sdk_1_works_over_stdio() {
    works_over_stdio(Sdk::TypeScript1, LEGACY);
}

#[test]
fn the_typescript_sdk_2_works_over_stdio_when_it_negotiates() {
    works_over_stdio(Sdk::TypeScript2(Auto), MODERN);
}

#[test]
fn the_python_sdk_1_works_over_stdio() {
    works_over_stdio(Sdk::Python1, LEGACY);
}

#[test]
fn the_python_sdk_2_works_over_stdio_by_default() {
    works_over_stdio(Sdk::Python2(Auto), MODERN);
}

fn works_over_http(sdk: Sdk, protocol: &str) {
    let mcpmux = Mcpmux::serve(&backends());
    let session = works(sdk, &mcpmux.over_http(), protocol);
    assert_eq!(session.complaints(), "");
    mcpmux.stop();
}

fn works_over_stdio(sdk: Sdk, protocol: &str) {
    let config = Config::new(&backends());
    works(sdk, &config.over_stdio(), protocol);
}

/// Two that start at once, so that the first list has the tools of both.
fn backends() -> [Backend; 2] {
    [demo(), demo().named("second")]
}

/// Lists, calls a tool of each backend, asks for progress, and names a tool that
/// is not there.
fn works(sdk: Sdk, connect: &Value, protocol: &str) -> Session {
    let slow = json!({ "seconds": 0.3, "steps": 3 });
    let session = sdk.session(
        connect,
        &[
            json!({ "name": "demo__add", "arguments": { "a": 40, "b": 2 } }),
            json!({ "name": "second__echo", "arguments": { "message": "hello" } }),
            json!({ "name": "demo__slow", "arguments": slow, "progress": true }),
            json!({ "name": "nobody__nothing" }),
        ],
    );
    assert_eq!(session.protocol(), protocol);
    for tool in ["demo__add", "demo__slow", "second__add", "second__echo"] {
        assert!(session.names().contains(&tool), "{:?}", session.names());
    }
    assert_eq!(session.text(0), r#"{"sum":42.0}"#);
    assert_eq!(session.text(1), "hello");

    let slow = session.calls()[2].as_array().unwrap();
    let progress: Vec<_> = slow
        .iter()
        .filter_map(|event| event["progress"]["progress"].as_f64())
        .collect();
    assert_eq!(progress, [1.0, 2.0, 3.0], "{slow:?}");
    assert_eq!(session.text(2), "Waited 0.3 s in 3 steps.");

    let error = &session.calls()[3][0]["error"];
    assert_eq!(error["code"], -32602, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("nobody__nothing"), "{message}");
    session
}

#[test]
fn the_inspector_works() {
    let mcpmux = Mcpmux::serve(&[demo()]);
    for era in ["legacy", "auto"] {
        let inspect = |arguments: &[&str]| -> Value {
            let printed = Process::start(
                "the Inspector",
                Command::new(install::node())
                    .arg(install::npm(".bin/mcp-inspector"))
                    .args(["--cli", mcpmux.url(), "--transport", "http"])
                    .args(["--format", "json", "--quiet", "--protocol-era", era])
                    .args(arguments)
                    .env("HOME", mcpmux.home()),
            )
            .finish()
            .0;
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
        };
        let listed = inspect(&["--method", "tools/list"]);
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert!(
            tools.iter().any(|tool| tool["name"] == "demo__add"),
            "{era}: {listed}"
        );

        let arguments = json!({ "a": 40, "b": 2 }).to_string();
        let called = inspect(&[
            "--method",
            "tools/call",
            "--tool-name",
            "demo__add",
            "--tool-args-json",
            &arguments,
        ]);
        assert_eq!(
            called["result"]["structuredContent"]["sum"], 42,
            "{era}: {called}"
        );
    }
    mcpmux.stop();
}
