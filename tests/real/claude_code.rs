//! Claude Code, with a home of its own and no account: the model behind it is
//! `clients/model.mjs`, which asks for one tool call.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    install,
    mcpmux::{Config, Mcpmux},
    process::Process,
    servers::{demo, everything},
};

#[test]
fn claude_code_shows_mcpmux_as_connected() {
    let mcpmux = Mcpmux::serve(&[demo()]);
    ClaudeCode::with(&mcpmux).is_connected();
    mcpmux.stop();
}

#[test]
fn claude_code_shows_an_mcpmux_that_it_launches_as_connected() {
    let config = Config::new(&[demo()]);
    ClaudeCode::launching(&config).is_connected();
}

#[test]
fn claude_code_offers_every_tool_to_the_model_and_calls_the_one_it_asks_for() {
    let backends = [demo(), everything()];
    let mcpmux = Mcpmux::serve(&backends);
    mcpmux.wait_until_up(&backends);
    let mut claude = ClaudeCode::with(&mcpmux);
    let tool = "mcp__mcpmux__demo__add";
    let model = Process::start(
        "the model",
        Command::new(install::node())
            .arg(install::folder().join("clients/model.mjs"))
            .arg(json!({ "name": tool, "input": { "a": 40, "b": 2 } }).to_string()),
    );
    let mut seen = 0;
    let url: String = model.wait_for_print("address", &mut seen, |said| {
        Some(said.get("url")?.as_str()?.to_owned())
    });
    claude.environment.push(("ANTHROPIC_BASE_URL", url));
    claude
        .environment
        .push(("ANTHROPIC_API_KEY", "none".to_owned()));
    claude
        .environment
        .push(("ENABLE_TOOL_SEARCH", "false".to_owned()));

    let answer = claude.run(&["--print", "Add 40 and 2", "--allowedTools", tool]);
    assert_eq!(answer.trim(), "done");
    let offered: Value = model.wait_for_print("list of tools", &mut seen, |said| {
        said.get("tools").cloned()
    });
    for tool in [
        tool,
        "mcp__mcpmux__demo__slow",
        "mcp__mcpmux__everything__get-sum",
    ] {
        assert!(
            offered.as_array().unwrap().contains(&json!(tool)),
            "{offered}"
        );
    }
    let result: Value = model.wait_for_print("result of the tool", &mut seen, |said| {
        said.get("result").cloned()
    });
    assert!(result.to_string().contains("42"), "{result}");
    mcpmux.stop();
}

/// The Claude Code CLI with mcpmux added to it.
struct ClaudeCode {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl ClaudeCode {
    /// Reaches it over HTTP.
    fn with(mcpmux: &Mcpmux) -> Self {
        Self::after(&["mcp", "add", "--transport", "http", "mcpmux", mcpmux.url()])
    }

    /// Launches it on stdio.
    fn launching(config: &Config) -> Self {
        let connect = config.over_stdio().to_string();
        Self::after(&["mcp", "add-json", "mcpmux", &connect])
    }

    /// In a new home, once it has been run with these arguments.
    fn after(arguments: &[&str]) -> Self {
        let claude = Self {
            home: TempDir::new().unwrap(),
            environment: Vec::new(),
        };
        claude.run(arguments);
        claude
    }

    fn is_connected(&self) {
        let listed = self.run(&["mcp", "list"]);
        let line = listed.lines().find(|line| line.starts_with("mcpmux:"));
        assert!(line.unwrap_or(&listed).contains("Connected"), "{listed}");
    }

    /// Runs it with these arguments; gives what it prints.
    fn run(&self, arguments: &[&str]) -> String {
        Process::start(
            "Claude Code",
            Command::new(install::claude())
                .args(arguments)
                .current_dir(self.home.path())
                .env_clear()
                .env("HOME", self.home.path())
                .env("PATH", "/usr/bin:/bin")
                .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
                .env("DISABLE_AUTOUPDATER", "1")
                .env("DISABLE_TELEMETRY", "1")
                .env("DISABLE_ERROR_REPORTING", "1")
                .envs(self.environment.iter().map(|(name, value)| (name, value))),
        )
        .finish()
        .0
    }
}
