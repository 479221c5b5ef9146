//! What a server asks its client in the course of a call, in either era's form.

use std::cell::Cell;

use crate::{
    scene::{Scene, is},
    support::{at, member, members, text},
};

/// `roots/list`.
pub(crate) fn roots(scene: &Scene<'_>) {
    asked(scene, "roots");
}

/// `sampling/createMessage`.
pub(crate) fn sample(scene: &Scene<'_>) {
    asked(scene, "sample");
}

/// `sampling/createMessage` with tools.
pub(crate) fn sample_tools(scene: &Scene<'_>) {
    asked(scene, "sample-tools");
}

/// `elicitation/create` of a form.
pub(crate) fn form(scene: &Scene<'_>) {
    asked(scene, "form");
}

/// `elicitation/create` of a URL.
pub(crate) fn url(scene: &Scene<'_>) {
    asked(scene, "url");
}

/// A call that fails until a URL was visited.
pub(crate) fn visit(scene: &Scene<'_>) {
    asked(scene, "visit");
    // A legacy server hears of it in its own way, not in the call's course.
    scene
        .seen
        .borrow_mut()
        .retain(|seen| seen.what != "answered");
}

/// Calls the tool, answers what is asked, and notes both and what the backend
/// got of it.
fn asked(scene: &Scene<'_>, tool: &str) {
    let skipped = scene.heard().len();
    if scene.revision.is_modern() {
        in_rounds(scene, tool);
    } else {
        let count = Cell::new(0);
        let message = scene.call(tool, None, "");
        let answer = scene.client.converse(&message, |request| {
            count.set(count.get() + 1);
            see_question(scene, request);
            answer(request)
        });
        let others = answer.before.len() - count.get();
        assert_eq!(others, 0, "more than questions: {:?}", answer.before);
        scene.see("response", &answer.response);
    }
    for message in scene.heard().iter().skip(skipped) {
        let answered = if is(message, "tools/call") {
            check_abilities(scene, message);
            let responses = member(&at(message, &["params"]), "inputResponses");
            responses.and_then(|responses| members(&responses).pop())
        } else {
            if member(message, "error").is_some() {
                scene.see("refused", &at(message, &["error", "code"]));
            }
            members(message)
                .into_iter()
                .find(|(key, _)| key == "result")
        };
        if let Some((_, result)) = answered {
            scene.see("answered", &result);
        }
    }
}

/// A modern backend is told in each call what a legacy client can do; that tasks
/// are followed for it is mcpmux's own.
#[track_caller]
fn check_abilities(scene: &Scene<'_>, call: &str) {
    if scene.revision.is_modern() || !scene.backend.is_modern() {
        return;
    }
    let key = "io.modelcontextprotocol/clientCapabilities";
    let mut told = members(&at(call, &["params", "_meta", key]));
    told.retain(|(key, _)| key != "extensions");
    assert_eq!(told, members(scene.revision.abilities()));
}

/// Goes through the rounds of a modern call.
fn in_rounds(scene: &Scene<'_>, tool: &str) {
    let mut further = String::new();
    for _ in 0..3 {
        let answered = scene.client.send(&scene.call(tool, None, &further));
        let result = member(&answered.response, "result").unwrap_or_default();
        let requests = Some(&result)
            .filter(|result| result.starts_with('{'))
            .and_then(|result| member(result, "inputRequests"));
        let Some(requests) = requests else {
            scene.see("response", &answered.response);
            return;
        };
        let mut responses = Vec::new();
        for (key, request) in members(&requests) {
            see_question(scene, &request);
            responses.push(format!("\"{key}\":{}", answer(&request)));
        }
        further = format!(
            r#","inputResponses":{{{}}},"requestState":{}"#,
            responses.join(","),
            at(&result, &["requestState"])
        );
    }
    panic!("{tool} asks again and again");
}

fn see_question(scene: &Scene<'_>, request: &str) {
    let method = text(&at(request, &["method"]));
    let mut params = member(request, "params").unwrap_or_else(|| "{}".to_owned());
    if let Some(id) = member(&params, "elicitationId") {
        // Which one it is, is the server's affair.
        params = params.replace(&id, "\"some id\"");
    }
    scene.see(
        "asked",
        &format!(r#"{{"method":"{method}","params":{params}}}"#),
    );
}

/// What the client answers.
fn answer(request: &str) -> String {
    let result = match text(&at(request, &["method"])).as_str() {
        "roots/list" => r#"{"roots":[{"uri":"file:///\u0061", "n":1.0}]}"#,
        "sampling/createMessage" => {
            r#"{"role":"assistant","content":{"type":"text","text":"\u0061"}, "model":"m"}"#
        }
        _ if request.contains(r#""mode":"url""#) => r#"{"action":"\u0061ccept"}"#,
        _ => r#"{"action":"accept","content":{"name":"\u0041nn","n":2e0}}"#,
    };
    result.to_owned()
}
