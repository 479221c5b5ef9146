//! `bench-relay`: the bare hyper pass-through. The address it listens on is
//! its first line on stdout.

use std::net::SocketAddr;

use clap::Parser;
use mcpmux_load::{process, relay};

/// A bare HTTP pass-through, as a yardstick.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The server to pass requests on to.
    #[arg(long)]
    upstream: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    process::end_with_parent()?;
    // As many threads as processors, which is what a daemon on tokio has.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        println!("{}", listener.local_addr()?);
        match relay::serve(listener, options.upstream).await? {}
    })
}
