//! What is there for whom, with two roles: who comes in by TCP has one, who by the
//! unix socket another.

use std::path::PathBuf;

use crate::{
    door::Door,
    support::{Client, Era, Mux, Peer, Setup, at, error, legacy_with, modern_with, result, text},
    without_name,
};

const ERAS: [Era; 2] = [Era::Legacy("2025-11-25"), Era::Modern];
const CAPABLE: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{}}"#;
const NOWHERE: &str = "no such thing here";

/// An mcpmux with a unix socket, and the way to it.
struct House {
    mux: Mux,
    few: Door,
    _dir: tempfile::TempDir,
}

impl House {
    /// With these lines below `access`; `SOCKET` in them is the unix socket.
    fn new(setup: Setup, access: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let socket: PathBuf = dir.path().join("mcpmux.sock");
        let path = socket.display().to_string();
        let access = access.replace("SOCKET", &path);
        let mux = setup
            .listen(&format!("socket: {path}"))
            .top(&format!("access: {access}"))
            .serve();
        Self {
            mux,
            few: Door::to(&socket),
            _dir: dir,
        }
    }

    fn all(&self, era: Era) -> Client {
        Client::new(&self.mux, era)
    }

    fn few(&self, era: Era) -> Client {
        Client::of(self.few.address(), era, "{}")
    }
}

const FEW: &str = "{
  roles: { all: { allow: ['*'] },
    few: { allow: [docs, 'git/get_*'], deny: [docs/drop, 'prompt:docs/q', 'resource:docs/*secret*'] } },
  default_role: all,
  assign: [{ role: few, socket: 'SOCKET' }] }";

fn named(names: &[&str]) -> String {
    let define = |name: &&str| format!(r#"{{"name":"{name}"}}"#);
    names.iter().map(define).collect::<Vec<_>>().join(",")
}

fn located(key: &str, uris: &[&str]) -> String {
    let define = |uri: &&str| format!(r#"{{"{key}":"{uri}","name":"n"}}"#);
    uris.iter().map(define).collect::<Vec<_>>().join(",")
}

fn docs() -> crate::support::Script {
    let tool = |name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
    legacy_with(CAPABLE)
        .list("tools", &[tool("read"), tool("drop")].join(","))
        .list("prompts", &named(&["p", "q"]))
        .list("resources", &located("uri", &["doc:a", "doc:secret"]))
        .list(
            "resourceTemplates",
            &located("uriTemplate", &["doc:{x}", "doc:secret/{x}"]),
        )
        .tool("read", [result(crate::DONE)])
        .on("prompts/get", [result(r#"{"messages":[]}"#)])
        .on("resources/read", [error(-32002, NOWHERE)])
        .on("resources/subscribe", [result("{}")])
        .on("resources/unsubscribe", [result("{}")])
        .on(
            "completion/complete",
            [result(r#"{"completion":{"values":[]}}"#)],
        )
}

fn hidden() -> crate::support::Script {
    let capable = CAPABLE.replacen('{', r#"{"logging":{},"extensions":{"x/acme":{}},"#, 1);
    modern_with(&capable)
        .list("tools", r#"{"name":"t","inputSchema":{"type":"object"}}"#)
        .list("prompts", &named(&["p"]))
        .list("resources", &located("uri", &["hid:x"]))
        .list("resourceTemplates", "")
        .on("acme/do", [result(r#"{"resultType":"complete"}"#)])
}

#[test]
fn what_one_may_not_use_is_not_there() {
    let (docs, hidden) = (Peer::new(docs()), Peer::http(hidden()));
    let git = Peer::new(crate::support::legacy(&["get_x", "set_x"]));
    let setup = Setup::default()
        .backend("hidden", &hidden, "description: The hidden one.")
        .backend("docs", &docs, "description: The documents.")
        .backend("git", &git, "");
    let house = House::new(setup, FEW);
    house.all(Era::Modern).await_names(&[
        "hidden__t",
        "docs__read",
        "docs__drop",
        "git__get_x",
        "git__set_x",
    ]);
    house.all(Era::Modern).list("resources/list", "doc:secret");
    for era in ERAS {
        let (all, few) = (house.all(era), house.few(era));
        assert_eq!(few.names(), ["docs__read", "git__get_x"]);
        for (method, seen, unseen) in [
            ("prompts/list", "docs__p", &["docs__q", "hidden__p"][..]),
            ("resources/list", "doc:a", &["doc:secret", "hid:x"]),
            ("resources/templates/list", "doc:{x}", &["doc:secret/{x}"]),
        ] {
            let (few, all) = (
                few.request(method, "").result(),
                all.request(method, "").result(),
            );
            assert!(few.contains(seen) && all.contains(seen), "{few}");
            for unseen in unseen {
                assert!(!few.contains(unseen), "{few}");
                assert!(all.contains(unseen), "{all}");
            }
        }
        let about = |client: &Client| match era {
            Era::Modern => client.request("server/discover", "").result(),
            Era::Legacy(_) => client.initialized().to_owned(),
        };
        let (few_told, all_told) = (about(&few), about(&all));
        let instructions = |told: &str| text(&at(told, &["instructions"]));
        assert!(instructions(&all_told).contains("The hidden one."));
        assert!(!few_told.contains("hidden"), "{few_told}");
        assert!(instructions(&few_told).contains("The documents."));
        assert!(
            all_told.contains("x/acme") && all_told.contains("logging"),
            "{all_told}"
        );
        assert!(
            !few_told.contains("acme") && !few_told.contains("logging"),
            "{few_told}"
        );

        let mut same = vec![
            (
                "tools/call",
                r#""name":"NAME""#,
                vec!["docs__drop", "docs__nope"],
            ),
            (
                "tools/call",
                r#""name":"NAME""#,
                vec!["hidden__t", "absent__t", "git__set_x"],
            ),
            (
                "prompts/get",
                r#""name":"NAME""#,
                vec!["docs__q", "docs__nope", "hidden__p", "absent__p"],
            ),
            (
                "resources/read",
                r#""uri":"NAME""#,
                vec!["doc:secret", "doc:secret-nope"],
            ),
            (
                "resources/read",
                r#""uri":"NAME""#,
                vec!["hid:x", "hid:nope", "hidden+hid:x"],
            ),
            (
                "resources/read",
                r#""uri":"NAME""#,
                vec!["docs+doc:secret", "docs+doc:secret-nope"],
            ),
            (
                "completion/complete",
                r#""ref":{"type":"ref/prompt","name":"NAME"},"argument":{"name":"a","value":"b"}"#,
                vec!["docs__q", "docs__nope", "hidden__p"],
            ),
            (
                "completion/complete",
                r#""ref":{"type":"ref/resource","uri":"NAME"},"argument":{"name":"a","value":"b"}"#,
                vec!["doc:secret/{x}", "doc:secret/{nope}"],
            ),
            ("NAME", "", vec!["acme/do", "nope/do"]),
        ];
        if era != Era::Modern {
            let uris = vec!["doc:secret", "doc:secret-nope"];
            same.push(("resources/subscribe", r#""uri":"NAME""#, uris));
        }
        for (method, params, names) in same {
            let answers = names.iter().map(|name| {
                let (method, params) = (method.replace("NAME", name), params.replace("NAME", name));
                without_name(&few.request(&method, &params), name)
            });
            let answers: Vec<_> = answers.collect();
            assert!(answers[0].contains("error"), "{method}: {answers:?}");
            assert!(
                answers.iter().all(|answer| *answer == answers[0]),
                "{answers:#?}"
            );
        }
        // What is there is used as before.
        few.call("docs__read", None).result();
        few.request("prompts/get", r#""name":"docs__p""#).result();
        let (_, said) = few.request("resources/read", r#""uri":"doc:a""#).error();
        assert_eq!(said, NOWHERE);
        let other = few.request(
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"doc:{x}"},"argument":{"name":"a","value":"b"}"#,
        );
        other.result();
    }
    for method in ["tools/call", "prompts/get", "resources/read", "acme/do"] {
        assert_eq!(hidden.messages(method).len(), 0, "{method}");
    }
    for (peer, method) in [(&docs, "resources/subscribe"), (&git, "tools/call")] {
        assert_eq!(peer.messages(method).len(), 0, "{method}");
    }
    house.all(Era::Modern).request("acme/do", "").result();
}

#[test]
fn who_has_no_role_may_do_nothing() {
    let peer = Peer::new(docs());
    let setup = Setup::default().backend("docs", &peer, "description: The documents.");
    let house = House::new(
        setup,
        "{ roles: { all: { allow: ['*'] } }, assign: [{ role: all, socket: 'SOCKET' }] }",
    );
    house
        .few(Era::Modern)
        .await_names(&["docs__read", "docs__drop"]);
    for era in ERAS {
        let nobody = house.all(era);
        assert_eq!(nobody.names(), [""; 0]);
        for name in ["docs__read", "nope"] {
            let answer = without_name(&nobody.call(name, None), name);
            assert!(answer.contains("Unknown tool: NAME"), "{answer}");
        }
        let (code, _) = nobody.request("acme/do", "").error();
        assert_eq!(code, -32601);
    }
    assert_eq!(peer.messages("tools/call").len(), 0);
}

#[test]
fn a_change_is_told_to_those_who_see_it() {
    let tools = |tools: &[&str]| {
        let define =
            |name: &&str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
        let tools: Vec<_> = tools.iter().map(define).collect();
        legacy_with(r#"{"tools":{"listChanged":true}}"#).list("tools", &tools.join(","))
    };
    let (docs, hidden) = (Peer::new(docs()), Peer::new(tools(&["t"])));
    let setup = Setup::default()
        .backend("docs", &docs, "")
        .backend("hidden", &hidden, "");
    let house = House::new(setup, FEW);
    Client::wait_for(&house.mux, "hidden__t");
    Client::wait_for(&house.mux, "docs__read");
    let wanted = r#""toolsListChanged":true,"promptsListChanged":true"#;
    for (era, n) in ERAS.into_iter().zip(0..) {
        let (all, few) = (house.all(era), house.few(era));
        let (mut all_news, mut few_news) = (all.listen_to(wanted), few.listen_to(wanted));
        hidden.set(tools(&["t", &format!("u{n}")]));
        hidden.emit(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        let told = all_news.event().expect("a notification");
        assert!(told.contains("tools/list_changed"), "{told}");
        docs.set(self::docs().list("prompts", &named(&["p", &format!("r{n}")])));
        docs.emit(r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#);
        let told = few_news.event().expect("a notification");
        assert!(told.contains("prompts/list_changed"), "{told}");
        assert!(
            few.request("prompts/list", "")
                .result()
                .contains(&format!("docs__r{n}"))
        );
    }
}

#[test]
fn a_session_is_of_its_role() {
    let peer = Peer::new(docs());
    let house = House::new(Setup::one("docs", &peer), FEW);
    let all = house.all(ERAS[0]);
    all.await_names(&["docs__read", "docs__drop"]);
    let mut theft = crate::support::Connection::open(house.few.address());
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", all.session()),
    ];
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    theft
        .request("POST", "/mcp", &headers, asked)
        .expect("mcpmux reads the request");
    assert_eq!(theft.reply().status, 404);
}

#[test]
fn a_task_is_its_principals() {
    let task = |kind: &str| {
        let task = r#""taskId":"m1","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000"#;
        result(&format!(r#"{{"resultType":"{kind}",{task}}}"#))
    };
    let capable = r#"{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let script = modern_with(capable)
        .list(
            "tools",
            r#"{"name":"read","inputSchema":{"type":"object"}}"#,
        )
        .tool("read", [task("task")])
        .on("tasks/get", [task("complete")]);
    let peer = Peer::http(script);
    let house = House::new(Setup::one("docs", &peer), FEW);
    let (all, few) = (house.all(Era::Modern), house.few(Era::Modern));
    all.await_names(&["docs__read"]);
    let begun = few.call("docs__read", None).result();
    assert_eq!(text(&at(&begun, &["taskId"])), "m1");
    few.request("tasks/get", r#""taskId":"m1""#).result();
    let (code, said) = all.request("tasks/get", r#""taskId":"m1""#).error();
    assert_eq!((code, said.as_str()), (-32602, "Unknown task: m1"));
    assert_eq!(peer.messages("tasks/get").len(), 1);
}
