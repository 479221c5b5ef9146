//! A session of a real client: what `clients/session.mjs` and `session.py` do
//! and print.

use std::process::Command;

use serde_json::{Value, json};

use crate::{install, process::Process};

/// The client that holds a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sdk {
    /// `@modelcontextprotocol/sdk` 1.x.
    TypeScript1,
    /// `@modelcontextprotocol/client` 2.x.
    TypeScript2(Negotiate),
    /// `mcp` 1.x.
    Python1,
    /// `mcp` 2.x.
    Python2(Negotiate),
    /// `rmcp`, which is not built with HTTP here.
    Rmcp(Negotiate),
}

/// What a client that knows both eras does first.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Negotiate {
    /// `initialize`.
    Legacy,
    /// `server/discover`, and `initialize` if there is no such thing.
    Auto,
}

impl Sdk {
    /// Connects as `connect` says, lists the tools and makes the calls in turn.
    pub(crate) fn session(self, connect: &Value, calls: &[Value]) -> Session {
        let plan = json!({ "connect": connect, "calls": calls, "negotiate": self.negotiate() });
        let name = format!("{self:?}");
        let (printed, complaints) =
            Process::start(&name, self.command().arg(plan.to_string())).finish();
        let seen = serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("{name}: {error}: {printed}"));
        Session { seen, complaints }
    }

    /// Connects, lists the tools, and goes on listening for changes of the list.
    pub(crate) fn watch(self, connect: &Value) -> Watcher {
        let plan = json!({ "connect": connect, "negotiate": self.negotiate(), "watch": true });
        let process = Process::start(&format!("{self:?}"), self.command().arg(plan.to_string()));
        let mut watcher = Watcher { process, seen: 0 };
        watcher.wait_for("watching", "list of tools", |_| true);
        watcher
    }

    fn command(self) -> Command {
        let script = |script| install::folder().join("clients").join(script);
        let (program, argument) = match self {
            Self::TypeScript1 => (install::node(), script("typescript-1.mjs")),
            Self::TypeScript2(_) => (install::node(), script("typescript-2.mjs")),
            Self::Python1 => (install::python(1, "python"), script("python_1.py")),
            Self::Python2(_) => (install::python(2, "python"), script("python_2.py")),
            Self::Rmcp(_) => (install::rmcp(), "connect".into()),
        };
        let mut command = Command::new(program);
        command
            .arg(argument)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1");
        command
    }

    fn negotiate(self) -> Option<Negotiate> {
        match self {
            Self::TypeScript2(negotiate) | Self::Python2(negotiate) | Self::Rmcp(negotiate) => {
                Some(negotiate)
            }
            Self::TypeScript1 | Self::Python1 => None,
        }
    }
}

/// What a client saw in a session.
#[derive(Debug)]
pub(crate) struct Session {
    seen: Value,
    complaints: String,
}

impl Session {
    /// The revision of the protocol that was agreed on.
    pub(crate) fn protocol(&self) -> &str {
        self.seen["protocol"]
            .as_str()
            .unwrap_or_else(|| panic!("no protocol in {}", self.seen))
    }

    /// What the client wrote to stderr: warnings about the server, and the
    /// stderr of a server that it launched.
    pub(crate) fn complaints(&self) -> &str {
        &self.complaints
    }

    /// The server's instructions; empty if it gave none.
    pub(crate) fn instructions(&self) -> &str {
        self.seen["instructions"].as_str().unwrap_or_default()
    }

    /// The definitions of the tools, in the order of the list.
    pub(crate) fn tools(&self) -> &[Value] {
        self.seen["tools"].as_array().unwrap()
    }

    /// The names of the tools, in the order of the list.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.tools()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect()
    }

    /// What each call brought: `{progress}` any number of times, then `{result}`
    /// or `{error}`.
    pub(crate) fn calls(&self) -> &[Value] {
        self.seen["calls"].as_array().unwrap()
    }

    /// The one text of the result of call number `call`.
    pub(crate) fn text(&self, call: usize) -> &str {
        let outcome = self.calls()[call].as_array().unwrap().last().unwrap();
        outcome["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("no text in {outcome}"))
    }
}

/// A client that listens for changes of the list of tools.
pub(crate) struct Watcher {
    process: Process,
    seen: usize,
}

impl Watcher {
    /// Waits until the client, told of a change since the last one waited for,
    /// has a list of tools that `wanted` accepts.
    pub(crate) fn wait_for_change(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        self.wait_for("changed", what, wanted);
    }

    fn wait_for(&mut self, key: &str, what: &str, wanted: impl Fn(&[String]) -> bool) {
        self.process.wait_for_print(what, &mut self.seen, |said| {
            let names: Vec<String> = serde_json::from_value(said.get(key)?.clone()).ok()?;
            wanted(&names).then_some(())
        });
    }
}
