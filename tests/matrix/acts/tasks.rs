//! Tasks: those of 2025-11-25, and those of the extension that came after.

use crate::{revision::Revision, scene::Scene};

/// A call of a tool that runs as a task of 2025-11-25 only.
pub(crate) fn required(scene: &Scene<'_>) {
    if scene.revision != Revision::V2025_11_25 {
        let message = scene.call("task", None, "");
        return scene.see_answer(&scene.client.send(&message));
    }
    let message = scene.call("task", None, r#","task":{"ttl":6e4}"#);
    scene.see_answer(&scene.client.send(&message));
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        scene.request(method, r#""taskId":"a1""#);
    }
    scene.request("tasks/list", "");
}

/// A call of which a modern server makes a task of its own accord.
pub(crate) fn extension(scene: &Scene<'_>) {
    let message = scene.call("long", None, "");
    scene.see_answer(&scene.client.send(&message));
    if scene.revision.is_modern() {
        for method in ["tasks/get", "tasks/get", "tasks/update", "tasks/cancel"] {
            scene.request(method, r#""taskId":"m1""#);
        }
    }
}
