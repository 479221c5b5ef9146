//! The client: connects, lists the tools, takes the steps of its plan and prints
//! what it saw, as `tests/real/clients/session.mjs` does.

use std::{process::Stdio, time::Duration};

use rmcp::{ClientLifecycleMode, ClientServiceExt as _, model::ProtocolVersion};
use serde_json::{Value, json};
use tokio::{process::Command, time::sleep};

use crate::steps::{Heard, Steps};

/// Runs the plan: `connect` ({command, args, env, until}), `negotiate` ("legacy"
/// or "auto") and `calls`, the steps, taken once all the tools named in `until`
/// are listed.
pub(crate) async fn run(plan: &str) {
    let plan: Value = serde_json::from_str(plan).unwrap();
    let connect = &plan["connect"];
    let mut command = Command::new(connect["command"].as_str().unwrap());
    for argument in connect["args"].as_array().unwrap() {
        command.arg(argument.as_str().unwrap());
    }
    for (name, value) in connect["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap());
    }
    let mut server = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
    let lifecycle = if plan["negotiate"] == "auto" {
        ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        }
    } else {
        ClientLifecycleMode::Initialize
    };
    let client = Heard::default()
        .serve_with_lifecycle(pipes, lifecycle)
        .await
        .unwrap();

    let about = json!(client.peer_info());
    let protocol = about["protocolVersion"].as_str().unwrap().to_owned();
    let mut tools = client.list_all_tools().await.unwrap();
    for wanted in connect["until"].as_array().into_iter().flatten() {
        while !tools.iter().any(|tool| *wanted == *tool.name) {
            sleep(Duration::from_millis(100)).await;
            tools = client.list_all_tools().await.unwrap();
        }
    }
    let mut steps = Steps::new(client, protocol.as_str() >= "2026");
    let todo = plan["calls"].as_array().cloned().unwrap_or_default();
    if todo.iter().any(|step| step["log"] == true) {
        steps.want_log().await;
    }
    let mut calls = Vec::new();
    for step in &todo {
        calls.push(steps.take(step).await);
    }
    let seen = json!({
        "protocol": protocol,
        "server": about["serverInfo"],
        "instructions": about["instructions"],
        "tools": tools,
        "calls": calls,
    });
    steps.close().await;
    server.wait().await.unwrap();
    println!("{seen}");
}
