//! A server (`serve NAME`) and a client (`connect PLAN`) on rmcp, over stdio:
//! the same as those on the other SDKs in `tests/real/servers` and
//! `tests/real/clients`.

// Log messages, sampling and roots are deprecated, and relayed all the same.
#![allow(deprecated)]

use std::env;

mod client;
mod offer;
mod server;
mod steps;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name] => server::serve(name).await,
        ["connect", plan] => client::run(plan).await,
        _ => panic!("serve NAME, or connect PLAN: not {arguments:?}"),
    }
    // A thread that reads stdin cannot be called back.
    std::process::exit(0);
}
