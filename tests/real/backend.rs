//! A server as a backend of mcpmux, and as a client reaches it directly.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::mark::{self, Mark};

/// A server.
pub(crate) struct Backend {
    /// Its name in the configuration.
    pub(crate) name: &'static str,
    /// Its description in the configuration.
    pub(crate) description: Option<&'static str>,
    /// How it is reached.
    pub(crate) reach: Reach,
    /// The working directory of its process, if not the test's own.
    pub(crate) folder: Option<PathBuf>,
    /// Whether its tools keep their names.
    pub(crate) bare: bool,
    /// Calls to make, by the tool's own name, as a client's plan has them.
    pub(crate) calls: Vec<Value>,
}

/// How a server is reached.
pub(crate) enum Reach {
    /// By launching it.
    Command {
        argv: Vec<PathBuf>,
        env: Vec<(&'static str, PathBuf)>,
    },
    /// At its MCP endpoint.
    Http { url: String },
    /// At its event stream, which the clients here do not open: directly they
    /// launch the same server.
    Sse { url: String, same: Vec<PathBuf> },
}

impl Backend {
    /// One that is launched, with nothing else said of it.
    pub(crate) fn command<const N: usize>(name: &'static str, argv: [PathBuf; N]) -> Self {
        let reach = Reach::Command {
            argv: argv.into(),
            env: Vec::new(),
        };
        Self {
            name,
            description: None,
            reach,
            folder: None,
            bare: false,
            calls: Vec::new(),
        }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same with a description.
    pub(crate) fn described(self, description: &'static str) -> Self {
        Self {
            description: Some(description),
            ..self
        }
    }

    /// The same with calls to make.
    pub(crate) fn calls<const N: usize>(self, calls: [Value; N]) -> Self {
        Self {
            calls: calls.into(),
            ..self
        }
    }

    /// Its entry in mcpmux's configuration; its process bears `mark`.
    pub(crate) fn entry(&self, mark: &Mark) -> Value {
        let mut entry = match &self.reach {
            Reach::Command { argv, env } => {
                let mut env = object(env);
                env[mark::VARIABLE] = json!(mark.value());
                json!({ "transport": "command", "command": argv, "env": env })
            }
            Reach::Http { url } => json!({ "transport": "http", "endpoint": url }),
            Reach::Sse { url, .. } => json!({ "transport": "sse", "endpoint": url }),
        };
        entry["name"] = json!(self.name);
        if self.bare {
            entry["namespace"] = json!("none");
        }
        if let Some(folder) = &self.folder {
            entry["cwd"] = json!(folder);
        }
        if let Some(description) = self.description {
            entry["description"] = json!(description);
        }
        entry
    }

    /// How a client reaches it without mcpmux, as the client's plan has it.
    pub(crate) fn directly(&self) -> Value {
        match &self.reach {
            Reach::Command { argv, env } => {
                let (command, args) = (&argv[0], &argv[1..]);
                json!({ "command": command, "args": args, "env": object(env), "cwd": self.folder })
            }
            Reach::Http { url } => json!({ "url": url }),
            Reach::Sse { same, .. } => json!({ "command": same[0], "args": same[1..] }),
        }
    }

    /// Its calls, by the names that mcpmux gives its tools.
    pub(crate) fn calls_through_mcpmux(&self) -> Vec<Value> {
        let mut calls = self.calls.clone();
        for call in &mut calls {
            call["name"] = json!(self.tool(call["name"].as_str().unwrap()));
        }
        calls
    }

    /// The name that mcpmux gives its tool `tool`.
    pub(crate) fn tool(&self, tool: &str) -> String {
        if self.bare {
            return tool.to_owned();
        }
        format!("{}__{tool}", self.name)
    }
}

fn object(pairs: &[(&'static str, PathBuf)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
