//! Scripts of ordinary servers of each era, to which a test adds what is odd.

use super::script::{Script, Step};

/// A server that speaks `initialize` and answers discovery as most of them do.
pub fn legacy(tools: &[&str]) -> Script {
    legacy_of("2025-11-25", tools)
}

/// A server of one legacy revision.
pub fn legacy_of(version: &str, tools: &[&str]) -> Script {
    Script::default()
        .on("server/discover", [error(-32601, "Method not found")])
        .on(
            "initialize",
            [result(&format!(
                r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{{"name":"peer","version":"1"}}}}"#
            ))],
        )
        .on("notifications/initialized", [])
        .on("notifications/cancelled", [])
        .on("ping", [result("{}")])
        .on("tools/list", [result(&format!(r#"{{"tools":[{}]}}"#, definitions(tools)))])
        .echoing(tools, r#"{"content":[{"type":"text","text":"done"}]}"#)
}

/// A stateless server of 2026-07-28.
pub fn modern(tools: &[&str]) -> Script {
    Script::default()
        .on(
            "server/discover",
            [result(
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"peer","version":"1"}}}"#,
            )],
        )
        .on("initialize", [error(-32022, "Unsupported protocol version")])
        .on("notifications/cancelled", [])
        .on(
            "tools/list",
            [result(&format!(
                r#"{{"resultType":"complete","tools":[{}],"ttlMs":0,"cacheScope":"private"}}"#,
                definitions(tools)
            ))],
        )
        .on("subscriptions/listen", [acknowledged(), Step::Relay])
        .echoing(tools, r#"{"resultType":"complete","content":[{"type":"text","text":"done"}]}"#)
}

/// A legacy server with these capabilities and nothing behind them yet.
pub fn legacy_with(capabilities: &str) -> Script {
    legacy(&[]).on(
        "initialize",
        [result(&format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{{"name":"peer","version":"1"}}}}"#
        ))],
    )
}

/// A modern server with these capabilities and nothing behind them yet.
pub fn modern_with(capabilities: &str) -> Script {
    modern(&[]).on(
        "server/discover",
        [result(&format!(
            r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{capabilities},"ttlMs":0,"cacheScope":"private"}}"#
        ))],
    )
}

impl Script {
    /// Sets the one page of a list: these definitions, separated by commas.
    pub fn list(self, list: &str, definitions: &str) -> Self {
        let method = match list {
            "resourceTemplates" => "resources/templates/list".to_owned(),
            list => format!("{list}/list"),
        };
        self.on(
            &method,
            [result(&format!(r#"{{"{list}":[{definitions}]}}"#))],
        )
    }

    /// Sets what follows every message of this key.
    pub fn on(self, key: &str, steps: impl Into<Vec<Step>>) -> Self {
        self.turns(key, [steps.into()])
    }

    /// Sets what follows the first, the second, … and every further message of
    /// this key.
    pub fn turns(mut self, key: &str, turns: impl Into<Vec<Vec<Step>>>) -> Self {
        self.on.insert(key.to_owned(), turns.into());
        self
    }

    /// Sets what a call of this tool brings.
    pub fn tool(self, name: &str, steps: impl Into<Vec<Step>>) -> Self {
        self.on(&format!("tools/call {name}"), steps)
    }

    /// Sets what is done before anything is read.
    pub fn start(mut self, steps: impl Into<Vec<Step>>) -> Self {
        self.start = steps.into();
        self
    }

    /// Lets every answer to this key's messages be an event stream over HTTP.
    pub fn streamed(mut self, key: &str) -> Self {
        let turns = self.on.get_mut(key).expect("the key is scripted");
        for steps in turns {
            steps.insert(0, Step::Sse(Vec::new()));
        }
        self
    }

    /// Gives sessions over HTTP: the n-th `initialize` brings the n-th id.
    pub fn sessions(mut self, ids: &[&str]) -> Self {
        let steps = self
            .on
            .remove("initialize")
            .and_then(|mut turns| turns.pop())
            .unwrap_or_default();
        let turns: Vec<Vec<Step>> = ids
            .iter()
            .map(|id| {
                let header = Step::Headers(vec![("Mcp-Session-Id".to_owned(), (*id).to_owned())]);
                [vec![header], steps.clone()].concat()
            })
            .collect();
        self.turns("initialize", turns)
    }

    fn echoing(self, tools: &[&str], value: &str) -> Self {
        tools
            .iter()
            .fold(self, |script, tool| script.tool(tool, [result(value)]))
    }
}

/// The definitions of tools of these names, separated by commas.
pub fn definitions(tools: &[&str]) -> String {
    let define = |name: &&str| {
        format!(
            r#"{{"name":"{name}","description":"About {name}.","inputSchema":{{"type":"object"}}}}"#
        )
    };
    tools.iter().map(define).collect::<Vec<_>>().join(",")
}

/// The first message of a subscription to changes of tools.
pub fn acknowledged() -> Step {
    Step::Send(
        r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":$ID},"notifications":{"toolsListChanged":true}}}"#
            .to_owned(),
    )
}

/// Answers with this result.
pub fn result(value: &str) -> Step {
    Step::Send(format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{value}}}"#))
}

/// Answers with an error.
pub fn error(code: i32, message: &str) -> Step {
    Step::Send(format!(
        r#"{{"jsonrpc":"2.0","id":$ID,"error":{{"code":{code},"message":"{message}"}}}}"#
    ))
}

/// Reports progress with these members beside the token.
pub fn progress(members: &str) -> Step {
    Step::Send(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":$TOKEN,{members}}}}}"#
    ))
}
