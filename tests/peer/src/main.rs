//! A scriptable MCP backend for the tests: it sends exactly the bytes that its
//! script holds and reports exactly the bytes that reach it, and knows no more
//! of MCP than what it takes to find a message's steps.
//!
//! `mcpmux-test-peer [--http ADDRESS] DIRECTORY`: the directory holds
//! `script.json` ([`script::Script`]) and `harness`, the unix socket to which
//! events go and from which commands come, one JSON line each.

mod exchange;
mod http;
mod script;
mod stage;
mod stdio;

use std::{env, path::Path};

use script::Event;
use stage::Stage;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let (address, dir) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [dir, ..] if !dir.starts_with("--") => (None, dir),
        ["--http", address, dir] => (Some(address), dir),
        _ => panic!("usage: mcpmux-test-peer [--http ADDRESS] DIRECTORY"),
    };
    let stage = Stage::set(Path::new(dir));
    stage.tell(&Event::Start {
        pid: std::process::id(),
        cwd: env::current_dir().unwrap_or_default().display().to_string(),
        env: env::vars_os()
            .map(|(k, v)| {
                (
                    k.to_string_lossy().into_owned(),
                    v.to_string_lossy().into_owned(),
                )
            })
            .collect(),
        args: args.clone(),
    });
    match address {
        None => stdio::serve(&stage),
        Some(address) => http::serve(&stage, address),
    }
}
