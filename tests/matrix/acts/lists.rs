//! Lists, and what is asked of what stands in them.

use crate::{
    scene::Scene,
    support::{Answer, at, elements, members, text},
};

/// What the server says of itself before anything else.
pub(crate) fn handshake(scene: &Scene<'_>) {
    let client = &scene.client;
    let (said, revisions) = if scene.revision.is_modern() {
        let said = client.request("server/discover", "").result();
        let revisions = elements(&at(&said, &["supportedVersions"]));
        (said, revisions)
    } else {
        let said = client.initialized().to_owned();
        let revision = at(&said, &["protocolVersion"]);
        (said, vec![revision])
    };
    let own = format!("\"{}\"", scene.revision);
    let speaks = revisions.contains(&own);
    scene.see("speaks the client's revision", &speaks.to_string());
    let mut offers = members(&at(&said, &["capabilities"]));
    // These are others in each revision, whatever the server has.
    offers.retain(|(key, _)| !matches!(key.as_str(), "completions" | "tasks" | "extensions"));
    offers.sort();
    for (key, offer) in offers {
        let mut details = members(&offer);
        details.sort();
        scene.see("offers", &format!("{key}: {details:?}"));
    }
}

/// The own elements of a list as they are spelled, and the list's other members.
fn own(scene: &Scene<'_>, method: &str, list: &str) -> Vec<String> {
    let result = scene.client.request(method, "").result();
    for (key, value) in members(&result) {
        // Who it is that serves is told to the modern clients only.
        if key != list && key != "_meta" {
            scene.see("beside", &format!("{key}: {value}"));
        }
    }
    let (prefix, authority) = (
        format!("\"{}", scene.prefix),
        format!("//{}/", scene.authority),
    );
    let all = elements(&at(&result, &[list])).into_iter();
    all.filter(|element| match list {
        "tools" | "prompts" => at(element, &["name"]).starts_with(&prefix),
        _ => element.contains(&authority),
    })
    .collect()
}

fn see_list(scene: &Scene<'_>, method: &str, list: &str) {
    for element in own(scene, method, list) {
        scene.see("element", &element);
    }
}

/// `tools/list`.
pub(crate) fn tools(scene: &Scene<'_>) {
    see_list(scene, "tools/list", "tools");
}

/// `resources/list`.
pub(crate) fn resources(scene: &Scene<'_>) {
    see_list(scene, "resources/list", "resources");
}

/// `resources/templates/list`.
pub(crate) fn templates(scene: &Scene<'_>) {
    see_list(scene, "resources/templates/list", "resourceTemplates");
}

/// `prompts/list`.
pub(crate) fn prompts(scene: &Scene<'_>) {
    see_list(scene, "prompts/list", "prompts");
}

/// The definition of one tool.
pub(crate) fn definition(scene: &Scene<'_>, name: &str) {
    let name = scene.name(name);
    let tools = own(scene, "tools/list", "tools").into_iter();
    for tool in tools.filter(|tool| text(&at(tool, &["name"])) == name) {
        scene.see("definition", &tool);
    }
}

/// What no intermediary has to know of a tool.
pub(crate) fn decorations(scene: &Scene<'_>) {
    definition(scene, "decorated");
}

/// Reads a resource of this path.
pub(crate) fn read_uri(scene: &Scene<'_>, uri: &str) -> Answer {
    scene
        .client
        .request("resources/read", &format!(r#""uri":"{uri}""#))
}

/// `resources/read`.
pub(crate) fn read(scene: &Scene<'_>) {
    scene.see_answer(&read_uri(scene, &scene.uri("x")));
}

/// `resources/read` of what is not there.
pub(crate) fn missing(scene: &Scene<'_>) {
    // Of two that are read the second is not there.
    read_uri(scene, &scene.uri("x")).result();
    scene.see_answer(&read_uri(scene, &scene.uri("missing")));
}

/// `prompts/get`.
pub(crate) fn prompt(scene: &Scene<'_>) {
    let members = format!(
        r#""name":"{}","arguments":{{"who":"\u0061"}}"#,
        scene.name("greet")
    );
    scene.request("prompts/get", &members);
    hears_last(scene, "prompts/get", "arguments");
}

/// `completion/complete` of a prompt's argument.
pub(crate) fn complete_prompt(scene: &Scene<'_>) {
    let reference = format!(
        r#"{{"type":"ref/prompt","name":"{}"}}"#,
        scene.name("greet")
    );
    complete(scene, &reference);
}

/// `completion/complete` of a template's argument.
pub(crate) fn complete_resource(scene: &Scene<'_>) {
    let reference = format!(r#"{{"type":"ref/resource","uri":"{}"}}"#, scene.uri("{id}"));
    complete(scene, &reference);
}

fn complete(scene: &Scene<'_>, reference: &str) {
    let members = format!(r#""ref":{reference},"argument":{{"name":"x","value":"\u0061"}}"#);
    scene.request("completion/complete", &members);
    hears_last(scene, "completion/complete", "argument");
    hears_last(scene, "completion/complete", "ref");
}

/// Notes a parameter of the last request of this method as the backend has it.
fn hears_last(scene: &Scene<'_>, method: &str, parameter: &str) {
    let messages = scene.peer.messages(method);
    let last = messages.last().expect("the backend was asked");
    scene.see("heard", &at(last, &["params", parameter]));
}
