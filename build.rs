//! Tells the binary which commit it was built from, where there is a git checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    let commit = Command::new("git")
        .args(["rev-parse", "--short=10", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|commit| format!(" ({})", commit.trim()))
        .unwrap_or_default();
    println!("cargo::rustc-env=MCPMUX_COMMIT={commit}");
}
