//! The script of a server of one revision that has every feature of it. What it
//! says is oddly spelled wherever JSON allows it, and has members that no
//! specification knows.

use crate::{
    revision::Revision,
    support::{Script, Step, legacy_of, modern, progress, result},
};

/// What a form asks.
const FORM: &str = r#"{"message":"Wh\u006f?", "n":1.0,"requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}"#;
/// What a model is asked.
const SAMPLE: &str =
    r#"{"messages":[{"role":"user","content":{"type":"text","text":"\u0068i"}}], "maxTokens":1e2}"#;
/// What a model with tools is asked.
const SAMPLE_TOOLS: &str = r#"{"messages":[],"maxTokens":1, "tools":[{"name":"\u0074","inputSchema":{"type":"object"}}],"toolChoice":{"mode":"auto"}}"#;

/// What both kinds of task have in common.
const TASK: &str =
    r#""createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z", "n":1.0"#;

struct Server {
    revision: Revision,
    authority: String,
    http: bool,
    script: Script,
    tools: Vec<String>,
}

/// A server of `revision` whose resources have this authority.
pub(crate) fn script(revision: Revision, authority: &str, http: bool) -> Script {
    let script = if revision.is_modern() {
        modern(&[])
    } else {
        legacy_of(revision.date(), &[])
    };
    let mut server = Server {
        revision,
        authority: authority.to_owned(),
        http,
        script,
        tools: Vec::new(),
    };
    server.introduce();
    server.calls();
    server.questions();
    server.inventory();
    server.extensions();
    server.tasks();
    server.list_tools();
    server.script
}

impl Server {
    fn on(&mut self, key: &str, turns: impl Into<Vec<Vec<Step>>>) {
        self.script = std::mem::take(&mut self.script).turns(key, turns);
    }

    /// A result with these members, as the revision has it.
    fn complete(&self, members: &str) -> Step {
        if self.revision.is_modern() {
            result(&format!(r#"{{"resultType":"complete",{members}}}"#))
        } else {
            result(&format!("{{{members}}}"))
        }
    }

    /// A result that says how long it holds, where the revision has that.
    fn holding(&self, members: &str) -> Step {
        if self.revision.is_modern() {
            self.complete(&format!(r#"{members},"ttlMs":0,"cacheScope":"private""#))
        } else {
            self.complete(members)
        }
    }

    /// A tool whose calls bring these steps, on a stream over HTTP.
    fn tool(&mut self, name: &str, further: &str, turns: impl Into<Vec<Vec<Step>>>) {
        self.tools.push(format!(
            r#"{{"name":"{name}", "inputSchema":{{"type":"object"}}{further}}}"#
        ));
        let key = format!("tools/call {name}");
        self.on(&key, turns);
        if self.http {
            self.script = std::mem::take(&mut self.script).streamed(&key);
        }
    }

    fn done(&self) -> Step {
        self.complete(r#""content":[{"type":"text","text":"d\u006fne", "n":1.0}],"x/y":[ ]"#)
    }

    fn introduce(&mut self) {
        let modern = self.revision.is_modern();
        let mut offers = String::from(
            r#""tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"logging":{}"#,
        );
        if self.revision > Revision::V2024_11_05 {
            offers += r#","completions":{}"#;
        }
        if self.revision == Revision::V2025_11_25 {
            offers += r#","tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;
        }
        if modern {
            offers += r#","extensions":{"io.modelcontextprotocol/tasks":{}}"#;
            let discovered = format!(
                r#""supportedVersions":["2026-07-28"],"capabilities":{{{offers}}},"ttlMs":0,"cacheScope":"private""#
            );
            self.on("server/discover", [vec![self.complete(&discovered)]]);
            self.on("subscriptions/listen", [vec![self.granted(), Step::Relay]]);
            return;
        }
        let date = self.revision.date();
        let initialized = format!(
            r#"{{"protocolVersion":"{date}","capabilities":{{{offers}}},"serverInfo":{{"name":"peer","version":"1"}}}}"#
        );
        self.on("initialize", [vec![result(&initialized)]]);
        for method in [
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe",
        ] {
            self.on(method, [vec![result("{}")]]);
        }
        if self.http {
            self.script = std::mem::take(&mut self.script).sessions(&["s"]);
            self.on("GET", [vec![Step::Sse(Vec::new()), Step::Relay]]);
        }
    }

    /// The acknowledgement of a subscription to everything there is.
    fn granted(&self) -> Step {
        let uris: Vec<_> = Revision::all()
            .map(|client| format!(r#""test://{}/watched-{client}""#, self.authority))
            .collect();
        Step::Send(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":$ID}},"notifications":{{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":[{}]}}}}}}"#,
            uris.join(",")
        ))
    }

    fn calls(&mut self) {
        let done = self.done();
        self.tool("call", "", [vec![done.clone()]]);
        self.tool(
            "decorated",
            r#", "title":"T\u0069tle","icons":[{"src":"data:,\u0061","sizes":["any"]}],"annotations":{"readOnlyHint":true, "x":1.0},"_meta":{"x/y":{ "n":1e0 }},"unknown":[2.50]"#,
            [vec![done.clone()]],
        );
        let structured = self.complete(
            r#""content":[{"type":"text","text":"{}"}],"structuredContent":{ "n":1.0,"s":"\u0061" },"_meta":{"x/y":1.0}"#,
        );
        self.tool(
            "object",
            r#","outputSchema":{"type":"object", "x":1.0}"#,
            [vec![structured]],
        );
        let unstructured = self.complete(r#""content":[],"structuredContent":[1.0, "\u0061"]"#);
        self.tool("array", "", [vec![unstructured]]);
        let logs = |level: &str| {
            Step::Send(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}", "data":1.0}}}}"#
            ))
        };
        self.tool(
            "logs",
            "",
            [vec![logs("error"), logs("critical"), done.clone()]],
        );
        let steps = vec![
            progress(r#""progress":1.0, "total":2"#),
            progress(r#""progress":2.0,"message":"\u0061""#),
            done,
        ];
        self.tool("progress", "", [steps]);
        self.tool("wait", "", [vec![Step::Await("never".to_owned())]]);
    }

    fn questions(&mut self) {
        let url = |name: &str| {
            let id = if self.revision.is_modern() {
                ""
            } else {
                r#""elicitationId":"x1","#
            };
            format!(
                r#"{{"mode":"url",{id}"url":"https://a.example/\u0061","message":"{name}", "n":1.0}}"#
            )
        };
        let (asked, visit) = (url("Go"), url("Visit"));
        self.question("roots", "roots/list", "{}");
        self.question("sample", "sampling/createMessage", SAMPLE);
        self.question("sample-tools", "sampling/createMessage", SAMPLE_TOOLS);
        self.question("form", "elicitation/create", FORM);
        self.question("url", "elicitation/create", &asked);
        if self.revision.is_modern() {
            self.question("visit", "elicitation/create", &visit);
            return;
        }
        let refusal = Step::Send(format!(
            r#"{{"jsonrpc":"2.0","id":$ID,"error":{{"code":-32042,"message":"V\u0069sit","data":{{"elicitations":[{visit}]}}}}}}"#
        ));
        let done = self.done();
        self.tool("visit", "", [vec![refusal], vec![done]]);
    }

    /// A tool that asks the client before it is done.
    fn question(&mut self, tool: &str, method: &str, params: &str) {
        let done = self.done();
        if self.revision.is_modern() {
            let asks = result(&format!(
                r#"{{"resultType":"input_required","inputRequests":{{"k\u0031":{{"method":"{method}","params":{params}}}}},"requestState":"st\u0061te"}}"#
            ));
            return self.tool(tool, "", [vec![asks], vec![done]]);
        }
        let asks = Step::Send(format!(
            r#"{{"jsonrpc":"2.0","id":"{tool}-$ID","method":"{method}","params":{params}}}"#
        ));
        let answered = Step::Await(format!(r#"response "{tool}-$ID""#));
        self.tool(tool, "", [vec![asks, answered, done]]);
    }

    fn inventory(&mut self) {
        let authority = self.authority.clone();
        let mut resources = vec![
            format!(
                r#"{{"uri":"test://{authority}/x","name":"\u0078", "size":1.0,"_meta":{{"x/y":1.0}}}}"#
            ),
            format!(r#"{{"uri":"ui://{authority}/app","name":"app","mimeType":"text/html"}}"#),
        ];
        resources.extend(Revision::all().map(|client| {
            format!(r#"{{"uri":"test://{authority}/watched-{client}","name":"{client}"}}"#)
        }));
        let list = format!(r#""resources":[{}]"#, resources.join(","));
        self.on("resources/list", [vec![self.holding(&list)]]);
        let list = format!(
            r#""resourceTemplates":[{{"uriTemplate":"test://{authority}/{{id}}","name":"\u0074", "x":1.0}}]"#
        );
        self.on("resources/templates/list", [vec![self.holding(&list)]]);
        let list = r#""prompts":[{"name":"greet", "x":1.0,"arguments":[{"name":"\u0077ho"}]}]"#;
        self.on("prompts/list", [vec![self.holding(list)]]);
        let read = format!(
            r#""contents":[{{"uri":"test://{authority}/x","text":"\u0078", "n":1.0}}],"_meta":{{"x/y":1.0}}"#
        );
        let code = if self.revision.is_modern() {
            -32602
        } else {
            -32002
        };
        let missing = Step::Send(format!(
            r#"{{"jsonrpc":"2.0","id":$ID,"error":{{"code":{code},"message":"Not h\u0065re","data":{{"uri":"test://{authority}/missing", "n":1.0}}}}}}"#
        ));
        // Whether it is there decides the turn; see the acts.
        self.on("resources/read", [vec![self.holding(&read)], vec![missing]]);
        let prompt = self.complete(
            r#""messages":[{"role":"user","content":{"type":"text","text":"H\u0069"}}], "n":1.0"#,
        );
        self.on("prompts/get", [vec![prompt]]);
        let completed = self.complete(r#""completion":{"values":["\u0061"], "total":1.0}"#);
        self.on("completion/complete", [vec![completed]]);
    }

    fn extensions(&mut self) {
        let (authority, done) = (self.authority.clone(), self.done());
        let link =
            format!(r#","_meta":{{"ui":{{"resourceUri":"ui://{authority}/app", "n":1.0}}}}"#);
        self.tool("app", &link, [vec![done.clone()]]);
        let tells = Step::Send(
            r#"{"jsonrpc":"2.0","method":"notifications/acme/told","params":{"n":1.0}}"#.to_owned(),
        );
        self.tool("tells", "", [vec![tells, done]]);
        let extended = self.complete(r#""did":"\u0069t", "n":1.0"#);
        self.on("acme/do", [vec![extended]]);
        self.on("notifications/acme/seen", [vec![]]);
    }

    /// A tool that runs as a task of 2025-11-25 only, and one that a modern server
    /// makes a task of the extension; in other revisions they are ordinary.
    fn tasks(&mut self) {
        let done = self.done();
        let required = r#","execution":{"taskSupport":"required"}"#;
        if self.revision == Revision::V2025_11_25 {
            let task = |status: &str| {
                format!(r#"{{"taskId":"a\u0031","status":"{status}","ttl":6e4,{TASK}}}"#)
            };
            let begun = result(&format!(r#"{{"task":{}}}"#, task("working")));
            self.tool("task", required, [vec![begun]]);
            self.on("tasks/get", [vec![result(&task("completed"))]]);
            self.on("tasks/cancel", [vec![result(&task("cancelled"))]]);
            let list = format!(r#"{{"tasks":[{}]}}"#, task("completed"));
            self.on("tasks/list", [vec![result(&list)]]);
            self.on("tasks/result", [vec![done.clone()]]);
        } else {
            self.tool("task", required, [vec![done.clone()]]);
        }
        if !self.revision.is_modern() {
            return self.tool("long", "", [vec![done]]);
        }
        let task = |kind: &str, status: &str, further: &str| {
            result(&format!(
                r#"{{"resultType":"{kind}","taskId":"m\u0031","status":"{status}","ttlMs":6e4,"pollIntervalMs":10,{TASK}{further}}}"#
            ))
        };
        self.tool("long", "", [vec![task("task", "working", "")]]);
        let Step::Send(end) = done else { return };
        let end = end.replace(r#"{"jsonrpc":"2.0","id":$ID,"#, ",");
        let end = end.strip_suffix('}').unwrap_or_default();
        self.on(
            "tasks/get",
            [
                vec![task("complete", "working", "")],
                vec![task("complete", "completed", end)],
            ],
        );
        for method in ["tasks/update", "tasks/cancel"] {
            self.on(
                method,
                [vec![result(r#"{"resultType":"complete", "n":1.0}"#)]],
            );
        }
    }

    fn list_tools(&mut self) {
        let list = format!(r#""tools":[{}]"#, self.tools.join(","));
        self.on("tools/list", [vec![self.holding(&list)]]);
    }
}
