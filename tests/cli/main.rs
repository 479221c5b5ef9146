//! The command line as a user meets it: what it prints where, how it exits, and
//! what it says when something is wrong.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod check;
mod line;
mod list;
mod permitted;
mod serve;
mod stdio;
#[path = "../support/mod.rs"]
mod support;
mod verbs;

use std::{
    env, fs,
    path::Path,
    process::{Command, Output, Stdio},
};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

/// A directory with a configuration in it, and mcpmux run there.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(yaml: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        fs::write(dir.path().join("mcpmux.yaml"), yaml).expect("a configuration can be stored");
        Self { dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("mcpmux can be run")
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{}\nstderr:\n{}",
        out(output),
        err(output)
    );
}
