//! What the specification leaves to extensions.

use super::lists::{definition, read_uri};
use crate::scene::{Scene, is};

/// MCP Apps: a tool that points to its user interface, which the host reads and
/// which calls the tool.
pub(crate) fn app(scene: &Scene<'_>) {
    definition(scene, "app");
    scene.see_answer(&read_uri(scene, &format!("ui://{}/app", scene.authority)));
    let message = scene.call("app", None, "");
    scene.see_answer(&scene.client.send(&message));
}

/// A request that no specification knows.
pub(crate) fn method(scene: &Scene<'_>) {
    scene.request("acme/do", r#""what":"\u0061", "n":1.0"#);
    let heard = scene.peer.messages("acme/do");
    let last = heard.last().expect("the backend was asked");
    let params = crate::support::at(last, &["params", "what"]);
    scene.see("heard", &params);
}

/// A notification of the client that no specification knows.
pub(crate) fn seen(scene: &Scene<'_>) {
    let skipped = scene.heard().len();
    let message =
        r#"{"jsonrpc":"2.0","method":"notifications/acme/seen","params":{"n":1.0, "s":"\u0061"}}"#;
    scene.client.notify(message);
    let heard = scene.hears("the notification", skipped, |message| {
        is(message, "notifications/acme/seen")
    });
    scene.see("heard", &heard);
}

/// A notification of the server in the course of a call.
pub(crate) fn told(scene: &Scene<'_>) {
    let message = scene.call("tells", None, "");
    scene.see_answer(&scene.client.send(&message));
}
