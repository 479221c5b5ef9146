//! The servers of `servers/`, each on another SDK, which all offer the same, and
//! the steps that show all of it.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    backend::{Backend, Reach},
    install,
    process::Process,
};

/// One server on each SDK, over stdio.
pub(crate) fn offers() -> Vec<Backend> {
    let script = |script: &str| install::folder().join("servers").join(script);
    let server = |name: &'static str, program: PathBuf, file: &str| {
        Backend::command(name, [program, script(file), name.into()])
    };
    vec![
        server("typescript-1", install::node(), "typescript-1.mjs"),
        server("typescript-2", install::node(), "typescript-2.mjs"),
        server("python-1", install::python(1, "python"), "python_1.py"),
        server("python-2", install::python(2, "python"), "python_2.py"),
        Backend::command("rmcp", [install::rmcp(), "serve".into(), "rmcp".into()]),
    ]
}

/// One over HTTP, which runs as long as its process.
pub(crate) struct OverHttp {
    _process: Process,
    url: String,
}

impl OverHttp {
    /// Starts it; returns once it listens.
    pub(crate) fn start() -> Self {
        let Reach::Command { argv, .. } = Self::launched().reach else {
            unreachable!("it can be launched")
        };
        let mut command = Command::new(&argv[0]);
        let process = Process::start("python-2-http", command.args(&argv[1..]).arg("--http"));
        let url = process.wait_for_log("word of where it listens", |line| {
            let (_, url) = line.split_once("running on ")?;
            Some(format!("{}/mcp", url.split_whitespace().next()?))
        });
        Self {
            _process: process,
            url,
        }
    }

    /// It as a backend.
    pub(crate) fn backend(&self) -> Backend {
        let mut backend = Self::launched();
        backend.reach = Reach::Http {
            url: self.url.clone(),
        };
        backend
    }

    /// The same, over stdio, for a client that knows no HTTP.
    pub(crate) fn launched() -> Backend {
        let script = install::folder().join("servers/python_2.py");
        let argv = [install::python(2, "python"), script, "python-2-http".into()];
        Backend::command("python-2-http", argv)
    }
}

/// Whether `server` lists the resource, or the template.
pub(crate) fn is_of(server: &Backend, resource: &Value) -> bool {
    let uri = resource.get("uri").or(resource.get("uriTemplate"));
    let (scheme, path) = uri
        .and_then(Value::as_str)
        .unwrap()
        .split_once("://")
        .unwrap();
    scheme == server.name || path.split('/').next() == Some(server.name)
}

/// The steps with `server` (see `clients/steps.mjs`), whose tools and prompts are
/// called what `named` makes of their names.
pub(crate) fn steps(server: &Backend, named: &dyn Fn(&str) -> String) -> Vec<Value> {
    let call = |name: &str, arguments: Value| json!({ "do": "call", "name": named(name), "arguments": arguments });
    let note = format!("{}://note", server.name);
    let item = |id: &str| format!("{}://item/{id}", server.name);
    let complete = |reference: Value, name: &str| {
        let argument = json!({ "name": name, "value": "B" });
        json!({ "do": "complete", "ref": reference, "argument": argument })
    };
    let listed = |listed: bool| json!({ "do": "listed", "tool": named("grown"), "listed": listed });
    vec![
        json!({ "do": "list", "what": "resources" }),
        json!({ "do": "list", "what": "resourceTemplates" }),
        json!({ "do": "list", "what": "prompts" }),
        call("say", json!({ "words": "Grüße" })),
        json!({ "do": "read", "uri": note }),
        json!({ "do": "read", "uri": item("7") }),
        json!({ "do": "prompt", "name": named("greet"), "arguments": { "who": "Ada" } }),
        complete(
            json!({ "type": "ref/prompt", "name": named("greet") }),
            "who",
        ),
        complete(json!({ "type": "ref/resource", "uri": item("{id}") }), "id"),
        json!({ "do": "call", "name": named("work"), "progress": true, "log": true }),
        call("ask", json!({})),
        call("sample", json!({})),
        call("roots", json!({})),
        json!({ "do": "subscribe", "uri": note }),
        call("touch", json!({})),
        json!({ "do": "updated", "uri": note }),
        call("grow", json!({ "grown": true })),
        listed(true),
        call("grow", json!({ "grown": false })),
        listed(false),
        json!({ "do": "unsubscribe", "uri": note }),
    ]
}
