//! `bench-backend`: the benchmark's MCP server, over HTTP (the address it
//! listens on is its first line on stdout) or over stdin and stdout.

use std::{net::SocketAddr, sync::Arc};

use clap::Parser;
use mcpmux_load::{
    backend::{answer::Answers, http, stdio},
    process,
};

/// A minimal MCP server for measuring what stands in front of it.
#[derive(Parser)]
struct Options {
    /// Speak over stdin and stdout rather than HTTP.
    #[arg(long)]
    stdio: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many tools to offer.
    #[arg(long, default_value_t = 200)]
    tools: usize,
    /// Begin a session (`Mcp-Session-Id`) with each `initialize`.
    #[arg(long)]
    sessions: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let answers = Answers::new(options.tools);
    if options.stdio {
        return Ok(stdio::serve(&answers)?);
    }
    process::end_with_parent()?;
    // One thread: the load and the proxy under test need the others more.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        println!("{}", listener.local_addr()?);
        match http::serve(
            listener,
            Arc::new(answers),
            options.sessions,
            Arc::default(),
        )
        .await? {}
    })
}
