//! What a server tells of its own accord.

use crate::{
    scene::{Scene, is},
    support::{Reply, at, eventually, member, text},
};

/// Changes of the list of tools.
pub(crate) fn tools(scene: &Scene<'_>) {
    list(scene, "tools");
}

/// Changes of the list of prompts.
pub(crate) fn prompts(scene: &Scene<'_>) {
    list(scene, "prompts");
}

/// Changes of the list of resources.
pub(crate) fn resources(scene: &Scene<'_>) {
    list(scene, "resources");
}

fn list(scene: &Scene<'_>, list: &str) {
    let mut news = scene
        .client
        .listen_to(&format!(r#""{list}ListChanged":true"#));
    scene.speaks();
    let method = format!("notifications/{list}/list_changed");
    emit(scene, &method, "");
    told(scene, &mut news, &method, "");
}

/// A subscription to a resource, and an update of it.
pub(crate) fn updated(scene: &Scene<'_>) {
    // One that no other client has, so that the backend has to be asked.
    let uri = scene.uri(&format!("watched-{}", scene.revision));
    let mut news = if scene.revision.is_modern() {
        scene
            .client
            .listen_to(&format!(r#""resourceSubscriptions":["{uri}"]"#))
    } else {
        let news = scene.client.listen();
        scene.request("resources/subscribe", &format!(r#""uri":"{uri}""#));
        news
    };
    eventually("a subscription at the backend", || {
        let heard = scene.heard();
        let subscribed = |message: &&String| {
            let method = text(&member(message, "method").unwrap_or("\"\"".to_owned()));
            matches!(
                method.as_str(),
                "resources/subscribe" | "subscriptions/listen"
            ) && message.contains(&uri)
        };
        heard
            .iter()
            .any(|message| subscribed(&message))
            .then_some(())
    });
    scene.speaks();
    let method = "notifications/resources/updated";
    emit(scene, method, &format!(r#""uri":"{uri}", "n":1.0"#));
    told(scene, &mut news, method, &uri);
    if !scene.revision.is_modern() {
        scene.request("resources/unsubscribe", &format!(r#""uri":"{uri}""#));
    }
}

/// Has the backend tell something.
fn emit(scene: &Scene<'_>, method: &str, members: &str) {
    let mut params = members.to_owned();
    if scene.backend.is_modern() {
        let comma = if members.is_empty() { "" } else { "," };
        params =
            format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":$ID}}{comma}{members}"#);
    }
    if !params.is_empty() {
        params = format!(r#","params":{{{params}}}"#);
    }
    scene.peer.emit(&format!(
        r#"{{"jsonrpc":"2.0","method":"{method}"{params}}}"#
    ));
}

/// Waits for the client to be told, of `uri` where that is not empty.
fn told(scene: &Scene<'_>, news: &mut Reply, method: &str, uri: &str) {
    loop {
        let event = news.event().expect("a notification");
        let of_it = || uri.is_empty() || text(&at(&event, &["params", "uri"])) == uri;
        if is(&event, method) && of_it() {
            return scene.see("told", &event);
        }
    }
}
