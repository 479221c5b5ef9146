//! Calls of tools and what comes in their course.

use crate::{
    scene::{Scene, calls, is},
    support::{Event, at, member},
};

fn call(scene: &Scene<'_>, tool: &str) {
    let message = scene.call(tool, None, "");
    scene.see_answer(&scene.client.send(&message));
}

/// `tools/call`.
pub(crate) fn plain(scene: &Scene<'_>) {
    let arguments = r#"{"n":1.0, "s":"\u0061","big":1152921504606846976}"#;
    let message = scene.call("call", None, &format!(r#","arguments":{arguments}"#));
    scene.see_answer(&scene.client.send(&message));
    let heard = scene.peer.messages("tools/call");
    let last = heard.last().expect("the backend was called");
    scene.see("heard", &at(last, &["params", "name"]));
    scene.see("arguments", &at(last, &["params", "arguments"]));
}

/// A result with an object beside its text.
pub(crate) fn object(scene: &Scene<'_>) {
    call(scene, "object");
}

/// A result with something else beside its text.
pub(crate) fn array(scene: &Scene<'_>) {
    call(scene, "array");
}

/// Log messages in the course of a call.
pub(crate) fn logs(scene: &Scene<'_>) {
    let mut message = scene.call("logs", None, "");
    if scene.revision.is_modern() {
        let level = r#""_meta":{"io.modelcontextprotocol/logLevel":"warning","#;
        message = message.replace(r#""_meta":{"#, level);
    } else {
        scene.request("logging/setLevel", r#""level":"warning""#);
    }
    scene.see_answer(&scene.client.send(&message));
}

/// Progress under the client's token.
pub(crate) fn progress(scene: &Scene<'_>) {
    let message = scene.call("progress", Some(r#""t\u006fken""#), "");
    scene.see_answer(&scene.client.send(&message));
}

/// A call that the client gives up, which ends it at the backend.
pub(crate) fn cancelled(scene: &Scene<'_>) {
    let skipped = scene.heard().len();
    let message = scene.call("wait", None, "");
    let connection = scene.client.post(&message);
    let called = scene.hears("the call", skipped, |message| calls(message, "wait"));
    if scene.revision.is_modern() {
        drop(connection);
    } else {
        let id = at(&message, &["id"]);
        scene.client.notify(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"en\u006fugh"}}}}"#
        ));
    }
    let id = at(&called, &["id"]);
    if scene.backend.is_modern() && scene.peer.listens() {
        scene.peer.wait("the end of the call's stream", |events| {
            let gone = |event: &Event| matches!(event, Event::Gone(k) if k == "tools/call wait");
            events.iter().any(gone).then_some(())
        });
    } else {
        let told = scene.hears("the cancellation", skipped, |message| {
            is(message, "notifications/cancelled") && at(message, &["params", "requestId"]) == id
        });
        let reason = at(&told, &["params"]);
        let reason = member(&reason, "reason").unwrap_or_default();
        if !scene.revision.is_modern() {
            assert_eq!(reason, r#""en\u006fugh""#, "the reason");
        }
    }
    scene.see("the call", "ended at the backend");
}

/// `ping`.
pub(crate) fn ping(scene: &Scene<'_>) {
    let answer = scene.client.request("ping", "");
    if member(&answer.response, "error").is_some() {
        scene.see("code", &answer.error().0.to_string());
    } else {
        scene.see_answer(&answer);
    }
}
