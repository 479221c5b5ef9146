//! The configuration, read again while mcpmux runs: what changes, what is not
//! touched, and what becomes of the calls that are under way.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod backends;
mod calls;
mod command;
mod load;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use support::{Mux, Peer, Setup, eventually, processes_naming};

/// Where `mcpmux reload` finds the mcpmux of a test.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("control.sock")
    }

    /// A mcpmux that is found here.
    #[track_caller]
    fn serve(&self, setup: Setup) -> Mux {
        let mux = setup
            .env("MCPMUX_CONTROL", self.socket().to_str().unwrap())
            .serve();
        mux.logged("control socket ");
        mux
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mcpmux"))
            .arg("reload")
            .args(arguments)
            .env_clear()
            .env("MCPMUX_CONTROL", self.socket())
            .output()
            .unwrap()
    }

    /// Has `mux` go over to this configuration; gives what it says.
    #[track_caller]
    fn reload(&self, mux: &Mux, setup: &Setup) -> String {
        mux.rewrite(&setup.yaml());
        let output = self.run(&[]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Waits until this many processes of `peer` run.
#[track_caller]
fn running(peer: &Peer, count: usize) {
    eventually(&format!("{count} processes"), || {
        (processes_naming(peer.dir()).len() == count).then_some(())
    });
}
