//! What the server offers: as `tests/real/servers/offer.mjs` has it.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

const APP: &str = "text/html;profile=mcp-app";

/// One server's offer, as the protocol has it.
pub(crate) struct Offer {
    name: String,
    grown: AtomicBool,
}

impl Offer {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            grown: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn note(&self) -> String {
        format!("{}://note", self.name)
    }

    fn app(&self) -> String {
        format!("ui://{}/app.html", self.name)
    }

    pub(crate) fn grow(&self, grown: bool) {
        self.grown.store(grown, Ordering::Relaxed);
    }

    pub(crate) fn tools(&self) -> Value {
        let mut say = tool("say", &json!({ "words": { "type": "string" } }));
        say["_meta"] = json!({ "ui": { "resourceUri": self.app() } });
        let mut tools = vec![say];
        tools
            .extend(["work", "ask", "sample", "roots", "touch"].map(|name| tool(name, &json!({}))));
        tools.push(tool("grow", &json!({ "grown": { "type": "boolean" } })));
        if self.grown.load(Ordering::Relaxed) {
            tools.push(tool("grown", &json!({})));
        }
        json!({ "tools": tools })
    }

    pub(crate) fn resources(&self) -> Value {
        json!({ "resources": [
            { "uri": self.note(), "name": "note", "mimeType": "text/plain" },
            { "uri": self.app(), "name": "app", "mimeType": APP },
        ] })
    }

    pub(crate) fn templates(&self) -> Value {
        let template = format!("{}://item/{{id}}", self.name);
        json!({ "resourceTemplates": [
            { "uriTemplate": template, "name": "item", "mimeType": "text/plain" },
        ] })
    }

    pub(crate) fn read(&self, uri: &str) -> Value {
        let content = if uri == self.app() {
            json!({ "uri": uri, "mimeType": APP, "text": "<p>An app</p>" })
        } else {
            let (_, path) = uri.split_once("//").unwrap();
            let text = format!("{} has {path}", self.name);
            json!({ "uri": uri, "mimeType": "text/plain", "text": text })
        };
        json!({ "contents": [content] })
    }
}

/// The prompts, the same of every server.
pub(crate) fn prompts() -> Value {
    json!({ "prompts": [{ "name": "greet", "arguments": [{ "name": "who", "required": true }] }] })
}

/// The prompt with its argument.
pub(crate) fn prompt(who: &str) -> Value {
    let text = format!("Greet {who}.");
    json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": text } }] })
}

/// What completes an argument.
pub(crate) fn complete(name: &str, value: &str) -> Value {
    let values = [format!("{value}-{name}-1"), format!("{value}-{name}-2")];
    json!({ "completion": { "values": values, "total": 2, "hasMore": false } })
}

/// What a tool asks the client: the request, if there is such a tool.
pub(crate) fn question(tool: &str) -> Option<Value> {
    let (method, params) = match tool {
        "ask" => {
            let schema = json!({
                "type": "object",
                "properties": { "name": { "type": "string" } },
                "required": ["name"],
            });
            (
                "elicitation/create",
                json!({ "mode": "form", "message": "What is your name?", "requestedSchema": schema }),
            )
        }
        "sample" => {
            let message =
                json!({ "role": "user", "content": { "type": "text", "text": "Speak." } });
            (
                "sampling/createMessage",
                json!({ "messages": [message], "maxTokens": 10 }),
            )
        }
        "roots" => return Some(json!({ "method": "roots/list" })),
        _ => return None,
    };
    Some(json!({ "method": method, "params": params }))
}

/// What the tool says of the client's answer.
pub(crate) fn say(tool: &str, answer: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match tool {
        "ask" => format!(
            "{}: {}",
            word(&answer["action"]),
            word(&answer["content"]["name"])
        ),
        "sample" => format!(
            "{}: {}",
            word(&answer["model"]),
            word(&answer["content"]["text"])
        ),
        _ => {
            let roots = answer["roots"].as_array().unwrap();
            let uris: Vec<_> = roots.iter().map(|root| word(&root["uri"])).collect();
            uris.join(" ")
        }
    }
}

fn tool(name: &str, properties: &Value) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object", "properties": properties } })
}
