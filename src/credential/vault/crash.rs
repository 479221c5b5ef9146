//! A store and the processes that use it: they are ended at each step of a
//! change, are many at once, or have no room. Each is this test program itself,
//! run again for the one test [`a_process_does_what_it_is_told`].

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

use super::{
    Entry, VaultError,
    file::{FileStore, Sealing, Step},
    folder::Medium,
    key::Key,
    lock,
};
use crate::{Secret, config::BackendName};

const TASK: &str = "MCPMUX_TEST_TASK";
const PATH: &str = "MCPMUX_TEST_PATH";

/// Any will do that all processes know.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const STEPS: [Step; 7] = [
    Step::Locked,
    Step::Created,
    Step::Half,
    Step::Written,
    Step::Synced,
    Step::Renamed,
    Step::Done,
];

/// Ends this process, if it was told to end at this step.
pub(super) fn reached(step: Step) {
    if env::var(TASK).is_ok_and(|task| task == format!("die at {step:?}")) {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

fn store(path: &Path) -> FileStore {
    let sealing = Sealing {
        key: Key::parse(KEY).unwrap(),
        origin: "a test".to_owned(),
    };
    FileStore::new(path, Some(sealing)).unwrap()
}

fn name(name: &str) -> BackendName {
    BackendName::new(name).unwrap()
}

fn write(store: &FileStore, backend: &str, record: &str) -> Result<(), VaultError> {
    let record = Secret::new(record.to_owned());
    store.change(|book| Ok((book.set(&name(backend), "https://i", &record)?, true)))
}

fn records(store: &FileStore, backend: &str) -> Vec<String> {
    let entries = store.read().unwrap().of(&name(backend));
    let record = |entry: Entry| entry.record.expose().to_owned();
    entries.into_iter().map(record).collect()
}

/// This test program, which is to do `task` with the store at `path`.
fn process(task: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    with(&mut command, task, path);
    command
}

fn with(command: &mut Command, task: &str, path: &Path) {
    let test = concat!(module_path!(), "::a_process_does_what_it_is_told");
    let (_, test) = test.split_once("::").unwrap();
    command
        .args(["--exact", "--nocapture", test])
        .env(TASK, task)
        .env(PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
}

/// Nothing, unless another test has run this program for it.
#[test]
fn a_process_does_what_it_is_told() {
    let (Ok(task), Ok(path)) = (env::var(TASK), env::var(PATH)) else {
        return;
    };
    let path = Path::new(&path);
    let store = store(path);
    let mut told = std::io::stdout();
    match task.split_once(' ').unwrap() {
        ("die", _) => write(&store, "a", "new").unwrap(),
        ("hold", lock) => {
            let _lock = lock::acquire(path.parent().unwrap(), Medium::Any, lock, Duration::ZERO);
            writeln!(told, "\nheld").unwrap();
            // Until it is killed, or the other end is gone.
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        ("fill", backend) => {
            for number in 0.. {
                write(&store, &format!("{backend}{number}"), "record").unwrap();
                writeln!(told, "\nkept {backend}{number}").unwrap();
            }
        }
        ("overflow", _) => {
            let error = write(&store, "b", &"x".repeat(200_000)).unwrap_err();
            assert!(matches!(error, VaultError::Full { .. }), "{error}");
            assert_eq!(records(&store, "a"), ["old"]);
            assert!(records(&store, "b").is_empty());
            assert!(!path.with_extension("new").exists());
            // What fits is still kept.
            write(&store, "a", "new").unwrap();
            writeln!(told, "\ntold {error}").unwrap();
        }
        (other, _) => panic!("{other}?"),
    }
}

/// A process that is ended with the test.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    fn start(task: &str, path: &Path) -> Self {
        let mut child = process(task, path).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Self(child, told)
    }

    /// The rest of the next line that begins with `word`.
    fn next(&mut self, word: &str) -> Option<String> {
        let mut lines = (&mut self.1).lines().map_while(Result::ok);
        lines.find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_killed_at_any_step_of_a_change_leaves_the_old_or_the_new_content() {
    for step in STEPS {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("s/vault");
        let store = store(&path);
        write(&store, "a", "old").unwrap();
        write(&store, "b", "other").unwrap();
        let ended = process(&format!("die at {step:?}"), &path)
            .output()
            .unwrap();
        assert_eq!(ended.status.signal(), Some(9), "{step:?}: {ended:?}");
        let expected = match step {
            Step::Renamed | Step::Done => "new",
            _ => "old",
        };
        assert_eq!(records(&store, "a"), [expected], "{step:?}");
        // The next process finds nothing in its way, and clears up.
        store.prepare().unwrap();
        assert!(!path.with_extension("new").exists(), "{step:?}");
        write(&store, "a", "next").unwrap();
        assert_eq!(records(&store, "a"), ["next"], "{step:?}");
        assert_eq!(records(&store, "b"), ["other"], "{step:?}");
    }
}

#[test]
fn what_processes_were_told_is_kept_is_kept_whoever_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("s/vault");
    let mut running: Vec<_> = ["a", "b", "c"]
        .map(|backend| Running::start(&format!("fill {backend}"), &path))
        .into();
    let mut kept = Vec::new();
    for _ in 0..10 {
        for process in &mut running {
            kept.extend(process.next("kept "));
        }
    }
    assert_eq!(kept.len(), 30);
    for mut process in running.drain(..) {
        process.0.kill().unwrap();
        while let Some(backend) = process.next("kept ") {
            kept.push(backend);
        }
    }
    let store = store(&path);
    for backend in kept {
        assert_eq!(records(&store, &backend), ["record"], "{backend}");
    }
    write(&store, "z", "record").unwrap();
}

#[test]
fn a_lock_is_said_to_be_another_processes_and_ends_with_it() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("s/vault");
    let mut other = Running::start("hold lock", &path);
    other.next("held").unwrap();
    let acquire = |patience| lock::acquire(path.parent().unwrap(), Medium::Any, "lock", patience);
    let error = acquire(Duration::from_millis(1)).unwrap_err().to_string();
    let process = format!("process {} (", other.0.id());
    assert!(error.contains(&process), "{error}");
    other.0.kill().unwrap();
    let held = acquire(Duration::from_secs(10)).unwrap();
    let error = acquire(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("another task of this process"), "{error}");
    drop(held);
    acquire(Duration::ZERO).unwrap();
}

/// What a process says that had no room for a record.
#[track_caller]
fn told(ended: &Output) {
    let out = String::from_utf8_lossy(&ended.stdout);
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{out}{err}");
    assert!(out.contains("told there is no room"), "{out}{err}");
    assert!(out.contains("what it held before is still there"), "{out}");
}

#[test]
fn a_file_that_must_not_grow_keeps_what_was_in_it() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("s/vault");
    write(&store(&path), "a", "old").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap());
    with(&mut command, "overflow it", &path);
    told(&command.output().unwrap());
    assert_eq!(records(&store(&path), "a"), ["new"]);
}

#[test]
fn a_full_disk_keeps_what_was_on_it() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("s/vault");
    let small = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$0\" || exit 69; \
                 cp -p \"$0.old\" \"$0/vault\"; exec \"$@\"";
    write(&store(&path), "a", "old").unwrap();
    let folder = path.parent().unwrap();
    fs::copy(&path, folder.with_extension("old")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", small])
        .arg(folder)
        .arg(env::current_exe().unwrap());
    with(&mut command, "overflow it", &path);
    let ended = command.output().unwrap();
    if matches!(ended.status.code(), Some(1 | 69)) && ended.stdout.is_empty() {
        eprintln!("NOT RUN: no tmpfs can be mounted here: {ended:?}");
        return;
    }
    told(&ended);
}
