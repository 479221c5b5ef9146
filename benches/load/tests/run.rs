//! The benchmark itself, run shortly and without mcpmux: that it measures what
//! it says, and that nothing of it stays behind.

#![allow(clippy::expect_used)]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The benchmark without mcpmux, all its files in `dir`.
fn benchmark(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux-load"));
    command.env("TMPDIR", dir).args(["--quick", "--no-build"]);
    for target in ["direct", "kept", "nginx", "hyper"] {
        command.args(["--target", target]);
    }
    command
}

/// How many processes, other than this one's `child`, have `dir` as their
/// directory for temporary files.
fn others(dir: &Path, child: Option<&Child>) -> usize {
    let mark = format!("TMPDIR={}\0", dir.display());
    let processes = fs::read_dir("/proc").expect("proc is mounted");
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let marked = environment
                .windows(mark.len())
                .any(|part| part == mark.as_bytes());
            (marked && child.is_none_or(|child| child.id() != id)).then_some(())
        })
        .count()
}

fn assert_nothing_left(dir: &Path) {
    assert_eq!(others(dir, None), 0, "a process is left");
    assert_eq!(
        fs::read_dir(dir).expect("the directory is there").count(),
        0,
        "a file is left"
    );
}

#[test]
fn a_quick_run_fills_every_cell_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let json = tempfile::NamedTempFile::new().expect("a file");
    let output = benchmark(dir.path())
        .arg("--json")
        .arg(json.path())
        .output()
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        table.contains("hyper pass-through") && table.contains("tools/list (200 tools)"),
        "{table}"
    );

    let results: Value =
        serde_json::from_slice(&fs::read(json.path()).expect("written")).expect("JSON");
    let cells = results["cells"].as_array().expect("cells");
    // Six scenarios have these targets, each with 1 and with 32 clients.
    assert!(cells.len() >= 2 * (6 * 2 + 1), "{} cells", cells.len());
    for cell in cells {
        assert!(cell["calls"].as_u64() > Some(0), "{cell}");
        assert!(cell["p50_us"].as_f64() <= cell["p99_us"].as_f64(), "{cell}");
    }
    assert_nothing_left(dir.path());
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut run = benchmark(dir.path())
        .args(["--scenario", "small", "--duration", "60"])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let start = Instant::now();
    while others(dir.path(), Some(&run)) == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it starts no backend"
        );
        thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&run), Signal::INT).expect("it still runs");
    let status = run.wait().expect("it ends");
    assert_eq!(status.code(), Some(1));
    assert_nothing_left(dir.path());
}

/// What `profile/flags` says to a compiler of this record; as it is if none is given.
fn flags(record: Option<&[u8]>) -> String {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profile");
    let dir = tempfile::tempdir().expect("a directory");
    let files = ["flags", "calls.profdata"];
    for file in files {
        fs::copy(profile.join(file), dir.path().join(file)).expect("it is there");
    }
    if let Some(record) = record {
        fs::write(dir.path().join(files[1]), record).expect("written");
    }
    let said = Command::new(dir.path().join(files[0])).output();
    let said = said.expect("it runs");
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).expect("text")
}

#[test]
fn the_compiler_is_given_the_record_of_calls_only_if_it_can_read_it() {
    assert!(
        flags(None).starts_with("-Cprofile-use=/"),
        "{}",
        flags(None)
    );
    assert_eq!(flags(Some(b"no record")), "");
}
