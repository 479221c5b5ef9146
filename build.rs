//! Tells the binary which commit it was built from, where there is a git checkout, and
//! the linker in which order to put its functions.

use std::{env, process::Command};

fn main() {
    commit();
    layout();
}

fn commit() {
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

/// With it an idle mcpmux has a quarter less memory resident. Only for linkers that are
/// known to take it: those that rustc chooses by itself for GNU/Linux. Where that is
/// another one, `MCPMUX_LAYOUT=off` leaves it out.
fn layout() {
    println!("cargo::rerun-if-changed=layout/functions.ld");
    println!("cargo::rerun-if-env-changed=MCPMUX_LAYOUT");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|is| is == value);
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = env::var_os("RUSTC_LINKER").is_some() || flags.contains("link");
    let gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if gnu && is("PROFILE", "release") && !chosen && !is("MCPMUX_LAYOUT", "off") {
        let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=mcpmux=-Wl,-T,{root}/layout/functions.ld");
        if glibc() >= Some((2, 36)) && env::var_os("HOST") == env::var_os("TARGET") {
            // Relocations in a twentieth of the room, for a loader that reads these.
            println!("cargo::rustc-link-arg-bin=mcpmux=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = version.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
