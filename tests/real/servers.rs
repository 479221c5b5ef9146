//! Real MCP servers: how each is started, and calls whose answers are the same
//! every time.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    backend::{Backend, Reach},
    install, mcpmux,
    process::Process,
};

/// `mcpmux demo-server`.
pub(crate) fn demo() -> Backend {
    let argv = [
        mcpmux::PROGRAM,
        "demo-server",
        "--log-level",
        "mcpmux=info,warn",
    ];
    Backend::command("demo", argv.map(PathBuf::from)).calls([
        json!({ "name": "echo", "arguments": { "message": "ÄÖÜ \u{1F980} \"\\\n" } }),
        json!({ "name": "add", "arguments": { "a": 0.1, "b": 0.2 } }),
        json!({ "name": "slow", "arguments": { "seconds": 0.3, "steps": 3 }, "progress": true }),
        json!({ "name": "slow", "arguments": { "steps": 0 } }),
    ])
}

/// server-everything on stdio.
pub(crate) fn everything() -> Backend {
    Backend::command("everything", everything_over_stdio())
        .described("Every kind of tool there is.")
        .calls(everything_calls())
}

/// server-everything on stdio, by the machine's own npx: three processes.
pub(crate) fn npx_everything() -> Backend {
    let argv = [
        "npx",
        "--offline",
        "@modelcontextprotocol/server-everything",
    ];
    let mut backend = Backend::command("npx", argv.map(PathBuf::from));
    backend.folder = Some(install::npx_folder());
    backend
}

fn everything_over_stdio() -> [PathBuf; 3] {
    [install::node(), everything_entry(), "stdio".into()]
}

fn everything_entry() -> PathBuf {
    install::npm("@modelcontextprotocol/server-everything/dist/index.js")
}

fn everything_calls() -> [Value; 9] {
    [
        json!({ "name": "echo", "arguments": { "message": "hello" } }),
        json!({ "name": "echo", "arguments": {} }),
        json!({ "name": "get-sum", "arguments": { "a": 2, "b": 40 } }),
        json!({ "name": "get-structured-content", "arguments": { "location": "Chicago" } }),
        json!({ "name": "get-annotated-message", "arguments": { "messageType": "error", "includeImage": true } }),
        json!({ "name": "get-tiny-image" }),
        json!({ "name": "get-resource-links", "arguments": { "count": 3 } }),
        json!({
            "name": "gzip-file-as-resource",
            "arguments": { "name": "hello.gz", "data": "data:text/plain,hello", "outputType": "resource" },
        }),
        json!({
            "name": "trigger-long-running-operation",
            "arguments": { "duration": 0.4, "steps": 4 },
            "progress": true,
        }),
    ]
}

/// server-everything over streamable HTTP, which a test starts and ends itself.
pub(crate) struct EverythingOverHttp {
    transport: &'static str,
    port: u16,
    process: Option<Process>,
}

impl EverythingOverHttp {
    /// Chooses its port; it does not run yet.
    pub(crate) fn new() -> Self {
        Self {
            transport: "streamableHttp",
            port: free_port(),
            process: None,
        }
    }

    /// The same on the older transport, with one event stream.
    pub(crate) fn older() -> Self {
        Self {
            transport: "sse",
            ..Self::new()
        }
    }

    /// Starts it; returns once it listens.
    pub(crate) fn start(&mut self) {
        let process = Process::start(
            "server-everything",
            Command::new(install::node())
                .arg(everything_entry())
                .arg(self.transport)
                .env("PORT", self.port.to_string()),
        );
        process.wait_for_log("word that it listens", |line| {
            let listens = ["listening on port", "running on port"];
            listens.iter().any(|word| line.contains(word)).then_some(())
        });
        self.process = Some(process);
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// It as a backend.
    pub(crate) fn backend(&self) -> Backend {
        let (name, reach) = if self.transport == "sse" {
            let url = format!("http://127.0.0.1:{}/sse", self.port);
            let same = everything_over_stdio().into();
            ("older", Reach::Sse { url, same })
        } else {
            let url = format!("http://127.0.0.1:{}/mcp", self.port);
            ("remote", Reach::Http { url })
        };
        Backend {
            name,
            description: None,
            reach,
            folder: None,
            bare: false,
            calls: everything_calls().into(),
        }
    }
}

/// A port of 127.0.0.1 that nobody listened on a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// What the servers below read (`files`, `repository`) and write (`storage`).
pub(crate) struct Ground {
    folder: TempDir,
}

impl Ground {
    /// Some files, a git repository with one commit, and nothing stored yet.
    pub(crate) fn new() -> Self {
        let ground = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir_all(ground.path("files/folder")).unwrap();
        fs::write(ground.path("files/greeting.txt"), "Grüße\n").unwrap();
        fs::write(ground.path("files/folder/numbers.csv"), "1,2\r\n3,4\r\n").unwrap();
        fs::create_dir(ground.path("repository")).unwrap();
        fs::write(ground.path("repository/a file"), "first\n").unwrap();
        ground.git(&["init", "--quiet", "--initial-branch=main"]);
        ground.git(&["add", "."]);
        ground.git(&["commit", "--quiet", "--message=The first commit"]);
        fs::write(ground.path("repository/a file"), "second\n").unwrap();
        ground
    }

    /// A path in it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .args([
                "-c",
                "user.name=A Tester",
                "-c",
                "user.email=tester@example.org",
            ])
            .args([
                "-c",
                "commit.gpgsign=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .current_dir(self.path("repository"))
            .status()
            .expect("git can be started");
        assert!(status.success(), "git {arguments:?}: {status}");
    }

    /// The servers that need ground to stand on; those that store something do
    /// so under `storage`.
    pub(crate) fn servers(&self, storage: &Path) -> Vec<Backend> {
        fs::create_dir_all(storage).unwrap();
        vec![
            self.filesystem(),
            memory(storage),
            time(),
            self.git_server(),
            sqlite(storage),
        ]
    }

    fn filesystem(&self) -> Backend {
        let entry = install::npm("@modelcontextprotocol/server-filesystem/dist/index.js");
        Backend::command("files", [install::node(), entry, self.path("files")])
            .described("The files of the test.")
            .calls([
                json!({ "name": "directory_tree", "arguments": { "path": self.path("files") } }),
                json!({ "name": "read_text_file", "arguments": { "path": self.path("files/greeting.txt") } }),
                json!({ "name": "read_text_file", "arguments": { "path": "/etc/passwd" } }),
                json!({ "name": "list_allowed_directories" }),
            ])
    }

    fn git_server(&self) -> Backend {
        let repository = self.path("repository");
        Backend::command("git", [install::python(2, "mcp-server-git")]).calls([
            json!({ "name": "git_log", "arguments": { "repo_path": repository } }),
            json!({ "name": "git_diff_unstaged", "arguments": { "repo_path": repository } }),
            json!({ "name": "git_show", "arguments": { "repo_path": repository, "revision": "nowhere" } }),
        ])
    }
}

fn memory(storage: &Path) -> Backend {
    let entry = install::npm("@modelcontextprotocol/server-memory/dist/index.js");
    let mut backend = Backend::command("memory", [install::node(), entry]);
    if let Reach::Command { env, .. } = &mut backend.reach {
        env.push(("MEMORY_FILE_PATH", storage.join("memory.jsonl")));
    }
    let entity =
        json!({ "name": "mcpmux", "entityType": "program", "observations": ["multiplexes"] });
    backend.calls([
        json!({ "name": "create_entities", "arguments": { "entities": [entity] } }),
        json!({ "name": "read_graph" }),
    ])
}

/// mcp-server-time.
pub(crate) fn time() -> Backend {
    // A time that exists comes with today's date, which may change between two calls.
    Backend::command("time", [install::python(2, "mcp-server-time")]).calls([
        json!({ "name": "get_current_time", "arguments": { "timezone": "Nowhere/City" } }),
        json!({ "name": "convert_time", "arguments": { "time": "12:00" } }),
    ])
}

fn sqlite(storage: &Path) -> Backend {
    let database = storage.join("database.sqlite");
    Backend::command("sqlite", [install::python(1, "mcp-server-sqlite"), "--db-path".into(), database]).calls([
        json!({ "name": "create_table", "arguments": { "query": "CREATE TABLE t (n REAL, s TEXT)" } }),
        json!({ "name": "write_query", "arguments": { "query": "INSERT INTO t VALUES (1.0, 'Grüße')" } }),
        json!({ "name": "read_query", "arguments": { "query": "SELECT * FROM t" } }),
        json!({ "name": "read_query", "arguments": { "query": "DROP TABLE t" } }),
    ])
}
